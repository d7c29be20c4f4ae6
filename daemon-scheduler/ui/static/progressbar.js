// A bar that shows an environment's instances by state.
import { createElement } from "./dom.js";
import { countByState } from "./environmentstatus.js";

const SEGMENTS = ["running", "starting", "outdated", "failing", "missing"];

export function createProgressBar() {
  const bar = createElement("div", { className: "bar" });
  bar.setAttribute("aria-hidden", "true"); // the counts beside it say the same
  for (const state of SEGMENTS) bar.append(createElement("i", { className: state }));
  return bar;
}

export function updateProgressBar(bar, environment) {
  const counts = countByState(environment);
  for (const segment of bar.children) {
    segment.style.flexGrow = counts[segment.className];
    segment.dataset.count = counts[segment.className];
  }
}
