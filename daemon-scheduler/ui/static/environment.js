// The head of the selected environment: its name, status and properties.
import { byId, createDefinition, createElement, setText } from "./dom.js";
import { effectiveText, summarize } from "./environmentstatus.js";
import { formatDateTime, resourceID } from "./format.js";
import { selectedEnvironment, state } from "./state.js";

// clusterText returns the cluster's name, with its region and account if environments have another cluster of the name.
function clusterText(cluster) {
  const name = resourceID(cluster);
  const isOther = ({ environment: { instanceGroup } }) =>
    resourceID(instanceGroup?.cluster) === name && instanceGroup.cluster !== cluster;
  if (!cluster || ![...state.environments.values()].some(isOther)) return name;
  const [, , , region, account] = cluster.split(":");
  return `${name} (${region}/${account})`;
}

export function drawEnvironment() {
  const record = selectedEnvironment();
  byId("environment").hidden = !record;
  document.title = record ? state.selectedName + " – Blox" : "Blox";
  if (!record) return;
  setText(byId("environment-name"), record.environment.name);
  byId("badges").replaceChildren(...badges(record).map(({ kind, label }) =>
    createElement("span", { className: "badge " + kind, textContent: label })));
  byId("properties").replaceChildren(...properties(record.environment).map(([label, value]) =>
    createElement("div", {}, ...createDefinition(label, value))));
}

function badges(record) {
  const { status, health } = record.environment;
  const summary = summarize(record);
  const badges = [{ kind: { active: "good", deploying: "busy" }[status] ?? "warn", label: status }];
  if (status !== "inactive") badges.push({ kind: health === "healthy" ? "good" : "bad", label: health });
  if (!summary.label.includes(status) && !summary.label.includes(health)) badges.push(summary);
  return badges;
}

function properties(environment) {
  const effective = effectiveText(environment);
  const group = environment.instanceGroup ?? {};
  return [
    ["Cluster", clusterText(group.cluster)],
    ["Task definition", effective.taskDefinition],
    ["Revision", effective.revision],
    ["Updated", environment.updatedAt && formatDateTime(new Date(environment.updatedAt))],
  ].filter(([, value]) => value);
}
