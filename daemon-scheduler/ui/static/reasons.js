// The instances that do not run the task of the current revision, grouped by state and reason.
import { displayName } from "./detail.js";
import { byId, createElement, createLink } from "./dom.js";
import { formatNumber, formatTime } from "./format.js";
import { grid } from "./instances.js";
import { LABELS, stateOf } from "./instancestate.js";
import { createIcon } from "./symbols.js";

const STATE_ORDER = ["failing", "missing", "disconnected", "outdated", "starting", "draining", "excluded"];
const MAX_ROWS = 40;
const MAX_EXAMPLES = 3;
const MAX_NAME_LENGTH = 19; // of an EC2 instance's ID

export function drawReasons() {
  const groups = groupByReason(grid.items);
  byId("reasons").hidden = groups.length === 0;
  byId("no-reasons").hidden = groups.length > 0 || grid.items.length === 0;
  const body = byId("reason-rows");
  // A redraw would take the focus away from the link that has it.
  if (body.contains(document.activeElement) && groups.length) return;
  body.replaceChildren(...groups.slice(0, MAX_ROWS).map(createRow));
  if (groups.length > MAX_ROWS) {
    const textContent = `and ${formatNumber(groups.length - MAX_ROWS)} other reasons`;
    body.append(createElement("tr", {}, createElement("td", { colSpan: 4, className: "muted", textContent })));
  }
}

// groupByReason returns the most urgent state first and, within a state, the most frequent reason.
function groupByReason(instances) {
  const groups = new Map();
  for (const instance of instances) {
    const state = stateOf(instance);
    if (state === "running") continue;
    const { reason = "", nextAttemptAt } = instance;
    const key = state + "\n" + reason;
    if (!groups.has(key)) groups.set(key, { state, reason, examples: [], nextAttemptAt: "", count: 0 });
    const group = groups.get(key);
    group.count++;
    if (group.examples.length < MAX_EXAMPLES) group.examples.push(instance);
    if (nextAttemptAt && (!group.nextAttemptAt || nextAttemptAt < group.nextAttemptAt)) {
      group.nextAttemptAt = nextAttemptAt;
    }
  }
  return [...groups.values()].sort((a, b) =>
    STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state) || b.count - a.count);
}

function createRow({ state, reason, examples, nextAttemptAt, count }) {
  const examplesCell = createElement("td", { className: "examples" });
  examples.forEach((instance, index) => {
    const name = displayName(instance).slice(0, MAX_NAME_LENGTH);
    const link = createLink(name, () => grid.selectInstance(instance.containerInstance));
    examplesCell.append(index ? ", " : "", link);
  });
  if (count > examples.length) examplesCell.append(` and ${formatNumber(count - examples.length)} more`);

  const nextAttempt = nextAttemptAt && ` Next attempt at ${formatTime(new Date(nextAttemptAt))}.`;
  return createElement("tr", {},
    createElement("td", {}, createElement("span", { className: "state-cell" }, createIcon(state), LABELS[state])),
    createElement("td", { className: "number", textContent: formatNumber(count) }),
    createElement("td", { className: "reason" },
      reason || "–",
      nextAttempt && createElement("span", { className: "muted", textContent: nextAttempt })),
    examplesCell);
}
