// The list of events.
import { byId, createElement, createLink, createTime } from "./dom.js";
import { formatCount, formatDay, formatNumber, resourceID } from "./format.js";
import { grid } from "./instances.js";
import { redraw } from "./panels.js";
import { state } from "./state.js";

const EVENTS_PER_PAGE = 60;
const DISPLAY = { // by action: the kind (a CSS class) and the text
  taskStarted: ["", (e) => `Started ${resourceID(e.taskDefinition)} on ${formatCount(e.count, "instance")}`],
  taskReplaced: ["", (e) => `Replaced ${formatCount(e.count, "task")} by ${resourceID(e.taskDefinition)}`],
  taskFailed: ["bad", (e) => `${formatCount(e.count, "task")} of ${resourceID(e.taskDefinition)} failed`],
  taskStartFailed: ["bad", (e) =>
    `Failed to start ${resourceID(e.taskDefinition)} on ${formatCount(e.count, "instance")}`],
  taskStopped: ["", (e) => `Stopped ${formatCount(e.count, "task")}`],
  taskStopFailed: ["bad", (e) => `Failed to stop ${formatCount(e.count, "task")}`],
  phantomTaskIgnored: ["warn", (e) => `Ignored ${formatCount(e.count, "task")} that ECS does not know`],
  deploymentStarted: ["", (e) => `Rollout started: ${resourceID(e.taskDefinition)}`],
  deploymentCompleted: ["good", (e) => `Rollout of ${resourceID(e.taskDefinition)} completed`],
  deploymentFailed: ["bad", (e) => `Rollout of ${resourceID(e.taskDefinition)} failed`],
  deploymentRolledBack: ["bad", (e) => `Rolling back to ${resourceID(e.taskDefinition)}`],
  environmentDeleted: ["", () => "Environment deleted"],
  conditionAppeared: ["warn", () => "Condition appeared"],
  conditionCleared: ["good", () => "Condition cleared"],
  environmentCreated: ["", () => "A user created the environment"],
  environmentUpdated: ["", () => "A user updated the environment"],
  deploymentCreated: ["", (e) => `A user deployed ${resourceID(e.taskDefinition)}`],
  environmentPaused: ["warn", () => "Paused by a user"],
  environmentResumed: ["", () => "Resumed by a user"],
  takeoverCancelled: ["warn", () => "A user cancelled the takeover"],
  rollbackRequested: ["warn", (e) => `A user requested a rollback to ${resourceID(e.taskDefinition)}`],
  deploymentStopped: ["warn", (e) => `A user stopped the rollout of ${resourceID(e.taskDefinition)}`],
  deploymentPromoted: ["good", (e) => `A user promoted ${resourceID(e.taskDefinition)}`],
  canaryStepPromoted: ["good", (e) => `Promoted ${resourceID(e.taskDefinition)} after the pause of a canary step`],
  environmentDeletionRequested: ["warn", () => "A user requested the deletion of the environment and its tasks"],
  eventsDropped: ["", (e) => `${formatCount(e.count, "more event")} dropped`],
};

const items = new Map(); // by event ID: { element, version }

let shownCount = EVENTS_PER_PAGE;

export function showAllEvents(all) {
  state.showAllEvents = all;
  shownCount = EVENTS_PER_PAGE;
  byId("environment-events").setAttribute("aria-pressed", String(!all));
  byId("all-events").setAttribute("aria-pressed", String(all));
  redraw("events");
}

export function showMoreEvents() {
  shownCount += EVENTS_PER_PAGE;
  redraw("events");
}

// drawEvents changes only the elements of events that changed, so that scrolling and the focus survive.
export function drawEvents() {
  const all = matchingEvents();
  byId("no-events").hidden = all.length > 0;
  byId("more-events").hidden = all.length <= shownCount;
  const entries = withDays(all.slice(0, shownCount));
  const visibleIDs = new Set(entries.map(({ id }) => id));
  for (const [id, { element }] of items) {
    if (visibleIDs.has(id)) continue;
    element.remove();
    items.delete(id);
  }
  const list = byId("events");
  let next = list.firstElementChild;
  for (const entry of entries) {
    const old = items.get(entry.id)?.element;
    const element = updateItem(entry);
    if (old && next === old) next = element; // updateItem may have replaced it
    if (next === element) next = element.nextElementSibling;
    else list.insertBefore(element, next);
  }
}

// matchingEvents returns the events, newest first.
function matchingEvents() {
  return [...state.events.values()]
    .filter((event) => state.showAllEvents || event.environment === state.selectedName)
    .sort((a, b) => compare(b.lastSeenAt, a.lastSeenAt) || compare(b.id, a.id));
}

// withDays adds a heading before the first event of each day.
function withDays(events) {
  const entries = [];
  let previous = "";
  for (const event of events) {
    const day = formatDay(new Date(event.lastSeenAt));
    if (day !== previous) entries.push({ id: "day " + day, day });
    previous = day;
    entries.push(event);
  }
  return entries;
}

function compare(a, b) {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

// updateItem returns the element of an event; it replaces an element whose event changed.
function updateItem(event) {
  const version = `${event.lastSeenAt} ${event.count} ${state.showAllEvents}`;
  const item = items.get(event.id);
  if (item?.version === version) return item.element;
  const element = createItem(event);
  if (item?.element.querySelector("details")?.open) {
    element.querySelector("details")?.setAttribute("open", "");
  }
  item?.element.replaceWith(element);
  items.set(event.id, { element, version });
  return element;
}

function createItem(event) {
  if (event.day) return createElement("li", { className: "day", textContent: event.day });
  const [kind, describe] = DISPLAY[event.action] ?? ["", () => event.action];
  const body = createElement("div", {}, createElement("strong", { className: kind, textContent: describe(event) }));
  if (state.showAllEvents && event.environment) {
    body.append(createElement("span", { className: "muted", textContent: " · " + event.environment }));
  }
  const reason = event.reason?.replace(/^blox: /, "");
  const changes = event.action !== "environmentCreated" // whose changes are all settings
    ? event.changes?.map(({ field, before, after }) => `${field}: ${before ?? "none"} → ${after ?? "none"}`).join("; ")
    : "";
  const explanation = [reason, event.detail && `(${event.detail})`, changes, event.actor && `By ${event.actor}.`]
    .filter(Boolean).join(" ");
  if (explanation) body.append(createElement("p", { className: "explanation", textContent: explanation }));
  if (event.instances?.length) body.append(createInstanceList(event));
  return createElement("li", {}, createTime(event.lastSeenAt), body);
}

function createInstanceList({ instances, count }) {
  const summary = count > instances.length
    ? `Instances: the last ${instances.length} of ${formatNumber(count)}`
    : "Instances";
  const list = instances.map(({ containerInstance, task }) => createElement("li", {},
    createLink(resourceID(containerInstance), () => grid.selectInstance(containerInstance)),
    task && createElement("span", { className: "muted mono", textContent: " task " + resourceID(task) })));
  return createElement("details", {},
    createElement("summary", { textContent: summary }),
    createElement("ul", {}, ...list));
}
