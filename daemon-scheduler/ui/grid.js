// The grid of container instances: a canvas, as thousands of elements would be slow, and beside it one element for the instance that
// the keyboard is at, so that screen readers and eyes find it.

export const STATES = [
  ["running", "Running"], ["starting", "Starting"], ["outdated", "Outdated"], ["missing", "Missing"], ["failing", "Failing"],
  ["draining", "Draining"], ["disconnected", "Disconnected"], ["excluded", "Not wanted"],
];
export const LABELS = Object.fromEntries(STATES);

// stateOf is what is shown of an instance: what its daemon is doing or, before that, that it leaves or is out of reach.
export function stateOf(i) {
  if (i.state === "failed") return "failing";
  if (i.status === "DRAINING") return "draining";
  if (i.state === "excluded") return "excluded";
  if (!i.agentConnected) return "disconnected";
  return i.state === "pending" ? "starting" : i.state;
}

export const shortOf = (arn) => arn.slice(arn.lastIndexOf("/") + 1);
export const nameOf = (i) => i.ec2InstanceId || shortOf(i.containerInstance);

// draw makes a state's sign in a square of that side: each has a shape of its own, whatever the colour.
function draw(c, state, side, colours) {
  const colour = colours[state], hole = colours.card;
  const w = Math.max(1, side / 9), r = side / 6;
  const box = (inset, radius) => { c.beginPath(); c.roundRect(inset, inset, side - 2 * inset, side - 2 * inset, Math.max(0, radius)); };
  const outline = () => { box(w / 2, r); c.lineWidth = w; c.strokeStyle = colour; c.stroke(); };
  c.clearRect(0, 0, side, side);
  c.fillStyle = colour;
  switch (state) {
    case "running": box(0, r); c.fill(); break;
    case "starting":
      box(0, r); c.fill();
      c.fillStyle = hole; c.beginPath(); c.arc(side / 2, side / 2, side * 0.24, 0, 7); c.fill(); break;
    case "outdated":
      outline(); c.globalAlpha = 0.6; c.beginPath(); c.moveTo(w, w); c.lineTo(side - w, side - w); c.lineTo(w, side - w); c.closePath(); c.fill(); c.globalAlpha = 1; break;
    case "missing": outline(); break;
    case "failing": {
      box(0, r); c.fill();
      const a = side * 0.27, b = side - a;
      c.strokeStyle = hole; c.lineWidth = Math.max(1.2, side / 7); c.lineCap = "round";
      c.beginPath(); c.moveTo(a, a); c.lineTo(b, b); c.moveTo(b, a); c.lineTo(a, b); c.stroke(); break;
    }
    case "draining": outline(); c.fillRect(w, side / 2, side - 2 * w, side / 2 - w); break;
    case "disconnected":
      outline(); c.lineWidth = w * 1.2; c.beginPath(); c.moveTo(side - w, w); c.lineTo(w, side - w); c.stroke(); break;
    default: c.beginPath(); c.arc(side / 2, side / 2, side * 0.18, 0, 7); c.fill();
  }
}

export function colours() {
  const style = getComputedStyle(document.documentElement), found = {};
  for (const [state] of STATES) found[state] = style.getPropertyValue("--" + state).trim();
  found.card = style.getPropertyValue("--card").trim();
  return found;
}

// sign is a small canvas with a state's sign.
export function sign(state) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true");
  canvas.dataset.state = state;
  resign(canvas);
  return canvas;
}

// resign draws a sign anew, after the colours have changed.
export function resign(canvas) {
  const side = Math.round(14 * (devicePixelRatio || 1));
  canvas.width = canvas.height = side;
  draw(canvas.getContext("2d"), canvas.dataset.state, side, colours());
}

const SIDES = [40, 32, 28, 24, 20, 17, 15, 13, 11, 10, 9]; // of a cell with the gap, in pixels
const MOST_CANVAS = 16_000; // device pixels that a canvas can surely be high

