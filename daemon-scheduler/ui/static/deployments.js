// The newest deployments of the selected environment.
import { byId, createElement, createTime } from "./dom.js";
import { formatDuration, resourceID, shortID } from "./format.js";
import { redraw } from "./panels.js";
import { request, RequestError } from "./request.js";
import { state } from "./state.js";

const MAX_DEPLOYMENTS = 8;
const DISPLAY = { // by rollout state: the kind (a CSS class) and the label
  IN_PROGRESS: ["busy", "in progress"],
  WAITING_FOR_PROMOTION: ["busy", "waiting for promotion"],
  COMPLETED: ["good", "completed"],
  FAILED: ["bad", "failed"],
  STOPPED: ["warn", "stopped"],
};

let lastRequest = 0;

// loadDeployments ignores the response if a newer request has started meanwhile.
export async function loadDeployments() {
  const name = state.selectedName;
  const current = ++lastRequest;
  if (!name) return;
  try {
    const { items } = await request("GET", `v1/environments/${encodeURIComponent(name)}/deployments`);
    if (current !== lastRequest) return;
    state.deployments = items ?? [];
    redraw("deployments", "rollout", "actions", "environments");
  } catch (error) {
    // The streams report a server that does not respond. When they are live again, they load the deployments.
    if (!(error instanceof RequestError)) throw error;
  }
}

export function drawDeployments() {
  byId("deployments").replaceChildren(...state.deployments.slice(0, MAX_DEPLOYMENTS).map(createItem));
}

function createItem(deployment) {
  const { id, revision, createdAt, finishedAt, rollbackOf, rolloutStateReason } = deployment;
  const [kind, label] = DISPLAY[deployment.rolloutState] ?? ["", deployment.status];
  const identity = [`rev ${revision ?? "?"}`, shortID(id), rollbackOf && `rollback of ${shortID(rollbackOf)}`];
  const duration = finishedAt && createdAt && formatDuration(new Date(finishedAt) - new Date(createdAt));
  return createElement("li", {},
    createElement("div", {},
      createElement("span", { className: "status " + kind, textContent: label }),
      " ",
      createElement("strong", { textContent: resourceID(deployment.taskDefinition) }),
      createElement("span", { className: "muted", textContent: " " + identity.filter(Boolean).join(" · ") })),
    createElement("div", { className: "muted" }, createTime(createdAt), duration && ` · took ${duration}`),
    rolloutStateReason && createElement("p", { className: "explanation", textContent: rolloutStateReason }));
}
