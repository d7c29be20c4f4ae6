// The container instances of the selected environment.
import { displayName, drawDetail } from "./detail.js";
import { byId, createElement } from "./dom.js";
import { formatNumber } from "./format.js";
import { Grid } from "./grid.js";
import { LABELS, stateOf } from "./instancestate.js";
import { state } from "./state.js";

export const grid = new Grid({
  root: byId("grid"),
  canvas: byId("canvas"),
  cells: [byId("cell-a"), byId("cell-b")],
  labelOf,
  showDetail: drawDetail,
  showGroups: drawGroups,
});

const LABEL_OFFSET = 22; // pixels from the top of a group's label to its cells

function labelOf(instance) {
  const group = state.groupBy ? `${instance.group || "no group"}, ` : "";
  const label = `${group}${displayName(instance)}, ${LABELS[stateOf(instance)]}`;
  return instance.reason ? `${label}: ${instance.reason}` : label;
}

// drawGroups writes a line above each group: its name, and how many of its instances run their task. An outdated task
// runs, too, so that the others are updated then.
function drawGroups(groups) {
  byId("group-labels").replaceChildren(...groups.map(({ group, items, top }) => {
    const count = (wanted) => items.filter((instance) => stateOf(instance) === wanted).length;
    const failing = count("failing");
    const done = `${formatNumber(count("running"))} of ${formatNumber(items.length)}`;
    const label = createElement("p", {},
      createElement("strong", { textContent: group || "(none)" }),
      createElement("span", { className: "muted", textContent: ` ${done} ${count("outdated") ? "updated" : "running"}` }),
      failing ? createElement("span", { className: "bad", textContent: `, ${formatNumber(failing)} failing` }) : null);
    label.style.top = top - LABEL_OFFSET + "px";
    return label;
  }));
}

// updateHighlight dims the instances that do not match the legend's chosen states and the search.
export function updateHighlight() {
  const active = state.highlightedStates.size > 0 || state.instanceSearch !== "";
  grid.highlight(active ? isHighlighted : null);
}

// selectFirstMatch selects the first instance that matches a search.
export function selectFirstMatch() {
  const instance = state.instanceSearch && grid.items.find(isHighlighted);
  if (instance) grid.selectInstance(instance.containerInstance);
}

function isHighlighted(instance) {
  const { highlightedStates, instanceSearch } = state;
  if (highlightedStates.size && !highlightedStates.has(stateOf(instance))) return false;
  return [instance.containerInstance, instance.ec2InstanceId, instance.task]
    .some((text) => text?.toLowerCase().includes(instanceSearch));
}
