// The details of a task.
import { clusterConsole, clusterName, lastPart, taskConsole, taskDefinitionConsole } from "./arn.js";
import { externalLink } from "./columns.js";
import {
  apiPath, attachments, filterLink, foldedSection, head, joined, openLink, properties, section, timeRow,
} from "./detailparts.js";
import { createElement } from "./dom.js";
import { createStatus, createTaskStatus, taskHealth } from "./status.js";

export function drawTask(task, version) {
  const cluster = clusterName(task.clusterARN);
  const health = taskHealth(task);
  return [
    ...head(lastPart(task.taskARN), [createTaskStatus(task), health && createStatus(health)], [
      [taskConsole(task), "Task in the AWS console"],
      [taskDefinitionConsole(task.taskDefinitionARN), "Task definition"],
      [clusterConsole(task.clusterARN), "Cluster"],
    ], apiPath("tasks", cluster, task.taskARN)),
    stopNote(task),
    properties(placement(task)),
    section(task.containers.length === 1 ? "Container" : "Containers", ...task.containers.map(drawContainer)),
    section("Times", properties(times(task, version))),
    drawOverrides(task.overrides),
    task.attachments?.length ? foldedSection("Attachments", ...attachments(task.attachments)) : "",
    task.attributes?.length ? foldedSection("Attributes", properties(task.attributes.map(({ name, value }) =>
      [name, value || "(no value)", "mono"]))) : "",
  ].filter(Boolean);
}

// stopNote says why a task stops.
function stopNote({ stopCode, stoppedReason }) {
  if (!stopCode && !stoppedReason) return "";
  const kind = stopCode === "UserInitiated" || stopCode === "ServiceSchedulerInitiated" ? "warn" : "bad";
  return createElement("p", { className: "note " + kind, id: "stop-reason" },
    stopCode && createElement("strong", { textContent: stopCode }), stopCode && stoppedReason && ": ", stoppedReason);
}

function placement(task) {
  const definition = lastPart(task.taskDefinitionARN);
  const { clusterARN } = task;
  return [
    ["Task definition", filterLink("tasks", { cluster: clusterARN, taskDefinition: definition }, definition)],
    ["Cluster", filterLink("tasks", { cluster: clusterARN }, clusterName(clusterARN))],
    ["Container instance", openLink(task.containerInstanceARN, lastPart(task.containerInstanceARN)), "mono"],
    ["Group", task.group && filterLink("tasks", { cluster: clusterARN, group: task.group }, task.group)],
    ["Started by", task.startedBy && filterLink("tasks", { cluster: clusterARN, startedBy: task.startedBy },
      task.startedBy), "mono"],
    ["Launch type", joined(", ", task.launchType, task.capacityProviderName)],
    ["Zone", task.availabilityZone],
    ["CPU, memory", joined(", ", task.cpu && `${task.cpu} CPU units`, task.memory && `${task.memory} MiB`)],
    ["Platform", joined(" ", task.platformFamily, task.platformVersion)],
    ["Ephemeral storage", task.ephemeralStorage && `${task.ephemeralStorage.sizeInGiB} GiB`],
    ["Connectivity", task.connectivity?.toLowerCase()],
    ["ECS Exec", task.enableExecuteCommand ? "enabled" : ""],
    ["ARN", task.taskARN, "mono"],
  ];
}

function drawContainer(container) {
  const { name, lastStatus, exitCode, healthStatus } = container;
  const ports = container.networkBindings.map((b) =>
    `${b.bindIP || "*"}:${b.hostPortRange || b.hostPort} → ${b.containerPortRange || b.containerPort}/${b.protocol ?? "tcp"}`);
  const addresses = (container.networkInterfaces ?? [])
    .flatMap(({ privateIpv4Address, ipv6Address }) => [privateIpv4Address, ipv6Address]).filter(Boolean);
  const agents = (container.managedAgents ?? []).map((a) =>
    [a.name, a.lastStatus?.toLowerCase(), a.reason].filter(Boolean).join(" "));
  return createElement("div", { className: "container" },
    createElement("p", { className: "container-head" }, createElement("strong", { textContent: name }),
      createStatus(lastStatus), healthStatus && createStatus(healthStatus)),
    properties([
      ["Exit code", exitCode === undefined ? "" : createStatus(String(exitCode), exitCode ? "bad" : "good")],
      ["Reason", container.reason],
      ["Image", container.image, "mono"],
      ["Image digest", container.imageDigest, "mono"],
      ["Ports", ports.join(", "), "mono"],
      ["Addresses", addresses.join(", "), "mono"],
      ["CPU, memory", [container.cpu && `${container.cpu} CPU units`, container.memory && `${container.memory} MiB`]
        .filter(Boolean).join(", ")],
      ["GPUs", (container.gpuIds ?? []).join(", "), "mono"],
      ["Managed agents", agents.join(", ")],
      ["Runtime ID", container.runtimeId, "mono"],
    ]));
}

function times(task, version) {
  return [
    timeRow("Created", task.createdAt),
    timeRow("Pull started", task.pullStartedAt),
    timeRow("Pull ended", task.pullStoppedAt),
    timeRow("Started", task.startedAt),
    timeRow("Stopping", task.stoppingAt),
    timeRow("Execution stopped", task.executionStoppedAt),
    timeRow("Stopped", task.stoppedAt),
    timeRow("Last event", task.updatedAt),
    ["Version", `${task.version ?? "unknown"} in ECS, ${version} in etcd`],
  ];
}

// drawOverrides leaves the values of variables to the JSON: they may be secret.
function drawOverrides({ taskRoleArn, containerOverrides }) {
  const rows = [["Task role", taskRoleArn && (externalRole(taskRoleArn) || taskRoleArn), "mono"]];
  for (const { name, command, environment } of containerOverrides) {
    if (command?.length) rows.push([`${name}: command`, command.join(" "), "mono"]);
    if (environment?.length) rows.push([`${name}: variables`, environment.map((e) => e.name).join(", "), "mono"]);
  }
  return rows.some(([, value]) => value) ? foldedSection("Overrides", properties(rows)) : "";
}

function externalRole(arn) {
  const [, partition] = arn.split(":");
  return partition === "aws"
    ? externalLink(`https://console.aws.amazon.com/iam/home#/roles/details/${encodeURIComponent(lastPart(arn))}`,
      lastPart(arn)) : "";
}
