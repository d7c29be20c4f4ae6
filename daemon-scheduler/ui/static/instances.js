// The container instances of the selected environment.
import { displayName, drawDetail } from "./detail.js";
import { byId } from "./dom.js";
import { Grid } from "./grid.js";
import { LABELS, stateOf } from "./instancestate.js";
import { state } from "./state.js";

export const grid = new Grid({
  root: byId("grid"),
  canvas: byId("canvas"),
  cells: [byId("cell-a"), byId("cell-b")],
  labelOf,
  showDetail: drawDetail,
});

function labelOf(instance) {
  const label = `${displayName(instance)}, ${LABELS[stateOf(instance)]}`;
  return instance.reason ? `${label}: ${instance.reason}` : label;
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
