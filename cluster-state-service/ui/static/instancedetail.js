// The details of a container instance.
import { clusterConsole, clusterName, instanceConsole, lastPart, machineConsole } from "./arn.js";
import { instanceName } from "./columns.js";
import {
  apiPath, attachments, filterLink, foldedSection, head, openLink, properties, section, timeRow,
} from "./detailparts.js";
import { createElement } from "./dom.js";
import { formatCount, formatNumber } from "./format.js";
import { createAgentStatus, createExitCodes, createStatus, createTaskStatus } from "./status.js";

export function drawInstance(instance, version, tasks) {
  const cluster = clusterName(instance.clusterARN);
  const machine = (instance.EC2InstanceID ?? "").startsWith("mi-") ? "Managed node" : "EC2 instance";
  return [
    ...head(instanceName(instance), [
      createStatus(instance.status), createElement("span", { className: "muted", textContent: "ECS agent" }),
      createAgentStatus(instance), instance.healthStatus && createStatus(instance.healthStatus),
    ], [
      [instanceConsole(instance), "Instance in the AWS console"],
      [machineConsole(instance), machine],
      [clusterConsole(instance.clusterARN), "Cluster"],
    ], apiPath("instances", cluster, instance.containerInstanceARN)),
    instance.statusReason && createElement("p", { className: "note warn", textContent: instance.statusReason }),
    properties([
      ["Cluster", filterLink("instances", { cluster: instance.clusterARN }, cluster)],
      ["Container instance", lastPart(instance.containerInstanceARN), "mono"],
      ["EC2 instance", instance.EC2InstanceID, "mono"],
      ["Capacity provider", instance.capacityProviderName],
      ["ECS agent", instance.versionInfo.agentVersion],
      ["Agent update", instance.agentUpdateStatus?.toLowerCase()],
      ["Docker", instance.versionInfo.dockerVersion?.replace(/^DockerVersion: /, "")],
      timeRow("Registered", instance.registeredAt),
      ["Version", `${version} in etcd`],
      ["ARN", instance.containerInstanceARN, "mono"],
    ]),
    drawTasks(instance, tasks),
    section("Resources", drawResources(instance)),
    foldedSection(`Attributes (${instance.attributes.length})`, properties(
      instance.attributes.map(({ name, value }) => [name, value || "(no value)", "mono"]))),
    instance.attachments?.length ? foldedSection("Attachments", ...attachments(instance.attachments)) : "",
  ].filter(Boolean);
}

function drawTasks({ clusterARN, containerInstanceARN }, tasks) {
  const entries = tasks.entries.map(({ entity }) => entity);
  const live = entries.filter(({ lastStatus }) => lastStatus !== "STOPPED");
  const stopped = entries.filter(({ lastStatus }) => lastStatus === "STOPPED");
  const more = tasks.complete || !tasks.loaded ? "" : " (the first 100)";
  const all = (view, text) => filterLink(view, { cluster: clusterARN, containerInstance: containerInstanceARN }, text);
  return section(tasks.loaded ? `Tasks${more}` : "Tasks: loading…",
    tasks.loaded && !live.length ? createElement("p", { className: "muted", textContent: "No task runs here." }) : "",
    createElement("ul", { className: "entities" }, ...live.map(drawTaskItem)),
    stopped.length ? foldedSection(formatCount(stopped.length, "stopped task"),
      createElement("ul", { className: "entities" }, ...stopped.map(drawTaskItem))) : "",
    createElement("p", { className: "entity-links" }, all("tasks", "As a list"), all("stopped", "Stopped tasks")));
}

function drawTaskItem(task) {
  return createElement("li", {},
    openLink(task.taskARN, lastPart(task.taskDefinitionARN)),
    createElement("span", { className: "mono muted", textContent: lastPart(task.taskARN).slice(0, 12) + "…" }),
    createTaskStatus(task),
    task.lastStatus === "STOPPED" ? createExitCodes(task) : "");
}

function drawResources({ registeredResources, remainingResources }) {
  const head = createElement("tr", {}, ...["Resource", "Free", "Registered"].map((label, index) =>
    createElement("th", { scope: "col", className: index ? "number" : "", textContent: label })));
  const rows = registeredResources.map(({ name, type, value }) => {
    const isSet = type === "STRINGSET"; // of ports in use: ECS counts them the other way round
    const remaining = remainingResources.find((r) => r.name === name)?.value ?? "";
    const show = (text) => (isSet || text === "" ? text.replaceAll(",", ", ") || "none" : formatNumber(Number(text)));
    return createElement("tr", {}, createElement("td", { textContent: isSet ? `${name} in use` : name }),
      createElement("td", { className: "number", textContent: show(remaining) }),
      createElement("td", { className: "number", textContent: isSet ? "" : show(value) }));
  });
  return createElement("table", {}, createElement("thead", {}, head), createElement("tbody", {}, ...rows));
}
