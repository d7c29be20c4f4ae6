// The legend: the number of instances in each state. Its buttons highlight states in the grid.
import { byId, createElement, setText } from "./dom.js";
import { formatCount, formatNumber } from "./format.js";
import { grid, updateHighlight } from "./instances.js";
import { STATES, stateOf } from "./instancestate.js";
import { state } from "./state.js";
import { createIcon } from "./symbols.js";

const entries = STATES.map(([instanceState, label]) => createEntry(instanceState, label));
byId("legend").append(...entries.map(({ button }) => button));

function createEntry(instanceState, label) {
  const count = createElement("b");
  const name = createElement("span", { textContent: label });
  const button = createElement("button", { type: "button" }, createIcon(instanceState), name, count);
  button.dataset.state = instanceState;
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => toggle(instanceState, button));
  return { instanceState, button, count };
}

function toggle(instanceState, button) {
  const { highlightedStates } = state;
  if (!highlightedStates.delete(instanceState)) highlightedStates.add(instanceState);
  button.setAttribute("aria-pressed", String(highlightedStates.has(instanceState)));
  updateHighlight();
}

export function drawLegend() {
  const counts = {};
  for (const instance of grid.items) {
    const instanceState = stateOf(instance);
    counts[instanceState] = (counts[instanceState] ?? 0) + 1;
  }
  for (const { instanceState, button, count } of entries) {
    setText(count, formatNumber(counts[instanceState] ?? 0));
    button.classList.toggle("zero", !counts[instanceState]);
  }
  setText(byId("instances-total"), formatNumber(grid.items.length));
  byId("grid").setAttribute("aria-label", formatCount(grid.items.length, "container instance"));
}
