// Sort a table by the column whose title is clicked: numbers by size, text by letters, what is undefined last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const ascending = head.getAttribute("aria-sort") === "descending" || (!head.hasAttribute("aria-sort") && !table.tBodies[0].rows[0]?.cells[column].classList.contains("number"));
    const key = row => row.cells[column].dataset.order;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const numbers = row => row.cells[column].classList.contains("number");
      const order = numbers(a) && numbers(b) ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
      return ascending ? order : -order;
    });
    heads.forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    table.tBodies[0].append(...rows);
  }));
}
