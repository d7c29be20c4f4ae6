// The grid of container instances. It is a canvas because thousands of elements would be slow. One element lies over
// the selected cell so that screen readers and the keyboard focus find it.
import { GridLayout } from "./gridlayout.js";
import { stateOf } from "./instancestate.js";
import { createSpriteSheet, readColours } from "./symbols.js";

const MAX_CANVAS_HEIGHT = 16_000; // device pixels that every browser supports
const DIMMED_OPACITY = 0.16;
const ROWS_PER_PAGE = 10; // PageUp and PageDown
const MAX_GROUPS = 100;

// Grid keeps the order of its instances while the page is open: new ones are appended, to their group if there are
// groups.
export class Grid {
  // labelOf returns the accessible name of an instance. showDetail receives the instance under the pointer, otherwise
  // the selected one, otherwise null. showGroups receives the groups: their items, and the top of their labels.
  constructor({ root, canvas, cells, labelOf, showDetail, showGroups }) {
    Object.assign(this, { root, canvas, cells, labelOf, showDetail, showGroups });
    this.items = []; // those of a group are side by side
    this.grouped = false;
    this.groups = []; // { group, first, count }: the index of the first instance, and their number
    this.cellLayout = null; // a GridLayout; null while the grid is invisible
    this.indexByARN = new Map();
    this.selected = -1; // index of the selected instance
    this.hovered = -1; // index of the instance under the pointer
    this.activeCell = 0; // index in cells of the one that is visible
    this.matches = null; // predicate of the highlighted instances; null highlights all
    this.scale = 1; // device pixels in a CSS pixel
    this.sprites = null; // created for the current size and colours
    this.changed = new Set(); // indexes to paint
    this.repaintAll = true;
    this.layoutPending = false;
    this.regroupPending = false;
    this.frame = 0;
    this.paintTime = { count: 0, total: 0, worst: 0 }; // milliseconds
    this.listen();
    this.updateColours();
  }

  get side() { return this.cellLayout?.side ?? 0; } // of a cell, in CSS pixels

  get columns() { return this.cellLayout?.columns ?? 1; }

