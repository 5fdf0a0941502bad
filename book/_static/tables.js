// Tables of class "sortable": the buttons in their headings sort by that column.

/** The number that a text begins with, such as 1,329 or −0.5; NaN if with none. */
function numberOf(text) {
  return parseFloat(text.replaceAll(",", "").replace(/^[−–]/, "-"));
}

/** Numbers by size, words by the alphabet, and numbers before words. */
function compare(a, b) {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
  return x - y || a.localeCompare(b);
}

document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.querySelectorAll("thead tr:first-child th")];
    const named = headings.filter((heading) => heading.textContent.trim());
    for (const heading of named) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        named.forEach((other) => other.setAttribute("aria-sort", "none"));
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const text = (row) => row.cells[heading.cellIndex]?.textContent.trim() ?? "";
        const rows = [...table.tBodies[0].rows].sort((a, b) => compare(text(a), text(b)));
        table.tBodies[0].append(...(down ? rows.reverse() : rows));
      });
    }
  }
});
