// The columns of each view's list. A column's class selects its place on a phone, see page.css.
import { clusterConsole, clusterName, lastPart, parseARN } from "./arn.js";
import { formatAddress } from "./address.js";
import { createElement, setText } from "./dom.js";
import { formatAge, formatNumber } from "./format.js";
import { createAgentStatus, createExitCodes, createStatus, createTaskStatus, taskHealth } from "./status.js";

const cluster = { label: "Cluster", draw: ({ clusterARN }) => clusterName(clusterARN) };

export const COLUMNS = { // by view
  clusters: [
    { grow: 2, label: "Cluster", className: "main", draw: ({ name }) => name },
    { label: "Region", className: "state", draw: ({ clusterARN }) => parseARN(clusterARN)?.region ?? "" },
    { grow: 1.1, label: "Account", className: "wide", draw: ({ clusterARN }) => parseARN(clusterARN)?.account ?? "" },
    { grow: 2, label: "Container instances", draw: (c) => countLink("instances", c, c.instances, "no instances") },
    { grow: 1.2, label: "Agents online", className: "wide", draw: agentsConnected },
    { grow: 2, label: "Tasks", draw: (c) => countLink("tasks", c, withoutStopped(c.tasks), "no tasks") },
    { label: "Stopped", className: "wide", draw: stoppedTasks },
    { grow: 0.8, label: "Console", className: "wide", draw: (c) => externalLink(clusterConsole(c.clusterARN), "Open") },
  ],
  instances: [
    { grow: 2.2, label: "Container instance", className: "main mono", draw: instanceName },
    { ...cluster, grow: 1.4 },
    { label: "Status", className: "state", draw: ({ status }) => createStatus(status) },
    { grow: 1.2, label: "Agent", draw: createAgentStatus },
    { grow: 1.1, label: "Type", className: "wide", draw: (i) => attribute(i, "ecs.instance-type") },
    { grow: 1.1, label: "Zone", className: "wide", draw: (i) => attribute(i, "ecs.availability-zone") },
    { grow: 1.3, label: "CPU free", className: "wide number", draw: (i) => free(i, "CPU") },
    { grow: 1.5, label: "MiB free", className: "wide number", draw: (i) => free(i, "MEMORY") },
    { grow: 0.8, label: "ECS agent", className: "wide", draw: ({ versionInfo }) => versionInfo.agentVersion ?? "" },
  ],
  tasks: [
    { grow: 2.7, label: "Task", className: "main mono", draw: ({ taskARN }) => lastPart(taskARN) },
    { grow: 1.4, label: "Task definition", draw: ({ taskDefinitionARN }) => lastPart(taskDefinitionARN) },
    { ...cluster, className: "wide" },
    { grow: 1.4, label: "Status", className: "state", draw: createTaskStatus },
    { label: "Health", className: "wide", draw: (t) => (taskHealth(t) ? createStatus(taskHealth(t)) : "") },
    { grow: 2.4, label: "Container instance", className: "wide mono", draw: (t) => lastPart(t.containerInstanceARN) },
    { grow: 0.9, label: "Launch", className: "wide", draw: ({ launchType }) => launchType ?? "" },
    { grow: 1.3, label: "Group", className: "wide", draw: ({ group }) => group ?? "" },
    { grow: 0.9, label: "Started", draw: ({ startedAt, createdAt }) => age(startedAt || createdAt) },
  ],
  stopped: [
    { grow: 2.7, label: "Task", className: "main mono", draw: ({ taskARN }) => lastPart(taskARN) },
    { grow: 1.4, label: "Task definition", draw: ({ taskDefinitionARN }) => lastPart(taskDefinitionARN) },
    { ...cluster, className: "wide" },
    { grow: 0.9, label: "Stopped", draw: ({ stoppedAt, updatedAt }) => age(stoppedAt || updatedAt) },
    { label: "Exit code", className: "state", draw: createExitCodes },
    { grow: 2.1, label: "Stop code", className: "wide", draw: ({ stopCode }) => stopCode ?? "" },
    { grow: 2.7, label: "Reason", className: "wide", draw: stopReason },
  ],
};

export function instanceName({ EC2InstanceID, containerInstanceARN }) {
  return EC2InstanceID || lastPart(containerInstanceARN);
}

// stopReason prefers a container's reason, such as OutOfMemoryError, to "Essential container in task exited".
export function stopReason({ containers, stoppedReason }) {
  const reasons = containers.filter(({ reason }) => reason).map(({ name, reason }) => `${name}: ${reason}`);
  return [...reasons, stoppedReason].filter(Boolean).join("; ");
}

export const attribute = ({ attributes }, name) => attributes.find((a) => a.name === name)?.value ?? "";

// externalLink opens another site in a tab of its own; it is "" without a URL.
export function externalLink(url, text) {
  if (!url) return "";
  return createElement("a", { href: url, target: "_blank", rel: "noopener noreferrer", textContent: text + " ↗" });
}

export function age(timestamp) {
  if (!timestamp) return "";
  const element = createElement("time", { dateTime: timestamp, textContent: formatAge(timestamp) });
  element.title = new Date(timestamp).toLocaleString();
  element.dataset.age = "";
  return element;
}

// updateAges keeps the ages in the document current, without drawing anything else again.
export function updateAges() {
  for (const element of document.querySelectorAll("time[data-age]")) {
    setText(element, formatAge(element.dateTime));
  }
}

function free({ remainingResources, registeredResources }, name) {
  const valueOf = (resources) => resources.find((r) => r.name === name)?.value;
  const registered = valueOf(registeredResources);
  if (registered === undefined) return "";
  return `${formatNumber(Number(valueOf(remainingResources) ?? 0))} of ${formatNumber(Number(registered))}`;
}

export const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);

function withoutStopped({ STOPPED, DELETED, ...others }) {
  return others;
}

function countLink(view, { clusterARN }, counts, none) {
  if (!sum(counts)) return createElement("span", { className: "muted", textContent: none });
  const text = Object.entries(counts).sort((a, b) => b[1] - a[1])
    .map(([status, count]) => `${formatNumber(count)} ${status.toLowerCase().replaceAll("_", " ")}`).join(", ");
  return viewLink(view, clusterARN, text);
}

function stoppedTasks({ clusterARN, tasks }) {
  return tasks.STOPPED ? viewLink("stopped", clusterARN, formatNumber(tasks.STOPPED)) : "0";
}

function agentsConnected({ agentsConnected: connected, instances }) {
  const total = sum(instances);
  if (!total) return "";
  return createStatus(`${formatNumber(connected)} of ${formatNumber(total)}`, connected < total ? "warn" : "good");
}

function viewLink(view, clusterARN, text) {
  const href = formatAddress({ view, filters: { cluster: clusterARN } });
  return createElement("a", { href, textContent: text });
}
