// Redraws panels at most once a frame, and expensive panels a few times a second.
const panels = new Map(); // by name: { draw, interval, drawnAt }
const pending = new Set();
let frame = 0;

// registerPanel sets how to draw a panel. The interval is the least time between two draws, in milliseconds.
export function registerPanel(name, draw, interval = 0) {
  panels.set(name, { draw, interval, drawnAt: -Infinity });
}

// redraw schedules panels by name.
export function redraw(...names) {
  for (const name of names) pending.add(name);
  frame ||= requestAnimationFrame(drawPending);
}

function drawPending(now) {
  frame = 0;
  for (const name of [...pending]) {
    const panel = panels.get(name);
    if (now - panel.drawnAt < panel.interval) continue;
    panel.drawnAt = now;
    pending.delete(name);
    panel.draw();
  }
  if (pending.size) frame = requestAnimationFrame(drawPending);
}
