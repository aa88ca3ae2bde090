"use strict";
// Theme, tabs, commands to copy, and the filters by family, fidelity and modality.
const exitbench = (() => {
  const root = document.documentElement;
  const remember = (key, value) => { try { localStorage.setItem(`exitbench-${key}`, value); } catch { /* storage is not available */ } };
  const recall = (key) => { try { return localStorage.getItem(`exitbench-${key}`); } catch { return null; } };
  const tell = (name) => document.dispatchEvent(new Event(name));

  const themes = ["system", "light", "dark"];
  const wear = (theme) => { if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme; };
  let theme = themes.includes(recall("theme")) ? recall("theme") : "system";
  wear(theme);
  root.classList.add("js");

  function themeButton() {
    const button = document.getElementById("theme");
    const name = () => { button.textContent = `Theme: ${theme}`; };
    button.hidden = false;
    name();
    button.addEventListener("click", () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      wear(theme);
      remember("theme", theme);
      name();
      tell("themechange");
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => tell("themechange"));
  }

  function tabs(nav) {
    const links = [...nav.querySelectorAll("a")];
    const panels = links.map((link) => document.getElementById(link.hash.slice(1)));
    nav.querySelector("ul").setAttribute("role", "tablist");
    links.forEach((link, i) => {
      link.parentElement.setAttribute("role", "presentation");
      link.setAttribute("role", "tab");
      link.id = `tab-${panels[i].id}`;
      link.setAttribute("aria-controls", panels[i].id);
      panels[i].setAttribute("role", "tabpanel");
      panels[i].setAttribute("aria-labelledby", link.id);
      link.addEventListener("click", (event) => {
        event.preventDefault();
        show(i);
        link.scrollIntoView({ block: "nearest", inline: "nearest" });
        history.replaceState(null, "", link.hash);
      });
      link.addEventListener("keydown", (event) => {
        const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: links.length - 1, " ": i }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        const next = (to + links.length) % links.length;
        links[next].focus();
        links[next].click();
      });
    });
    function show(at) {
      links.forEach((link, i) => {
        link.setAttribute("aria-selected", String(i === at));
        link.tabIndex = i === at ? 0 : -1;
        panels[i].classList.toggle("shown", i === at);
      });
      tell("tabchange");
    }
    function follow() { // a link to an element within a panel opens the panel
      const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
      const at = panels.findIndex((panel) => target && panel.contains(target));
      show(Math.max(at, 0));
      if (at >= 0) links[at].scrollIntoView({ block: "nearest", inline: "nearest" });
      if (at >= 0 && !panels.includes(target)) target.scrollIntoView();
    }
    addEventListener("hashchange", follow);
    follow();
  }

  const chosen = {};
  const known = (label) => (window.exitbenchMethods ?? {})[label]; // undefined for reference lines, which pass every filter
  const passes = (label) => !known(label) || ["family", "basis"].every((key) => !chosen[key] || known(label)[key] === chosen[key]);

  function filters() {
    const box = document.getElementById("filters");
    if (!box) return;
    box.hidden = false;
    box.open = innerWidth > 900;
    const marked = [...document.querySelectorAll("[data-method], [data-modality]")];
    const labels = [...new Set(marked.map((e) => e.dataset.method).filter(known))];
    const output = document.getElementById("filtered");
    box.querySelectorAll("select").forEach((select) => {
      const key = select.dataset.filter;
      if (key !== "modality") {
        const values = new Set(labels.map((label) => known(label)[key]).filter(Boolean));
        select.append(...[...values].sort().map((value) => new Option(value)));
      }
      select.addEventListener("change", () => {
        chosen[key] = select.value;
        for (const e of marked) {
          const other = chosen.modality && e.dataset.modality && !e.dataset.modality.split(" ").includes(chosen.modality);
          e.classList.toggle("filtered", Boolean(other) || (e.dataset.method !== undefined && !passes(e.dataset.method)));
        }
        const left = labels.filter(passes).length;
        output.textContent = chosen.family || chosen.basis ? `${left} of ${labels.length} methods` : "";
        tell("filterchange");
      });
    });
  }

  const make = (tag, text = "") => { const made = document.createElement(tag); made.textContent = text; return made; };

  function write(pre, text) { // words that break only where they are longer than a line, as in parts.html
    pre.replaceChildren(...text.split(" ").flatMap((word, i) => [i ? " " : "", make("span", word)]));
  }

  function command(text) { // a command with its button, as in parts.html
    const [box, pre, button] = [make("div"), make("pre"), make("button", "Copy")];
    [box.className, pre.className, button.className] = ["copyable", "command", "copy"];
    [pre.tabIndex, button.type] = [0, "button"];
    write(pre, text);
    box.append(pre, button);
    return box;
  }

  function copy(event) {
    const button = event.target.closest?.("button.copy");
    if (!button) return;
    const text = button.previousElementSibling;
    getSelection().selectAllChildren(text); // where the clipboard is not allowed, the text is at least selected
    navigator.clipboard?.writeText(text.textContent).then(() => { button.textContent = "Copied"; }, () => {});
  }

  function policy(box) { // the command that exports a policy, for the chosen budget
    const [budget, text, button] = ["select", "pre", "button"].map((tag) => box.querySelector(tag));
    budget.addEventListener("change", () => {
      write(text, box.dataset.command.replace("{budget}", budget.value));
      button.textContent = "Copy";
    });
  }

  document.addEventListener("click", copy);
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-command]").forEach(policy);
    themeButton();
    filters();
    document.querySelectorAll("nav.tabs").forEach(tabs);
  });
  return { passes, remember, recall, command };
})();
