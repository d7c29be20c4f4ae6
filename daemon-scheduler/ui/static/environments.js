// The list of environments.
import { byId, createElement, setText } from "./dom.js";
import { summarize } from "./environmentstatus.js";
import { formatNumber } from "./format.js";
import { createProgressBar, updateProgressBar } from "./progressbar.js";
import { select } from "./selection.js";
import { state } from "./state.js";

const SEARCH_THRESHOLD = 9; // environments from which on the search field is shown

const items = new Map(); // by name: the elements of an environment

export function drawEnvironments() {
  const names = [...state.environments.keys()].sort((a, b) => a.localeCompare(b));
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
}

function createItem(name) {
  const title = createElement("span", { className: "title", textContent: name });
  const status = createElement("span");
  const counts = createElement("span", { className: "muted" });
  const detail = createElement("span", { className: "muted number" });
  const bar = createProgressBar();
  const button = createElement("button", { type: "button", className: "environment" },
    createElement("span", { className: "row" }, title, status),
    bar,
    createElement("span", { className: "row" }, counts, detail));
  button.addEventListener("click", () => select(name, { byUser: true }));
  return { element: createElement("li", {}, button), button, status, counts, detail, bar };
}

function updateItem(item, name) {
  const record = state.environments.get(name);
  const { environment } = record;
  const { kind, label } = summarize(record);
  item.element.hidden = !name.toLowerCase().includes(state.environmentSearch);
  item.status.className = "status " + kind;
  setText(item.status, label);
  setText(item.counts, countsText(environment));
  setText(item.detail, environment.failedCount
    ? formatNumber(environment.failedCount) + " failing"
    : "rev " + (environment.effectiveRevision ?? environment.revision));
  updateProgressBar(item.bar, environment);
  if (name === state.selectedName) item.button.setAttribute("aria-current", "true");
  else item.button.removeAttribute("aria-current");
}

// countsText counts the instances that run the task of the current deployment. While others still run another one, the
// environment is being updated.
function countsText({ desiredCount, runningCount, outdatedCount }) {
  if (desiredCount === undefined || desiredCount === null) return "counts unavailable";
  const running = formatNumber(runningCount ?? 0);
  const desired = formatNumber(desiredCount);
  if (outdatedCount) {
    return `${running} of ${desired} updated, ${formatNumber(outdatedCount)} on the previous revision`;
  }
  return runningCount > desiredCount ? `${running} running, ${desired} desired` : `${running} of ${desired} running`;
}
