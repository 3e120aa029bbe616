// Sorts and filters tables. Every page reads fully without it.
"use strict";

// The number that a cell begins with, as in "0.70 [0.62, 0.76]" or "1-2"; else its text.
function valueOf(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = Number.parseFloat(text);
  return Number.isNaN(number) ? text : number;
}

// Words after numbers, and what is empty or not defined at the end, whichever way it is sorted.
function compare(a, b, sign) {
  const isLast = (value) => value === "" || value === "not defined";
  if (isLast(a) || isLast(b)) return isLast(a) - isLast(b);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en"));
}

function sort(table, column, button) {
  const header = button.parentElement;
  const isFigure = !header.classList.contains("word");
  const before = header.getAttribute("aria-sort");
  const order = before === "descending" || (before === null && !isFigure) ? "ascending" : "descending";
  const sign = order === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, value: valueOf(row, column) }));
  rows.sort((a, b) => compare(a.value, b.value, sign));
  body.append(...rows.map((each) => each.row));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", order);
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sort(table, column, button));
  });
}

function makeFilter(form) {
  const tables = [...form.parentElement.querySelectorAll("table")];
  const words = form.querySelector("input");
  const group = form.querySelector("select");
  const filter = () => {
    const sought = words.value.trim().toLowerCase();
    for (const row of tables.flatMap((table) => [...table.tBodies[0].rows])) {
      const name = row.querySelector("th").textContent.toLowerCase();
      const isInGroup = !group || !group.value || row.dataset.group === group.value;
      row.hidden = !(name.includes(sought) && isInGroup);
    }
    const rows = [...tables[0].tBodies[0].rows];
    const shown = rows.filter((row) => !row.hidden).length;
    form.querySelector("output").value = shown < rows.length ? `${shown} of ${rows.length} shown` : "";
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
}

document.querySelectorAll("table[data-sortable]").forEach(makeSortable);
document.querySelectorAll("form.filter").forEach(makeFilter);
