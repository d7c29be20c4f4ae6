// The bar of filters above a list. Filters without a field of their own, which links set, show as chips.
import { clusterName, lastPart } from "./arn.js";
import { currentAddress, setFilters } from "./address.js";
import { byId, createElement } from "./dom.js";
import { state } from "./state.js";

const TYPING_DELAY = 250; // milliseconds
const EC2_INSTANCE = /^m?i-[0-9a-f]{8,17}$/;

// SELECTS has the fields of each view with the values that the API accepts; the first is the default.
const SELECTS = {
  instances: {
    status: [["", "Any status"], ["ACTIVE"], ["DRAINING"], ["REGISTERING"], ["REGISTRATION_FAILED"], ["DEREGISTERING"],
      ["INACTIVE"]],
    agentConnected: [["", "Any agent"], ["true", "Agent connected"], ["false", "Agent disconnected"]],
  },
  tasks: {
    status: [["", "Not stopped"], ["any", "Any status"], ["PROVISIONING"], ["PENDING"], ["ACTIVATING"], ["RUNNING"],
      ["DEACTIVATING"], ["STOPPING"], ["DEPROVISIONING"]],
    launchType: [["", "Any launch type"], ["EC2"], ["FARGATE"], ["EXTERNAL"], ["MANAGED_INSTANCES"]],
  },
  stopped: {
    within: [["", "In the last hour"], ["10m", "In the last 10 minutes"], ["24h", "In the last 24 hours"],
      ["any", "At any time"]],
    stopCode: [["", "Any stop code"], ["TaskFailedToStart"], ["EssentialContainerExited"], ["UserInitiated"],
      ["ServiceSchedulerInitiated"], ["SpotInterruption"], ["TerminationNotice"], ["InfrastructureHealth"]],
    launchType: [["", "Any launch type"], ["EC2"], ["FARGATE"], ["EXTERNAL"], ["MANAGED_INSTANCES"]],
  },
  clusters: {},
};

const LABELS = {
  cluster: "Cluster", status: "Status", agentConnected: "Agent", launchType: "Launch type", within: "Stopped",
  stopCode: "Stop code", attribute: "Attribute", ec2InstanceId: "EC2 instance", capacityProviderName: "Capacity provider",
  family: "Family", taskDefinition: "Task definition", group: "Group", startedBy: "Started by",
  containerInstance: "Container instance", account: "Account", region: "Region",
};

const SECONDS = { "10m": 600, "": 3600, "24h": 86_400 };

// apiFilters returns the query parameters of the API for a view's filters.
export function apiFilters({ view, filters }) {
  const query = { ...filters };
  if (EC2_INSTANCE.test(query.search ?? "") && !query.ec2InstanceId) {
    query.ec2InstanceId = query.search; // tasks do not contain the ID of their EC2 instance
    delete query.search;
  }
  if (view === "tasks" && !query.status) query.desiredStatus = "RUNNING";
  if (query.status === "any") delete query.status;
  if (view === "stopped") {
    query.status = "STOPPED";
    delete query.within;
    const seconds = SECONDS[filters.within ?? ""];
    if (seconds) query.since = new Date(Date.now() - seconds * 1000).toISOString();
  }
  return query;
}

let typing = 0;

export function initFilters() {
  const search = byId("search");
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(applySearch, TYPING_DELAY);
  });
  byId("filters").addEventListener("submit", (event) => {
    event.preventDefault();
    applySearch();
  });
  byId("filters").addEventListener("change", ({ target }) => {
    if (target.tagName === "SELECT") setFilters({ [target.name]: target.value });
  });
  addEventListener("keydown", (event) => { // as in many consoles
    if (event.key !== "/" || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    search.focus();
  });
}

// applySearch keeps one entry in the history for a search, not one for each letter.
function applySearch() {
  clearTimeout(typing);
  const before = currentAddress().filters.search ?? "";
  const text = byId("search").value.trim();
  if (text !== before) setFilters({ search: text }, { replace: Boolean(before && text) });
}

// drawFilters shows the filters of an address.
export function drawFilters({ view, filters }) {
  const search = byId("search");
  if (search !== document.activeElement || !filters.search) search.value = filters.search ?? "";
  const selects = { ...(view === "clusters" ? {} : { cluster: clusterOptions(filters.cluster) }), ...SELECTS[view] };
  byId("selects").replaceChildren(...Object.entries(selects).map(([name, options]) =>
    createSelect(name, options, filters[name] ?? "")));
  const chips = Object.keys(filters).filter((name) => name !== "search" && !selects[name]);
  byId("chips").replaceChildren(...chips.map((name) => createChip(name, filters[name])));
}

// updateClusters adds clusters that have appeared, unless the user has the field open.
export function updateClusters(address) {
  const select = document.querySelector("#selects select[name=cluster]");
  if (!select || select === document.activeElement) return;
  const options = clusterOptions(address.filters.cluster);
  if (options.length !== select.options.length) drawFilters(address);
}

function clusterOptions(selected) {
  const clusters = state.clusters ?? [];
  const isAmbiguous = (name) => clusters.filter((c) => c.name === name).length > 1;
  const options = clusters.map(({ clusterARN, name }) =>
    [clusterARN, isAmbiguous(name) ? `${name} (${clusterARN.split(":").slice(3, 5).join(", ")})` : name]);
  if (selected && !options.some(([value]) => value === selected)) options.push([selected, clusterName(selected)]);
  return [["", "All clusters"], ...options];
}

function createSelect(name, options, selected) {
  const select = createElement("select", { name, title: LABELS[name] }, ...options.map(([value, label = value]) =>
    createElement("option", { value, textContent: label })));
  select.setAttribute("aria-label", LABELS[name]);
  if (!options.some(([value]) => value === selected)) select.append(createElement("option", { value: selected, textContent: selected }));
  select.value = selected;
  select.classList.toggle("set", selected !== "");
  return select;
}

function createChip(name, value) {
  const text = `${LABELS[name]}: ${lastPart(value)}`;
  const chip = createElement("button", { type: "button", className: "chip", title: value },
    createElement("span", { textContent: text }), " ✕");
  chip.setAttribute("aria-label", `Remove the filter ${text}`);
  chip.addEventListener("click", () => setFilters({ [name]: "" }));
  return createElement("li", {}, chip);
}
