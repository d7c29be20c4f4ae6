// The list of environments.
import { byId, createElement, setText } from "./dom.js";
import { changeOf, compareUrgency, countsOf, isInProgress, summarize } from "./environmentstatus.js";
import { formatNumber } from "./format.js";
import { createProgressBar, updateProgressBar } from "./progressbar.js";
import { select } from "./selection.js";
import { state } from "./state.js";

const MARGIN = 2; // pixels between the selected environment and the edge of a list that scrolls
const SEARCH_THRESHOLD = 9; // environments from which on the search field is shown

const items = new Map(); // by name: the elements of an environment

let order = ""; // names in the order in which the list was drawn last

// drawEnvironments shows failing environments first.
export function drawEnvironments() {
  const names = [...state.environments.values()].sort(compareUrgency).map(({ environment }) => environment.name);
  setText(byId("environments-total"), names.length ? formatNumber(names.length) : "");
  byId("environment-search-label").hidden = names.length < SEARCH_THRESHOLD;
  byId("no-environments").hidden = names.length > 0 || state.streams.overview.status === "connecting";
  for (const [name, item] of items) {
    if (state.environments.has(name)) continue;
    item.element.remove();
    items.delete(name);
  }
  const list = byId("environments");
  let next = list.firstElementChild;
  for (const name of names) {
    if (!items.has(name)) items.set(name, createItem(name));
    const item = items.get(name);
    if (next === item.element) next = next.nextElementSibling;
    else list.insertBefore(item.element, next);
    updateItem(item, name);
  }
  revealSelected(names.join() + "\n" + state.selectedName);
}

// revealSelected scrolls the list to the selected environment after the selection or the order has changed: on narrow
// screens, the list scrolls.
function revealSelected(newOrder) {
  if (newOrder === order) return;
  order = newOrder;
  const list = byId("environments");
  const element = items.get(state.selectedName)?.element;
  if (!element || list.scrollHeight <= list.clientHeight) return;
  const { top, bottom } = element.getBoundingClientRect();
  const visible = list.getBoundingClientRect();
  if (top < visible.top) list.scrollTop -= Math.ceil(visible.top - top) + MARGIN;
  else if (bottom > visible.bottom) list.scrollTop += Math.ceil(bottom - visible.bottom) + MARGIN;
}

function createItem(name) {
  const title = createElement("span", { className: "title", textContent: name });
  const status = createElement("span");
  const change = createElement("span", { className: "change-text" });
  const counts = createElement("span", { className: "muted" });
  const detail = createElement("span", { className: "muted number" });
  const bar = createProgressBar();
  const button = createElement("button", { type: "button", className: "environment" },
    createElement("span", { className: "row" }, title, status),
    change,
    bar,
    createElement("span", { className: "row" }, counts, detail));
  button.addEventListener("click", () => select(name, { byUser: true }));
  return { element: createElement("li", {}, button), button, status, change, counts, detail, bar };
}

function updateItem(item, name) {
  const record = state.environments.get(name);
  const { environment } = record;
  const { kind, label } = summarize(record);
  item.element.hidden = !name.toLowerCase().includes(state.environmentSearch);
  item.status.className = "status " + kind;
  setText(item.status, label);
  setText(item.counts, countsText(environment));
  const { failedCount } = countsOf(environment);
  setText(item.detail, failedCount
    ? formatNumber(failedCount) + " failing"
    : "rev " + (environment.effectiveRevision ?? environment.revision));
  setText(item.change, changeText(record));
  item.change.hidden = !item.change.textContent;
  updateProgressBar(item.bar, environment);
  if (name === state.selectedName) item.button.setAttribute("aria-current", "true");
  else item.button.removeAttribute("aria-current");
}

// changeText returns what is rolling out to what, as in "agent:2 → agent:3".
function changeText({ environment, deployment }) {
  if (!isInProgress(deployment)) return "";
  const deployments = environment.name === state.selectedName ? state.deployments : [];
  const { from, to } = changeOf(environment, deployment, deployments);
  return `${from ? from.taskDefinition + " " : ""}→ ${to.taskDefinition}`;
}

// countsText counts the instances that run the task of the current deployment. While others still have another one, it
// counts those with the task, running or not. A draining instance may run its task and is not desired any more, so that there can be
// more running than desired.
function countsText(environment) {
  const { desiredCount, runningCount, updatedCount, outdatedCount } = countsOf(environment);
  if (desiredCount === undefined || desiredCount === null) return "counts unavailable";
  const running = formatNumber(runningCount ?? 0);
  const desired = formatNumber(desiredCount);
  if (outdatedCount) return `${formatNumber(updatedCount ?? 0)} of ${desired} updated`;
  return runningCount > desiredCount ? `${running} running, ${desired} desired` : `${running} of ${desired} running`;
}
