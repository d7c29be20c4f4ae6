// The symbols of instance states. Each state has a shape of its own, so that the colours are not needed.
import { STATES } from "./instancestate.js";

const ICON_SIZE = 14; // CSS pixels, as in page.css

// readColours returns the colour of each state and of the card behind them, from the style sheet.
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue("--" + name).trim();
  return Object.fromEntries(["card", ...STATES.map(([state]) => state)].map((name) => [name, read(name)]));
}

// createIcon returns a small canvas with the symbol of a state.
export function createIcon(state) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true");
  canvas.dataset.state = state;
  drawIcon(canvas);
  return canvas;
}

// redrawIcons draws every icon of the page after the colours have changed.
export function redrawIcons() {
  for (const canvas of document.querySelectorAll("canvas[data-state]")) drawIcon(canvas);
}

function drawIcon(canvas) {
  const size = Math.round(ICON_SIZE * (devicePixelRatio || 1));
  canvas.width = size;
  canvas.height = size;
  drawSymbol(canvas.getContext("2d"), canvas.dataset.state, size, readColours());
}

// createSpriteSheet draws each symbol once, side by side in one immutable image: the browser uploads it only once.
export function createSpriteSheet(size, colours) {
  const sheet = new OffscreenCanvas(size * STATES.length, size);
  const symbol = new OffscreenCanvas(size, size);
  const sheetContext = sheet.getContext("2d");
  const offsets = {};
  STATES.forEach(([state], index) => {
    drawSymbol(symbol.getContext("2d"), state, size, colours);
    sheetContext.drawImage(symbol, index * size, 0);
    offsets[state] = index * size;
  });
  return { image: sheet.transferToImageBitmap(), offsets };
}

// drawSymbol fills a square of the given size, in device pixels.
function drawSymbol(context, state, size, colours) {
  context.clearRect(0, 0, size, size);
  const pen = new Pen(context, size, colours[state], colours.card);
  (SYMBOLS[state] ?? SYMBOLS.excluded)(pen);
}

// Pen draws the shapes that symbols consist of.
class Pen {
  constructor(context, size, colour, background) {
    Object.assign(this, { context, size, colour, background });
    this.lineWidth = Math.max(1, size / 9);
    context.fillStyle = colour;
    context.strokeStyle = colour;
    context.lineCap = "butt";
  }

  fillBox() {
    this.box(0);
    this.context.fill();
  }

  outlineBox() {
    this.box(this.lineWidth / 2);
    this.context.lineWidth = this.lineWidth;
    this.context.stroke();
  }

  box(inset) {
    const side = this.size - 2 * inset;
    this.context.beginPath();
    this.context.roundRect(inset, inset, side, side, this.size / 6);
  }

  fillCircle(radius, colour) {
    this.context.fillStyle = colour;
    this.context.beginPath();
    this.context.arc(this.size / 2, this.size / 2, radius, 0, 2 * Math.PI);
    this.context.fill();
  }

  line(fromX, fromY, toX, toY) {
    this.context.beginPath();
    this.context.moveTo(fromX, fromY);
    this.context.lineTo(toX, toY);
    this.context.stroke();
  }
}

const SYMBOLS = {
  // a full box
  running: (pen) => pen.fillBox(),
  // a full box with a round hole
  starting(pen) {
    pen.fillBox();
    pen.fillCircle(pen.size * 0.24, pen.background);
  },
  // a box whose upper left half is full
  outdated(pen) {
    const { context, size, lineWidth } = pen;
    pen.outlineBox();
    context.globalAlpha = 0.6;
    context.beginPath();
    context.moveTo(lineWidth, lineWidth);
    context.lineTo(size - lineWidth, lineWidth);
    context.lineTo(lineWidth, size - lineWidth);
    context.closePath();
    context.fill();
    context.globalAlpha = 1;
  },
  // an empty box
  missing: (pen) => pen.outlineBox(),
  // a full box with a cross
  failing(pen) {
    const near = pen.size * 0.27;
    const far = pen.size - near;
    pen.fillBox();
    pen.context.strokeStyle = pen.background;
    pen.context.lineWidth = Math.max(1.2, pen.size / 7);
    pen.context.lineCap = "round";
    pen.line(near, near, far, far);
    pen.line(far, near, near, far);
  },
  // a box whose lower half is full
  draining(pen) {
    const { context, size, lineWidth } = pen;
    pen.outlineBox();
    context.fillRect(lineWidth, size / 2, size - 2 * lineWidth, size / 2 - lineWidth);
  },
  // an empty box with a diagonal
  disconnected(pen) {
    const { context, size, lineWidth } = pen;
    pen.outlineBox();
    context.lineWidth = lineWidth * 1.2;
    pen.line(size - lineWidth, lineWidth, lineWidth, size - lineWidth);
  },
  // a dot
  excluded: (pen) => pen.fillCircle(pen.size * 0.18, pen.colour),
};
