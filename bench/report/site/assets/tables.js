"use strict";
// Tables: sorting by a column, and a filter by words.
(() => {
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

  document.querySelectorAll("table.data").forEach(sortable);
  document.querySelectorAll("section.grid").forEach(filterable);
})();
