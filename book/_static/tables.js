// Tables of class "sortable": a click, Enter or Space on a heading sorts by that column.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.querySelectorAll("thead tr:first-child th")];
    headings.forEach((heading) => {
      const column = heading.cellIndex;
      const sort = () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        headings.forEach((other) => other.setAttribute("aria-sort", "none"));
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const text = (row) => row.cells[column]?.textContent.trim() ?? "";
        const rows = [...table.tBodies[0].rows].sort((a, b) =>
          text(a).localeCompare(text(b), undefined, { numeric: true }));
        table.tBodies[0].append(...(down ? rows.reverse() : rows));
      };
      heading.setAttribute("aria-sort", "none");
      heading.tabIndex = 0;
      heading.addEventListener("click", sort);
      heading.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
      });
    });
  }
});