// Grid shows instances in an order that stays while the page is open: new ones come last.
export class Grid {
  constructor({ root, canvas, cells, label, picked }) {
    Object.assign(this, { root, canvas, cells, label, picked });
    this.items = []; this.index = new Map(); this.at = -1; this.hover = -1; this.turn = 0;
    this.dirty = new Set(); this.all = true; this.frame = 0; this.wanted = null; this.side = 0; this.columns = 1;
    this.frames = { count: 0, total: 0, worst: 0 }; // what drawing has cost, in milliseconds
    new ResizeObserver(() => this.layout()).observe(root);
    this.recolour();
    root.addEventListener("pointermove", (e) => { if (e.pointerType !== "touch") this.over(this.find(e)); });
    root.addEventListener("pointerleave", () => this.over(-1));
    root.addEventListener("click", (e) => { const i = this.find(e); if (i >= 0) this.go(i); });
    root.addEventListener("keydown", (e) => this.key(e));
    root.addEventListener("focus", () => { if (this.at < 0 && this.items.length) this.go(0); });
  }

  // reset shows these instances and no others.
  reset(instances) {
    const was = this.items[this.at]?.containerInstance;
    this.items = instances;
    this.index = new Map(instances.map((item, i) => [item.containerInstance, i]));
    this.at = was !== undefined && this.index.has(was) ? this.index.get(was) : -1;
    this.hover = -1;
    this.layout();
  }

  // put shows an instance as it is now.
  put(item) {
    const i = this.index.get(item.containerInstance);
    if (i === undefined) {
      this.index.set(item.containerInstance, this.items.length);
      this.items.push(item);
      this.dirty.add(this.items.length - 1);
      this.lay = true;
    } else {
      this.items[i] = item;
      this.dirty.add(i);
    }
    this.schedule();
  }

  // drop takes instances away.
  drop(arns) {
    const gone = new Set(arns);
    this.reset(this.items.filter((item) => !gone.has(item.containerInstance)));
  }

  // pick shows those for which wanted is true more than others; null shows all alike.
  pick(wanted) { this.wanted = wanted; this.all = true; this.schedule(); }

  recolour() {
    this.colours = colours();
    this.sprites = null;
    this.all = true;
    this.schedule();
  }

  layout() {
    const width = this.root.clientWidth, n = this.items.length;
    if (!width) return;
    const height = Math.min(Math.max(innerHeight * 0.55, 260), 620);
    const side = SIDES.find((s) => Math.ceil(n / Math.floor(width / s)) * s <= height) ?? SIDES.at(-1);
    const columns = Math.max(1, Math.floor(width / side)), rows = Math.max(1, Math.ceil(n / columns));
    let scale = devicePixelRatio || 1;
    if (rows * side * scale > MOST_CANVAS) scale = 1;
    if (side !== this.side || columns !== this.columns || rows !== this.rows || scale !== this.scale) {
      Object.assign(this, { side, columns, rows, scale, sprites: null });
      this.canvas.width = Math.round(columns * side * scale);
      this.canvas.height = Math.round(rows * side * scale);
      this.canvas.style.width = columns * side + "px";
      this.canvas.style.height = rows * side + "px";
    }
    this.all = true;
    this.lay = false;
    this.schedule();
    this.place();
  }

