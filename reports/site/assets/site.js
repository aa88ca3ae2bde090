"use strict";
(() => {
  const root = document.documentElement;
  const themes = ["system", "light", "dark"];
  const remember = (value) => { try { localStorage.setItem("exitbench-theme", value); } catch { /* a browser that keeps nothing */ } };
  const recall = () => { try { return localStorage.getItem("exitbench-theme"); } catch { return null; } };
  const wear = (theme) => { if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme; };
  let theme = themes.includes(recall()) ? recall() : "system";
  wear(theme);

  function themeButton() {
    const button = document.getElementById("theme");
    const name = () => { button.textContent = `Theme: ${theme}`; };
    button.hidden = false;
    name();
    button.addEventListener("click", () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      wear(theme);
      remember(theme);
      name();
      document.dispatchEvent(new Event("themechange"));
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));
  }

  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  function compare(a, b, numeric, sign) {
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (numeric ? Number(a) - Number(b) || 0 : words.compare(a, b));
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const first = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      const numeric = head.classList.contains("number");
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const up = before ? before === "descending" : !numeric;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (row) => row.cells[column].dataset.value;
        body.append(...[...first].sort((a, b) => compare(value(a), value(b), numeric, up ? 1 : -1)));
      });
    });
  }

  function filterable(section) {
    const tools = section.querySelector(".tools");
    const table = section.querySelector("table.data");
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 6) return;
    tools.hidden = false;
    const output = tools.querySelector("output");
    tools.querySelector("input").addEventListener("input", (event) => {
      const wanted = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !wanted.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      output.textContent = wanted.length ? `${shown} of ${rows.length} rows` : "";
    });
  }

  function explorer() {
    const box = document.getElementById("plot");
    if (!box || !window.Plotly) return;
    const data = JSON.parse(document.getElementById("plot-data").textContent);
    const picker = document.getElementById("view");
    const bars = document.getElementById("bars");
    const legend = [...document.querySelectorAll(".legend button")];
    const on = (i) => legend[i].getAttribute("aria-pressed") === "true";
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

    function draw() {
      const view = data.views[Number(picker.value)];
      const style = getComputedStyle(box);
      const axis = { gridcolor: style.borderTopColor, linecolor: style.borderTopColor, zeroline: false, ticks: "outside", tickcolor: style.borderTopColor, automargin: true };
      const narrow = box.clientWidth < 500;
      const wrap = (text) => (narrow && text.length > 44 ? text.replace(/ \(/, "<br>(").replace(/, (points)/, ",<br>$1") : text);
      const layout = {
        autosize: true, showlegend: false, hovermode: "closest", dragmode: narrow ? false : "zoom",
        margin: { l: narrow ? 44 : 60, r: 14, t: 14, b: 58 },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: style.fontFamily, size: narrow ? 11 : 13, color: style.color },
        xaxis: { ...axis, title: { text: narrow ? "share of the backbone’s MACs" : "cost on test, share of the plain backbone’s MACs" }, tickformat: ".0%" },
        yaxis: { ...axis, title: { text: wrap(view.axis) }, type: view.log ? "log" : "linear", dtick: view.log ? "D2" : undefined },
        shapes: view.target === null ? [] : [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: view.target, y1: view.target, line: { color: style.color, width: 1, dash: "dot" } }],
      };
      const config = { responsive: true, displaylogo: false, displayModeBar: narrow ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
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
    document.addEventListener("themechange", draw);
    draw();
  }

  document.addEventListener("DOMContentLoaded", () => {
    themeButton();
    document.querySelectorAll("table.data").forEach(sortable);
    document.querySelectorAll("section.grid").forEach(filterable);
    explorer();
  });
})();
