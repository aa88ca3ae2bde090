"use strict";
// The two sliders: which method at a budget, or for a loss of accuracy, and what it costs.
(() => {
  const settings = JSON.parse(document.getElementById("finder-data").textContent);
  const boxes = [...document.querySelectorAll(".answer")];
  const get = (id) => document.getElementById(id);
  const [budget, loss] = [get("budget"), get("loss")];
  const SHOWN = 8; // methods of a table

  const minus = (text) => text.replace("-", "−");
  const percent = (value, digits = 1) => (value === null || value === undefined ? "–" : `${value.toFixed(digits)}\u00a0%`);
  const signed = (value) => (value === null ? "–" : minus((value > 0 ? "+" : "") + value.toFixed(2)));
  const ends = (held, write) => (held[1] === null ? "" : `[${write(held[1])}, ${write(held[2])}]`);
  const plain = (digits) => (value) => value.toFixed(digits);
  const size = (value) => (value === null || value === undefined ? "–" : value < 10 ? value.toFixed(2) : value.toFixed(1));
  const time = (value) => (value === null || value === undefined ? "–" : `${value.toPrecision(3)} ms`);

  function el(tag, options = {}, ...children) {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(options)) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  const soft = (name) => name.split(/(?<=[_=,/[])(?=[^_=,/[])/).flatMap((part, i) => (i ? [el("wbr"), part] : [part])); // as soft() of render.py
  const link = (method) => el("a", { href: document.documentElement.dataset.root + method.href, "aria-label": method.name }, ...soft(method.name));

  function names(methods) {
    const shown = methods.slice(0, 3).map((m) => m.name).join(", ");
    return methods.length > 3 ? `${shown} and ${methods.length - 3} more` : shown;
  }

  const by = (number) => (a, b) => Number(b.method.complete) - Number(a.method.complete) || number(a) - number(b);

  // [method, budget, ms]: the most expensive policy within a share of MACs whose latency was measured; without a share the row's own policy.
  function timed(setting, row, share) {
    const fits = (b) => (share === undefined ? b === row.budget : b <= share + 1e-9);
    const found = (setting.latency?.policies ?? []).filter(([method, b]) => method === row.method.name && fits(b));
    return found.sort((a, b) => b[1] - a[1])[0];
  }

  function latency(setting, rows, share) {
    if (!setting.latency) return null;
    const found = rows.map((row) => timed(setting, row, share)).filter(Boolean);
    const told = found.slice(0, 3).map(([name, b, ms]) => `${name} ${time(ms)} (measured at ${percent(100 * b, 0)} of MACs)`);
    const more = found.length > 3 ? `, and ${found.length - 3} more in the table` : "";
    const none = found.length ? "" : "; not measured for these policies";
    return el("p", { class: "small" }, `Latency per sample: plain backbone ${time(setting.latency.plain)}${["", ...told].join(", ")}${more}${none}. ${setting.latency.where}; measured on ${setting.latency.date}.`);
  }

  // The answer for a setting: the rows of methods, best first, each with its policy's scores; and the static hull.
  function atBudget(setting, share) {
    const i = setting.budgets.findLastIndex((b) => b <= share + 1e-9);
    if (!setting.budgets.length) return { problem: "No method has results." };
    if (i < 0) return { problem: `The smallest measured budget is ${percent(100 * setting.budgets[0])}.` };
    const rows = setting.methods.filter((m) => m.at[i]).map((method) => ({ method, policy: method.at[i], budget: setting.budgets[i], leading: method.at[i].leading }));
    const where = `Largest measured budget within yours: ${percent(100 * setting.budgets[i])} of MACs`;
    return { rows: rows.sort(by((row) => -row.policy.accuracy[0])), mix: setting.mix.at[i], where, share };
  }

  function atLoss(setting, at) {
    const points = setting.losses[at];
    if (points === undefined) return { problem: "Without static exits the plain backbone’s accuracy is not known." };
    const rows = setting.methods.filter((m) => m.iso[at]).map((method) => {
      const found = method.iso[at];
      const next = setting.budgets.findIndex((b) => 100 * b >= found.cost[0] - 1e-9);
      const i = next < 0 ? setting.budgets.length - 1 : next;
      return { method, policy: method.at[i] ?? {}, budget: setting.budgets[i], cost: found.cost, leading: found.leading };
    });
    const where = `At most ${points} ${points === 1 ? "point" : "points"} below the plain backbone’s ${percent(setting.plain.accuracy)}`;
    return { rows: rows.sort(by((row) => row.cost[0])), mix: setting.mix.iso[at], where };
  }

  function sentence(setting, rows, lead, costs) {
    const best = costs ? "costs least" : "is the most accurate";
    const [first] = rows;
    const others = lead.filter((row) => row !== first).map((row) => row.method);
    const strong = el("strong", {}, link(first.method));
    if (!setting.ranked) return [strong, ` ${best}; fewer than 6 seeds, so no difference is tested.`];
    if (!lead.length) return [strong, ` ${best} of the methods shown, but is not in the leading group.`];
    return others.length ? [strong, ` ${best}; not significantly ahead of ${names(others)}.`] : [strong, ` ${best}, significantly ahead of all others.`];
  }

  function caveat(row, costs) {
    if (costs || row.policy.gain[1] === null || row.policy.gain[1] > 0) return null;
    return el("p", { class: "caveat" }, row.policy.gain[2] < 0 ? "Every method is worse than the static hull, which needs no method." : "Not significantly better than the static hull, which needs no method.");
  }

  function facts(setting, row, costs, share) {
    const p = row.policy;
    const told = costs ? [["Cost", percent(row.cost[0]), `${ends(row.cost, plain(1))} of MACs`]] : [
      ["Accuracy", percent(p.accuracy[0]), ends(p.accuracy, plain(1))],
      ["Over the static hull", `${signed(p.gain[0])} points`, ends(p.gain, signed)],
      ["Realised cost", percent(p.cost), "of MACs"],
    ];
    told.push(["Calibration error", percent(p.ece), "ECE"], ["Set size", size(p.set), "classes for 95 %"]);
    const known = timed(setting, row, share);
    if (known) told.push(["Latency", time(known[2]), `plain ${time(setting.latency.plain)}`]);
    return el("dl", { class: "facts" }, ...told.map(([name, value, unit]) => el("div", {}, el("dt", {}, name), el("dd", {}, el("b", {}, value), " ", el("span", {}, unit)))));
  }

  function mixture(setting, mix, costs) {
    const backbone = `Plain backbone: ${percent(setting.plain.accuracy)} at 100 %.`;
    if (!mix) return el("p", { class: "small" }, costs ? "The static hull does not keep this accuracy on every seed. " : "", backbone);
    const shares = mix.shares.map(([name, share], i) => `${share}\u00a0% ${i ? "" : "of the samples "}at ${name}`).join(", ");
    const value = costs ? `costs ${percent(mix.value[0])}` : `reaches ${percent(mix.value[0])}`;
    return el("p", { class: "small" }, `Without a method: the static hull (at random, ${shares}) ${value}. ${backbone}`);
  }

  function table(setting, rows, lead, costs, share) {
    const shown = rows.slice(0, Math.max(lead.length, SHOWN));
    const ms = shown.map((row) => timed(setting, row, share)?.[2]);
    const clocked = ms.some((value) => value !== undefined);
    const heads = ["Method", ...(costs ? ["Cost, %", "Policy"] : ["Accuracy, %", "Over hull", "Cost, %"]), "ECE, %", "Set size", ...(clocked ? ["ms"] : [])];
    const line = (row, i) => {
      const p = row.policy;
      const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
      const own = costs ? [number(row.cost[0], 1), String(row.budget)] : [number(p.accuracy[0], 1), signed(p.gain[0]), number(p.cost, 1)];
      const cells = [...own, number(p.ece, 1), size(p.set), ...(clocked ? [time(ms[i]).replace(" ms", "")] : [])];
      return el("tr", row.leading ? { class: "leading" } : {}, el("th", { scope: "row" }, link(row.method)), ...cells.map((text) => el("td", { class: "number" }, text)));
    };
    const made = el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((head, i) => el("th", { scope: "col", class: i ? "number" : "" }, head)))), el("tbody", {}, ...shown.map(line)));
    const title = lead.length ? `Leading group (shaded): ${lead.length} of ${rows.length} methods` : `First ${shown.length} of ${rows.length} methods`;
    return el("details", { class: "group-of" }, el("summary", {}, title), el("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": title }, made));
  }

  function commands(setting, row) {
    const fill = (text) => text.replace("{method}", () => row.method.word).replace("{budget}", String(row.budget));
    const code = (title, text) => (text ? [el("p", { class: "small" }, title), exitbench.command(fill(text))] : []);
    const options = `Records do not keep --weights, --dtype, --precision, --channels-last and --views, so the commands use the defaults. If bench bank list shows a bank other than ${setting.bank}, the records were made with other options or data.`;
    const lacks = [...setting.lacking, ...(setting.export ? [options] : [])].map((text) => el("p", { class: "small" }, text));
    return el("details", { class: "run" }, el("summary", {}, "Commands to run it"), ...code("Measure it:", setting.run), ...code("Export it, to run it on your own inputs:", setting.export), ...lacks);
  }

  function answer(box, costs) {
    const setting = settings.find((one) => one.folder === box.dataset.setting);
    const open = [...box.querySelectorAll("details")].map((details) => details.open);
    const found = costs ? atLoss(setting, Number(loss.value)) : atBudget(setting, Number(budget.value) / 100);
    const rows = (found.rows ?? []).filter((row) => exitbench.passes(row.method.name));
    if (found.problem || !rows.length) {
      const text = found.problem ?? (costs ? "No method shown keeps this accuracy on every seed." : "No method shown reaches this budget.");
      box.replaceChildren(el("p", { class: "say" }, text), ...(found.problem ? [] : [mixture(setting, found.mix, costs)]));
      return;
    }
    const lead = rows.filter((row) => row.leading);
    const parts = [
      el("p", { class: "where" }, found.where),
      el("p", { class: "say" }, ...sentence(setting, rows, lead, costs)),
      caveat(rows[0], costs),
      facts(setting, rows[0], costs, found.share),
      mixture(setting, found.mix, costs),
      latency(setting, rows, found.share),
      table(setting, rows, lead, costs, found.share),
      commands(setting, rows[0]),
    ];
    box.replaceChildren(...parts.filter(Boolean));
    const wide = box.classList.contains("whole") && innerWidth > 900;
    box.querySelectorAll("details").forEach((details, i) => { details.open = open[i] ?? wide; });
  }

  function draw() {
    const costs = get("ask-loss").checked;
    const losses = settings.find((one) => one.losses.length)?.losses ?? [];
    loss.max = String(Math.max(losses.length - 1, 0));
    const points = losses[Number(loss.value)] ?? 0;
    const told = [[budget, "budget", `${budget.value} % of MACs`], [loss, "loss", `${points} ${points === 1 ? "point" : "points"}`]];
    for (const [input, name, text] of told) {
      get(`${name}-text`).textContent = text;
      input.setAttribute("aria-valuetext", text);
      input.closest(".ask").classList.toggle("asked", (name === "loss") === costs);
    }
    boxes.forEach((box) => answer(box, costs));
    exitbench.remember("ask", JSON.stringify([costs, budget.value, loss.value]));
  }

  function restore() {
    try {
      const [costs, share, at] = JSON.parse(exitbench.recall("ask"));
      get(costs ? "ask-loss" : "ask-budget").checked = true;
      [budget.value, loss.value] = [share, at];
    } catch { /* nothing was asked before */ }
  }

  restore();
  get("finder").hidden = false;
  budget.addEventListener("input", () => { get("ask-budget").checked = true; draw(); });
  loss.addEventListener("input", () => { get("ask-loss").checked = true; draw(); });
  document.querySelectorAll("[name=ask]").forEach((input) => input.addEventListener("change", draw));
  document.addEventListener("filterchange", draw);
  draw();
})();