  schedule() { this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.paint(); }); }

  paint() {
    const began = performance.now();
    if (this.lay) this.layout();
    if (!this.side) return; // not shown yet; layout comes back to it
    const c = this.canvas.getContext("2d"), device = this.side * this.scale;
    const gap = Math.max(1, Math.round(this.side / 8)) * this.scale, size = Math.max(1, Math.round(device - gap));
    const { sheet, at } = this.sprites ??= this.prepare(size);
    const one = (i) => {
      const x = Math.round(i % this.columns * device), y = Math.round(Math.floor(i / this.columns) * device);
      c.clearRect(x, y, size, size);
      const item = this.items[i];
      if (!item) return;
      c.globalAlpha = this.wanted && !this.wanted(item) ? 0.16 : 1;
      c.drawImage(sheet, at[stateOf(item)] ?? at.excluded, 0, size, size, x, y, size, size);
    };
    if (this.all) {
      c.clearRect(0, 0, this.canvas.width, this.canvas.height);
      for (let i = 0; i < this.items.length; i++) one(i);
    } else {
      for (const i of this.dirty) one(i);
    }
    c.globalAlpha = 1;
    if (this.all || this.dirty.has(this.at) || this.dirty.has(this.hover)) this.show();
    this.all = false;
    this.dirty.clear();
    const took = performance.now() - began;
    this.frames.count++; this.frames.total += took; this.frames.worst = Math.max(this.frames.worst, took);
  }

  // prepare draws each state's sign once, side by side in one picture that does not change: the browser need not look again.
  prepare(size) {
    const sheet = new OffscreenCanvas(size * STATES.length, size), at = {};
    const one = new OffscreenCanvas(size, size), c = sheet.getContext("2d");
    STATES.forEach(([state], n) => {
      draw(one.getContext("2d"), state, size, this.colours);
      c.drawImage(one, n * size, 0);
      at[state] = n * size;
    });
    return { sheet: sheet.transferToImageBitmap(), at };
  }

  find(e) {
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor((e.clientX - box.left) / this.side), y = Math.floor((e.clientY - box.top) / this.side);
    const i = y * this.columns + x;
    return x >= 0 && x < this.columns && y >= 0 && i < this.items.length ? i : -1;
  }

  over(i) {
    if (i === this.hover) return;
    this.hover = i;
    this.show();
  }

  key(e) {
    if (e.altKey || e.ctrlKey || e.metaKey || !this.items.length) return;
    const last = this.items.length - 1, at = Math.max(this.at, 0), page = this.columns * 10;
    const to = {
      ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + this.columns, ArrowUp: at - this.columns,
      PageDown: Math.min(at + page, last), PageUp: Math.max(at - page, 0), Home: 0, End: last,
    }[e.key] ?? (e.key.toLowerCase() === "f" ? this.next("failing", at) : undefined);
    if (to === undefined) return;
    e.preventDefault();
    if (to >= 0 && to <= last) this.go(to);
  }

  // next is where the next instance of that state is, around the end.
  next(state, from) {
    for (let n = 1; n <= this.items.length; n++) {
      const i = (from + n) % this.items.length;
      if (stateOf(this.items[i]) === state) return i;
    }
    return from;
  }

  // go moves to an instance. Two elements take turns, as screen readers tell of an element when it becomes the active one.
  go(i) {
    if (!this.items[i]) return;
    this.at = i;
    this.hover = -1;
    this.turn = 1 - this.turn;
    this.cells[1 - this.turn].hidden = true;
    this.place();
    this.show();
    this.cells[this.turn].scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  goTo(arn) {
    if (!this.index.has(arn)) return;
    this.root.focus();
    this.go(this.index.get(arn));
  }

  // place puts the element of the keyboard over its cell.
  place() {
    const cell = this.cells[this.turn];
    if (this.at < 0) {
      for (const c of this.cells) c.hidden = true;
      this.root.removeAttribute("aria-activedescendant");
      return;
    }
    const x = this.at % this.columns * this.side, y = Math.floor(this.at / this.columns) * this.side;
    cell.hidden = false;
    cell.style.transform = `translate(${x - 2}px, ${y - 2}px)`;
    cell.style.width = cell.style.height = this.side + 2 + "px";
    cell.setAttribute("aria-posinset", this.at + 1);
    cell.setAttribute("aria-setsize", this.items.length);
    this.root.setAttribute("aria-activedescendant", cell.id);
  }

  // show tells of the instance that is pointed at, or else of the keyboard's.
  show() {
    if (this.at >= 0) this.cells[this.turn].setAttribute("aria-label", this.label(this.items[this.at]));
    this.picked(this.items[this.hover >= 0 ? this.hover : this.at] ?? null);
  }
}
