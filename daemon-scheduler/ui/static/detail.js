// The detail of one container instance: its task, and the reason for its state.
import { byId, createDefinition, createElement } from "./dom.js";
import { formatTime, resourceID, shortID } from "./format.js";
import { taskLink, instanceLink } from "./explorer.js";
import { LABELS, stateOf } from "./instancestate.js";
import { createIcon } from "./symbols.js";

// displayName returns the EC2 instance's ID or, for external instances, the container instance's.
export function displayName(instance) {
  return instance.ec2InstanceId || resourceID(instance.containerInstance);
}

// drawDetail shows an instance, or a hint if it is null.
export function drawDetail(instance) {
  const panel = byId("detail");
  panel.classList.toggle("filled", Boolean(instance));
  if (!instance) {
    panel.replaceChildren(createElement("p", {
      className: "muted",
      textContent: "Point at an instance, tap it or select it with the arrow keys to see its task and its state.",
    }));
    return;
  }
  const state = stateOf(instance);
  panel.replaceChildren(
    createElement("h3", { className: "mono", textContent: displayName(instance) }),
    createElement("p", { className: "state" }, createIcon(state), LABELS[state]),
    createElement("p", { className: "reason", textContent: instance.reason ?? "" }),
    createElement("dl", {}, ...properties(instance).flatMap(([label, value, className]) =>
      createDefinition(label, value, className))),
    ...links(instance),
  );
}

// links returns the links to the page of cluster-state-service, if its address is known.
function links(instance) {
  const links = [instanceLink(instance.containerInstance), instance.task && taskLink(instance.task)].filter(Boolean);
  return links.length ? [createElement("p", { className: "detail-links" }, ...links)] : [];
}

function properties(instance) {
  const agent = instance.agentConnected ? "" : ", ECS agent disconnected";
  return [
    ["Instance", resourceID(instance.containerInstance), "mono"],
    ["Group", instance.group],
    ["Status", instance.status.toLowerCase() + agent],
    ["Task", resourceID(instance.task), "mono"],
    ["Task status", instance.taskStatus?.toLowerCase()],
    ["Health", instance.healthStatus?.toLowerCase()],
    ["Deployment", shortID(instance.deployment)],
    ["Attempts", instance.attempts ? String(instance.attempts) : ""],
    ["Next attempt", instance.nextAttemptAt && formatTime(new Date(instance.nextAttemptAt))],
  ].filter(([, value]) => value);
}
