// The list of the present view: its entities, its number of rows, and what it shows without any.
import { apiFilters } from "./filters.js";
import { currentAddress, formatAddress, navigate } from "./address.js";
import { Collection } from "./collection.js";
import { COLUMNS, sum } from "./columns.js";
import { byId, setText } from "./dom.js";
import { formatNumber } from "./format.js";
import { List } from "./list.js";
import { redraw } from "./panels.js";
import { setConnection, state } from "./state.js";

const MAX_STOPPED = 1000; // stopped tasks of one list, which is sorted in the browser

const NOUNS = { clusters: "cluster", instances: "container instance", tasks: "task", stopped: "stopped task" };

let list = null;
let rejected = ""; // why the service refuses the filters

export function initView() {
  list = new List(byId("list"), {
    onOpen: (item) => navigate(addressOf(item)),
    onEnd: () => state.list?.loadMore(),
    linkOf: (item) => formatAddress(addressOf(item)),
  });
  byId("clear").addEventListener("click", () => navigate({ view: currentAddress().view }));
}

// addressOf returns where a click on an item leads: to its details, or to the instances of a cluster.
function addressOf({ entity }) {
  if (currentAddress().view === "clusters") return { view: "instances", filters: { cluster: entity.clusterARN } };
  return { ...currentAddress(), open: entity.taskARN ?? entity.containerInstanceARN };
}

// showList starts the list of an address. It is stopped until resumeList if the page is hidden.
export function showList(address) {
  const { view } = address;
  suspendList();
  state.list = null;
  rejected = "";
  state.connections.delete("list");
  list.setColumns(COLUMNS[view], view);
  list.setItems([]);
  byId("list").setAttribute("aria-label", NOUNS[view] + "s");
  if (view !== "clusters") {
    const size = view === "stopped" ? { pageSize: MAX_STOPPED, maxEntities: MAX_STOPPED } : {};
    state.list = new Collection(view === "instances" ? "instances" : "tasks", apiFilters(address), {
      ...size, onChange: () => redraw("list", "header"), onStatus: listStatus,
    });
    setConnection("list", "connecting");
    resumeList();
  }
  redraw("list", "header");
}

export const resumeList = () => state.list?.start();
export const suspendList = () => state.list?.stop();

function listStatus(status, failure, retryAt) {
  if (status === "rejected") {
    rejected = failure;
    state.connections.delete("list");
  } else {
    setConnection("list", status, failure, retryAt);
  }
  redraw("list", "header");
}

export function drawList() {
  const address = currentAddress();
  const items = itemsOf(address);
  const loaded = address.view === "clusters" ? Boolean(state.clusters) : Boolean(state.list?.loaded);
  byId("list").hidden = !items.length;
  list.setItems(items, items.find(({ entity }) => address.open && isOpen(entity, address.open))?.key);
  setText(byId("count"), loaded && !rejected ? countText(address, items) : "");
  setText(byId("capped"), cappedText(address.view));
  drawEmpty(address, items, loaded);
}

const isOpen = ({ taskARN, containerInstanceARN }, arn) => (taskARN ?? containerInstanceARN) === arn;

function itemsOf({ view, filters }) {
  if (view === "clusters") return clusterItems(filters.search ?? "");
  const entries = state.list?.entries ?? [];
  if (view !== "stopped") return entries;
  const stoppedAt = ({ entity }) => Date.parse(entity.stoppedAt || entity.updatedAt) || 0;
  return [...entries].sort((a, b) => stoppedAt(b) - stoppedAt(a));
}

function clusterItems(search) {
  return (state.clusters ?? [])
    .filter(({ clusterARN }) => clusterARN.toLowerCase().includes(search.toLowerCase()))
    .map((cluster) => ({ key: cluster.clusterARN, entity: cluster }));
}

// countText shows the number of all entities that match, if it is known: the list may be loaded in part.
function countText({ view, filters }, items) {
  if (view === "clusters" || state.list.complete) return formatNumber(items.length);
  const total = totalOf(view, filters);
  return total > items.length ? formatNumber(total) : `${formatNumber(items.length)}+`;
}

// totalOf counts by v1/clusters, which knows clusters and statuses only; it is 0 for other filters.
function totalOf(view, { cluster, status, ...others }) {
  if (Object.keys(others).length || view === "stopped" || (view === "tasks" && !status)) return 0;
  const clusters = (state.clusters ?? []).filter((c) => !cluster || c.clusterARN === cluster || c.name === cluster);
  const counts = clusters.map((c) => (view === "instances" ? c.instances : c.tasks));
  return sum(counts.map((c) => (status && status !== "any" ? c[status] ?? 0 : sum(c))));
}

function cappedText(view) {
  if (!state.list?.capped) return "";
  const shown = formatNumber(state.list.entries.length);
  return view === "stopped"
    ? `More than ${shown} stopped tasks match; these may not be the newest. Narrow the time or the filters.`
    : `The page shows the first ${shown}. Narrow the filters to see others.`;
}

function drawEmpty({ view, filters }, items, loaded) {
  const filtered = Object.keys(filters).length > 0;
  byId("empty").hidden = items.length > 0 || !(loaded || rejected);
  byId("loading").hidden = loaded || Boolean(rejected);
  byId("clear").hidden = !filtered;
  const noun = NOUNS[view];
  if (rejected) {
    setText(byId("empty-title"), "The service rejects these filters");
    setText(byId("empty-text"), rejected);
  } else if (filtered) {
    setText(byId("empty-title"), `No ${noun} matches the filters`);
    setText(byId("empty-text"), view === "tasks" ? "Stopped tasks are in the view Stopped." : "");
  } else {
    setText(byId("empty-title"), `No ${noun}s`);
    setText(byId("empty-text"), EMPTY[view]);
  }
}

const EMPTY = {
  clusters: "ECS has no container instances and tasks in this account and region. They appear here as they start.",
  instances: "Container instances appear here as they register with ECS.",
  tasks: "Tasks appear here as they start.",
  stopped: "No task has stopped in the last hour. The service keeps stopped tasks for --stopped-task-retention.",
};

