// A table of any length: only its visible rows are in the document. The page scrolls, not the table.
import { createElement } from "./dom.js";

const MARGIN = 6; // rows above and below the visible ones
const AHEAD = 40; // rows before the end at which more are requested

// List draws items with a key in a grid element. Its focus stays on the grid; one row is active (aria-activedescendant).
export class List {
  // columns: [{ label, className, grow, draw(item) → text or node }]; onOpen(item) is called for a click and Enter; onEnd
  // is called when the last rows come into view; linkOf(item) is the address of an item.
  constructor(grid, { onOpen, onEnd, linkOf }) {
    Object.assign(this, { grid, onOpen, onEnd, linkOf });
    this.columns = [];
    this.items = [];
    this.rows = new Map(); // by key: { element, item }
    this.activeKey = "";
    this.openKey = "";
    this.head = createElement("div", { className: "list-head" });
    this.head.setAttribute("role", "row");
    this.body = createElement("div", { className: "list-body" });
    this.body.setAttribute("role", "rowgroup");
    grid.replaceChildren(this.head, this.body);
    addEventListener("scroll", () => this.draw(), { passive: true });
    addEventListener("resize", () => this.draw());
    grid.addEventListener("keydown", (event) => this.onKey(event));
    grid.addEventListener("focus", () => this.activate(this.activeIndex()));
    this.body.addEventListener("click", (event) => this.onClick(event));
  }

  setColumns(columns, className) {
    this.columns = columns;
    this.grid.className = "list " + className;
    this.grid.setAttribute("aria-colcount", String(columns.length));
    this.head.replaceChildren(...columns.map(({ label, grow = 1, className: kind = "" }) => {
      const cell = createElement("span", { className: kind, textContent: label });
      cell.style.flexGrow = grow;
      cell.setAttribute("role", "columnheader");
      return cell;
    }));
    this.activeKey = "";
    this.clearRows();
  }

  // setItems shows items: [{ key, entity, version }]. openKey is the one whose details are shown.
  setItems(items, openKey = "") {
    this.items = items;
    this.openKey = openKey;
    this.draw();
  }

  clearRows() {
    for (const { element } of this.rows.values()) element.remove();
    this.rows.clear();
  }

  // draw adds, moves and removes rows so that those in the window are in the document.
  draw() {
    if (!this.grid.offsetParent) return;
    const height = this.rowHeight();
    this.body.style.height = `${this.items.length * height}px`;
    this.grid.setAttribute("aria-rowcount", String(this.items.length + 1)); // with the head
    const { top } = this.body.getBoundingClientRect();
    const first = Math.max(0, Math.floor(-top / height) - MARGIN);
    const last = Math.min(this.items.length, Math.ceil((innerHeight - top) / height) + MARGIN);
    const visible = this.items.slice(first, last);
    const keys = new Set(visible.map(({ key }) => key));
    for (const [key, { element }] of this.rows) {
      if (keys.has(key)) continue;
      element.remove();
      this.rows.delete(key);
    }
    visible.forEach((item, offset) => this.drawRow(item, first + offset, height));
    this.setActiveDescendant();
    if (last > this.items.length - AHEAD) this.onEnd();
  }

  rowHeight() {
    return parseFloat(getComputedStyle(this.grid).getPropertyValue("--row-height"));
  }

  drawRow(item, index, height) {
    let row = this.rows.get(item.key);
    if (row?.item !== item) {
      const element = this.createRow(item);
      if (row) row.element.replaceWith(element);
      else this.body.append(element);
      row = { element, item };
      this.rows.set(item.key, row);
    }
    row.element.style.transform = `translateY(${index * height}px)`;
    row.element.setAttribute("aria-rowindex", String(index + 2)); // after the head
    row.element.setAttribute("aria-selected", String(item.key === this.openKey));
    row.element.classList.toggle("active", item.key === this.activeKey);
  }

  createRow(item) {
    const cells = this.columns.map(({ draw, grow = 1, className = "" }, index) => {
      const content = draw(item.entity);
      const inner = index === 0
        ? createElement("a", { href: this.linkOf(item), tabIndex: -1 }, content) : content;
      const cell = createElement("span", { className }, inner);
      if (typeof content === "string") cell.title = content;
      cell.style.flexGrow = grow;
      cell.setAttribute("role", "gridcell");
      return cell;
    });
    const row = createElement("div", { className: "list-row", id: "row-" + item.key }, ...cells);
    row.dataset.key = item.key;
    row.setAttribute("role", "row");
    return row;
  }

  onClick(event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return; // a new tab or window
    const link = event.target.closest("a");
    if (link && !link.parentElement.matches(".main")) return; // it leads elsewhere than its row
    const key = event.target.closest(".list-row")?.dataset.key;
    const item = key && this.rows.get(key)?.item;
    if (!item) return;
    event.preventDefault();
    this.activeKey = key;
    this.onOpen(item);
  }

  onKey(event) {
    const page = Math.max(1, Math.floor(innerHeight / this.rowHeight()) - 3);
    const at = this.activeIndex();
    const to = {
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.items.length - 1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.activate(to);
    } else if (event.key === "Enter" && this.items[at]) {
      event.preventDefault();
      this.onOpen(this.items[at]);
    }
  }

  // activeIndex returns the index of the active row, or 0 if it is gone.
  activeIndex() {
    return Math.max(0, this.items.findIndex(({ key }) => key === this.activeKey));
  }

  // activate makes a row the active one and scrolls it into view, below the head that stays at the top.
  activate(index) {
    const item = this.items[Math.min(Math.max(index, 0), this.items.length - 1)];
    if (!item) return;
    this.activeKey = item.key;
    const height = this.rowHeight();
    const top = this.body.getBoundingClientRect().top + this.activeIndex() * height;
    const headHeight = this.head.offsetHeight;
    if (top < headHeight) scrollBy(0, top - headHeight);
    else if (top + height > innerHeight) scrollBy(0, top + height - innerHeight + 8);
    this.draw();
  }

  setActiveDescendant() {
    const row = this.rows.get(this.activeKey);
    if (row) this.grid.setAttribute("aria-activedescendant", row.element.id);
    else this.grid.removeAttribute("aria-activedescendant");
  }
}
