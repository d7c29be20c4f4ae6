// How statuses look: a kind (a CSS class with a symbol of its own, see base.css) and a text.
import { createElement } from "./dom.js";

const KINDS = {
  ACTIVE: "good", DRAINING: "warn", REGISTERING: "busy", REGISTRATION_FAILED: "bad", DEREGISTERING: "warn",
  RUNNING: "good", PENDING: "busy", PROVISIONING: "busy", ACTIVATING: "busy", DEACTIVATING: "warn", STOPPING: "warn",
  DEPROVISIONING: "warn",
  HEALTHY: "good", UNHEALTHY: "bad", OK: "good", IMPAIRED: "bad", INITIALIZING: "busy",
};

export function createStatus(status, kind = KINDS[status] ?? "plain") {
  return createElement("span", { className: "status " + kind, textContent: status });
}

export function createTaskStatus({ lastStatus, desiredStatus }) {
  const stops = desiredStatus === "STOPPED" && lastStatus !== "STOPPED" && lastStatus !== "DELETED";
  return stops ? createStatus(`${lastStatus} → STOPPED`, "warn") : createStatus(lastStatus);
}

export const createAgentStatus = ({ agentConnected }) =>
  agentConnected ? createStatus("connected", "good") : createStatus("disconnected", "bad");

// taskHealth returns the worst health of the task's containers; "" if ECS checks none.
export function taskHealth({ containers }) {
  const statuses = containers.map(({ healthStatus }) => healthStatus).filter(Boolean);
  return ["UNHEALTHY", "UNKNOWN", "HEALTHY"].find((status) => statuses.includes(status)) ?? "";
}

// createExitCodes shows the exit code of each container that has one.
export function createExitCodes({ containers }) {
  const codes = containers.filter(({ exitCode }) => exitCode !== undefined)
    .map(({ name, exitCode }) => (containers.length > 1 ? `${name} ${exitCode}` : String(exitCode)));
  if (!codes.length) return createElement("span", { className: "muted", textContent: "none" });
  const failed = containers.some(({ exitCode }) => exitCode);
  return createStatus(codes.join(", "), failed ? "bad" : "good");
}