  listen() {
    new ResizeObserver(() => this.layout()).observe(this.root);
    this.root.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") this.hover(this.indexAt(event));
    });
    this.root.addEventListener("pointerleave", () => this.hover(-1));
    this.root.addEventListener("click", (event) => this.selectIndex(this.indexAt(event)));
    this.root.addEventListener("keydown", (event) => this.handleKey(event));
    this.root.addEventListener("focus", () => {
      if (this.selected < 0) this.selectIndex(0);
    });
  }

  // replaceAll shows these instances and no others. It keeps the selected instance selected.
  replaceAll(instances) {
    const selectedARN = this.items[this.selected]?.containerInstance;
    this.items = this.grouped ? inGroups(instances) : instances;
    this.setItems(selectedARN);
  }

  setItems(selectedARN) {
    this.indexByARN = new Map(this.items.map((item, index) => [item.containerInstance, index]));
    this.selected = this.indexByARN.get(selectedARN) ?? -1;
    this.hovered = -1;
    this.layout();
  }

  // setGrouped groups the instances by their property group, or not.
  setGrouped(grouped) {
    this.grouped = grouped;
    this.replaceAll(this.items);
  }

  clear() {
    this.selected = -1;
    this.replaceAll([]);
  }

  // upsert replaces an instance or appends a new one.
  upsert(item) {
    const index = this.indexByARN.get(item.containerInstance);
    const movesToGroup = this.grouped && item.group !== this.items[index]?.group;
    if (index === undefined) {
      this.indexByARN.set(item.containerInstance, this.items.length);
      this.items.push(item);
      this.changed.add(this.items.length - 1);
      this.layoutPending = true;
    } else {
      this.items[index] = item;
      this.changed.add(index);
    }
    this.regroupPending ||= movesToGroup;
    this.schedulePaint();
  }

  remove(arns) {
    const removed = new Set(arns);
    this.replaceAll(this.items.filter((item) => !removed.has(item.containerInstance)));
  }

  // highlight dims the instances for which matches is false; null highlights all.
  highlight(matches) {
    this.matches = matches;
    this.repaintAll = true;
    this.schedulePaint();
  }

  updateColours() {
    this.colours = readColours();
    this.sprites = null;
    this.repaintAll = true;
    this.schedulePaint();
  }

  // layout chooses the largest cells with which all instances fit on the screen.
  layout() {
    const width = this.root.clientWidth;
    if (!width) return;
    this.groups = this.grouped ? groupsOf(this.items) : [{ group: "", first: 0, count: this.items.length }];
    this.cellLayout = new GridLayout({
      width,
      maxHeight: Math.min(Math.max(innerHeight * 0.55, 260), 620),
      counts: this.groups.map(({ count }) => count),
      labelled: this.grouped,
    });
    this.resize();
    this.updateGroups();
    this.repaintAll = true;
    this.layoutPending = false;
    this.schedulePaint();
    this.moveCell();
  }

  // updateGroups draws the lines above the groups, which count the states of their instances.
  updateGroups() {
    this.showGroups(!this.grouped || !this.cellLayout ? [] : this.groups.map(({ group, first, count }, number) => ({
      group, items: this.items.slice(first, first + count), top: this.cellLayout.groups[number].top,
    })));
  }

  resize() {
    const { side, columns, height } = this.cellLayout;
    const density = devicePixelRatio || 1;
    const scale = height * density > MAX_CANVAS_HEIGHT ? 1 : density;
    const shape = [side, columns, height, scale].join();
    if (shape === this.shape) return;
    this.shape = shape;
    this.scale = scale;
    this.sprites = null;
    this.canvas.width = Math.round(columns * side * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.width = columns * side + "px";
    this.canvas.style.height = height + "px";
  }

  schedulePaint() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  paint() {
    const start = performance.now();
    if (this.regroupPending) this.regroup();
    else if (this.layoutPending) this.layout();
    else if (this.changed.size) this.updateGroups();
    if (!this.cellLayout) return; // invisible; layout paints when the grid gets a size
    const context = this.canvas.getContext("2d");
    if (this.repaintAll) {
      context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      for (let index = 0; index < this.items.length; index++) this.paintInstance(context, index);
    } else {
      for (const index of this.changed) this.paintInstance(context, index);
    }
    context.globalAlpha = 1;
    if (this.repaintAll || this.changed.has(this.selected) || this.changed.has(this.hovered)) this.updateDetail();
    this.repaintAll = false;
    this.changed.clear();
    const elapsed = performance.now() - start;
    this.paintTime.count++;
    this.paintTime.total += elapsed;
    this.paintTime.worst = Math.max(this.paintTime.worst, elapsed);
  }

  // regroup puts instances that are new, or that have changed their group, where they belong.
  regroup() {
    this.regroupPending = false;
    this.replaceAll(this.items);
  }

  paintInstance(context, index) {
    const pitch = this.side * this.scale;
    const gap = Math.max(1, Math.round(this.side / 8)) * this.scale;
    const size = Math.max(1, Math.round(pitch - gap));
    const position = this.cellLayout.position(index);
    const x = Math.round(position.x * this.scale);
    const y = Math.round(position.y * this.scale);
    context.clearRect(x, y, size, size);
    const item = this.items[index];
    if (!item) return;
    this.sprites ??= createSpriteSheet(size, this.colours);
    const { image, offsets } = this.sprites;
    context.globalAlpha = this.matches && !this.matches(item) ? DIMMED_OPACITY : 1;
    context.drawImage(image, offsets[stateOf(item)] ?? offsets.excluded, 0, size, size, x, y, size, size);
  }

  // indexAt returns the index of the instance under a pointer event, or -1.
  indexAt(event) {
    const box = this.canvas.getBoundingClientRect();
    return this.cellLayout?.indexAt(event.clientX - box.left, event.clientY - box.top) ?? -1;
  }

  hover(index) {
    if (index === this.hovered) return;
    this.hovered = index;
    this.updateDetail();
  }

  handleKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !this.items.length) return;
    const index = this.indexForKey(event.key);
    if (index === undefined) return;
    event.preventDefault();
    this.selectIndex(index);
  }

  // indexForKey returns undefined for other keys, and an index outside the grid if a key leads there.
  indexForKey(key) {
    const last = this.items.length - 1;
    const from = Math.max(this.selected, 0);
    const within = (index) => Math.max(0, Math.min(index, last));
    switch (key) {
      case "ArrowRight": return from + 1;
      case "ArrowLeft": return from - 1;
      case "ArrowDown": return this.cellLayout.below(from, 1);
      case "ArrowUp": return this.cellLayout.below(from, -1);
      case "PageDown": return within(this.cellLayout.below(from, ROWS_PER_PAGE));
      case "PageUp": return within(this.cellLayout.below(from, -ROWS_PER_PAGE));
      case "Home": return 0;
      case "End": return last;
      case "f": case "F": return this.findNext("failing", from);
    }
    return undefined;
  }

  // findNext returns the index of the next instance in that state and continues at the start after the end.
  findNext(state, from) {
    for (let offset = 1; offset <= this.items.length; offset++) {
      const index = (from + offset) % this.items.length;
      if (stateOf(this.items[index]) === state) return index;
    }
    return from;
  }

  // selectIndex alternates between two elements because screen readers only read an element that becomes active.
  selectIndex(index) {
    if (!this.items[index]) return;
    this.selected = index;
    this.hovered = -1;
    this.cells[this.activeCell].hidden = true;
    this.activeCell = 1 - this.activeCell;
    this.moveCell();
    this.updateDetail();
    this.cells[this.activeCell].scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  selectInstance(arn) {
    if (!this.indexByARN.has(arn)) return;
    this.root.focus();
    this.selectIndex(this.indexByARN.get(arn));
  }

  // moveCell puts the active element over the selected instance.
  moveCell() {
    if (this.selected < 0) {
      for (const cell of this.cells) cell.hidden = true;
      this.root.removeAttribute("aria-activedescendant");
      return;
    }
    const cell = this.cells[this.activeCell];
    if (!this.cellLayout) return;
    const { x, y } = this.cellLayout.position(this.selected);
    cell.hidden = false;
    cell.style.transform = `translate(${x - 2}px, ${y - 2}px)`; // the border is 2px wide
    cell.style.width = this.side + 2 + "px";
    cell.style.height = this.side + 2 + "px";
    cell.setAttribute("aria-posinset", this.selected + 1);
    cell.setAttribute("aria-setsize", this.items.length);
    this.root.setAttribute("aria-activedescendant", cell.id);
  }

  updateDetail() {
    const selected = this.items[this.selected];
    if (selected) this.cells[this.activeCell].setAttribute("aria-label", this.labelOf(selected));
    this.showDetail(this.items[this.hovered] ?? selected ?? null);
  }
}

// inGroups sorts instances by their group; those without one come last. The order within a group stays.
function inGroups(items) {
  const name = ({ group }) => group ?? "";
  return [...items].sort((a, b) => !name(a) - !name(b) || name(a).localeCompare(name(b), undefined, { numeric: true }));
}

// groupsOf returns the groups of instances that inGroups has sorted: { group, first, count }. Those beyond MAX_GROUPS
// are one group.
function groupsOf(items) {
  const groups = [];
  items.forEach(({ group = "" }, index) => {
    const last = groups.at(-1);
    if (last?.group === group || last?.others) {
      last.count++;
      return;
    }
    const others = groups.length === MAX_GROUPS - 1;
    groups.push({ group: others ? "all other values" : group, first: index, count: 1, others });
  });
  return groups.length ? groups : [{ group: "", first: 0, count: 0 }];
}
