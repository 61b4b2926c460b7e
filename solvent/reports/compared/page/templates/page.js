"use strict";
// Sorting, filtering and hovering. The page says the same without it, only longer.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  document.documentElement.classList.add("scripted");

  // Tables: a button in every header; what is missing stays last, equal lines keep their order.
  const words = new Intl.Collator("en", { numeric: true });
  const numberOf = (text) => {
    const found = text.replace(/,/g, "").replace(/−/g, "-").match(/-?\d+(\.\d+)?(e-?\d+)?/);
    return found ? Number(found[0]) : null;
  };
  const textOf = (text) => (text === "" || text === "–" ? null : text);
  function sort(table, header, direction) {
    const column = [...header.parentNode.children].indexOf(header);
    const read = header.dataset.kind === "number" ? numberOf : textOf;
    const lines = [...table.tBodies[0].rows].map((row) => [read(row.cells[column].textContent.trim()), row]);
    const compare = header.dataset.kind === "number" ? (a, b) => a - b : words.compare;
    lines.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return direction * compare(a, b);
    });
    table.tBodies[0].append(...lines.map(([, row]) => row));
    for (const other of all("th[aria-sort]", table)) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
  }
  for (const table of all("table.sortable")) {
    for (const header of all("thead th", table)) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        sort(table, header, header.getAttribute("aria-sort") === "ascending" ? -1 : 1);
      });
    }
  }
  for (const radio of all("input[name=set]")) {
    const show = () => { document.getElementById("arms-table").dataset.set = radio.value; };
    radio.addEventListener("change", show);
    if (radio.checked) show();
  }

  // Filters: of a choice that a line knows nothing of, it takes no notice.
  const form = document.getElementById("filters");
  const rows = all("[data-row]");
  const groups = all("[data-group]");
  const arms = all("#arms-table [data-row]");
  const haystacks = new Map(rows.map((row) => [row, row.dataset.name.toLowerCase()]));
  function filter() {
    const wanted = Object.fromEntries(new FormData(form));
    const terms = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    delete wanted.text;
    const fits = (element) => Object.entries(wanted).every(
      ([key, value]) => !value || !(key in element.dataset) || element.dataset[key] === value);
    for (const row of rows) {
      row.hidden = !(fits(row) && terms.every((term) => haystacks.get(row).includes(term)));
      row.classList.toggle("away", row.hidden);
    }
    for (const group of groups) {
      const inside = all("[data-row]", group);
      group.hidden = !fits(group) || (inside.length > 0 && inside.every((row) => row.hidden));
    }
    const left = arms.filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent =
      left === arms.length ? `${left} lines` : `${left} of ${arms.length} lines`;
    all(".figure").forEach(enter);
  }
  document.addEventListener("input", (event) => event.target.form === form && filter());
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  for (const link of all("[data-choose]")) {
    link.addEventListener("click", () => {
      form.elements.verdict.value = link.dataset.choose;
      filter();
    });
  }

  // Plots: one stop of the Tab key each, arrows inside; what a mark says is its label.
  const tip = document.getElementById("tip");
  const marksOf = (figure) => all(".mark", figure).filter((mark) => !mark.classList.contains("away"));
  function enter(figure) {
    marksOf(figure).forEach((mark, index) => mark.setAttribute("tabindex", index ? -1 : 0));
  }
  let told = null;
  function tell(mark) {
    told = mark;
    tip.textContent = mark.getAttribute("aria-label");
    tip.hidden = false;
    place();
  }
  function place() {
    if (tip.hidden) return;
    const at = (told.querySelector("svg svg, .touch") || told).getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const left = at.left + at.width / 2 - size.width / 2;
    tip.style.left = `${Math.max(8, Math.min(left, innerWidth - size.width - 8))}px`;
    tip.style.top = `${at.top > size.height + 12 ? at.top - size.height - 8 : at.bottom + 8}px`;
  }
  const hush = () => { tip.hidden = true; };
  for (const figure of all(".figure")) {
    enter(figure);
    for (const mark of all(".mark", figure)) {
      mark.addEventListener("pointerenter", () => tell(mark));
      mark.addEventListener("pointerleave", (event) => {
        if (event.pointerType === "mouse" && told === mark) hush();
      });
      mark.addEventListener("focus", () => tell(mark));
      mark.addEventListener("blur", hush);
    }
    figure.addEventListener("keydown", (event) => {
      const marks = marksOf(figure);
      const here = marks.indexOf(document.activeElement);
      const to = {
        ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1,
        Home: 0, End: marks.length - 1,
      }[event.key];
      if (here < 0 || to === undefined || !marks[to]) return;
      event.preventDefault();
      marks[here].setAttribute("tabindex", -1);
      marks[to].setAttribute("tabindex", 0);
      marks[to].focus();
    });
  }
  document.addEventListener("keydown", (event) => event.key === "Escape" && hush());
  document.addEventListener("pointerdown", (event) => event.target.closest(".mark") || hush());
  addEventListener("scroll", place, { passive: true }); // a focus far away scrolls there, too

  // Paper has no folds.
  addEventListener("beforeprint", () => all("details").forEach((each) => { each.open = true; }));
  filter();
})();
