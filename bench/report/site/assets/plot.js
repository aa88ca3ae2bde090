"use strict";
// The plot of scores against cost.
(() => {
  function explorer() {
    const box = document.getElementById("plot");
    if (!box || !window.Plotly) return;
    const data = JSON.parse(document.getElementById("plot-data").textContent);
    const picker = document.getElementById("view");
    const bars = document.getElementById("bars");
    const legend = [...document.querySelectorAll(".legend button")];
    const on = (i) => legend[i].getAttribute("aria-pressed") === "true" && !legend[i].classList.contains("filtered");
    let near = -1;

    function trace(t) {
      const line = data.series[t.series];
      const style = getComputedStyle(box);
      const colour = line.colour || style.color;
      const faint = near >= 0 && near !== t.series;
      const mode = [line.line && t.x.length > 1 ? "lines" : "", line.symbol ? "markers" : ""].filter(Boolean).join("+");
      const made = {
        x: t.x, y: t.y, mode, name: line.name, visible: on(t.series), opacity: faint ? 0.2 : 1, cliponaxis: false,
        text: t.text.length === 1 && t.x.length > 1 ? t.x.map(() => t.text[0]) : t.text,
        hovertemplate: "%{text}<extra></extra>", hoverlabel: { align: "left" },
        line: { color: colour, dash: line.dash, width: line.symbol ? 2 : 1.5 },
        marker: { color: colour, symbol: line.symbol || "circle", size: line.symbol === "star" ? 13 : 8 },
      };
      if (t.up && bars.checked) {
        made.error_y = { type: "data", symmetric: false, array: t.up, arrayminus: t.down, thickness: 1, width: 2, color: colour };
      }
      return made;
    }

    // Ticks of a logarithmic axis: 1, 2, 5, 10, 20 …, or equal steps if the range is less than about a decade.
    function ticks([low, high]) {
      const [from, to] = [10 ** low, 10 ** high];
      const found = [];
      for (let decade = Math.floor(low); decade <= Math.ceil(high); decade += 1) {
        for (const m of [1, 2, 5]) found.push(Number((m * 10 ** decade).toPrecision(3)));
      }
      let shown = found.filter((v) => v >= from && v <= to);
      if (shown.length < 3) {
        const rough = (to - from) / 5;
        const unit = 10 ** Math.floor(Math.log10(rough));
        const step = unit * [1, 2, 5, 10].find((m) => m * unit >= rough);
        shown = [];
        for (let k = Math.ceil(from / step); k * step <= to; k += 1) shown.push(Number((k * step).toPrecision(6)));
      }
      return { tickmode: "array", tickvals: shown, ticktext: shown.map(String) };
    }

    function logarithmic(traces) {
      const shown = traces.filter((t) => on(t.series));
      const end = (t, bars, sign) => (bars ? t.y.map((y, i) => y + sign * bars[i]) : []);
      const values = shown.flatMap((t) => [...t.y, ...(bars.checked ? [...end(t, t.up, 1), ...end(t, t.down, -1)] : [])]).filter((v) => v > 0);
      if (!values.length) return {};
      const [low, high] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))];
      const room = Math.max(0.05 * (high - low), 0.01);
      return { range: [low - room, high + room], ...ticks([low - room, high + room]) };
    }

    function draw() {
      if (!box.clientWidth) return; // the plot is in a hidden tab
      const view = data.views[Number(picker.value)];
      const style = getComputedStyle(box);
      const axis = { gridcolor: style.borderTopColor, linecolor: style.borderTopColor, zeroline: false, ticks: "outside", tickcolor: style.borderTopColor, automargin: true };
      const narrow = box.clientWidth < 500;
      const wrap = (text) => (text.length > 40 ? text.replace(/ \(/, "<br>(").replace(/, (points)/, ",<br>$1") : text);
      const layout = {
        autosize: true, showlegend: false, hovermode: "closest", dragmode: narrow ? false : "zoom",
        margin: { l: narrow ? 52 : 68, r: 18, t: 18, b: narrow ? 56 : 64 },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: style.fontFamily, size: narrow ? 11 : 13, color: style.color },
        xaxis: { ...axis, title: { text: narrow ? "share of the backbone’s MACs" : "cost, share of the plain backbone’s MACs", standoff: 10 }, tickformat: ".0%" },
        yaxis: { ...axis, title: { text: wrap(view.axis), standoff: 8 }, type: view.log ? "log" : "linear", ...(view.log ? logarithmic(view.traces) : {}) },
        shapes: view.target === null ? [] : [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: view.target, y1: view.target, line: { color: style.color, width: 1, dash: "dot" } }],
      };
      const config = { responsive: true, displaylogo: false, displayModeBar: narrow ? false : "hover", modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
      return window.Plotly.react(box, view.traces.map(trace), layout, config);
    }

    const press = (button, state) => button.setAttribute("aria-pressed", String(state));
    legend.forEach((button, i) => {
      button.addEventListener("click", () => { press(button, !on(i)); draw(); });
      const point = (to) => { if (on(i) && near !== to) { near = to; draw(); } };
      button.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") point(i); });
      button.addEventListener("pointerleave", () => { if (near >= 0) { near = -1; draw(); } });
    });
    document.querySelectorAll("[data-show]").forEach((button) => button.addEventListener("click", () => {
      const show = button.dataset.show;
      legend.forEach((b) => press(b, show === "all" || (show === "leaders" && b.dataset.leader === "1")));
      draw();
    }));
    picker.addEventListener("change", draw);
    bars.addEventListener("change", draw);
    for (const name of ["themechange", "filterchange", "tabchange"]) document.addEventListener(name, draw);
    draw();
    box.on("plotly_relayout", (change) => {
      const range = [change["yaxis.range[0]"], change["yaxis.range[1]"]];
      if (data.views[Number(picker.value)].log && range.every(Number.isFinite)) {
        const found = ticks(range);
        window.Plotly.relayout(box, Object.fromEntries(Object.entries(found).map(([key, value]) => [`yaxis.${key}`, value])));
      }
    });
  }

  explorer();
})();
