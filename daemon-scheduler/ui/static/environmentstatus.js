// The status and the task counts of one environment.
import { resourceID } from "./format.js";

// isCanary reports whether the deployment does not go beyond its canary until it is promoted.
export function isCanary(deployment) {
  return deployment?.rolloutState === "WAITING_FOR_PROMOTION";
}

const hasCondition = (environment, type) =>
  (environment.conditions ?? []).some((condition) => condition.type === type && condition.status === "True");

// effectiveText returns the task definition and the revision in effect and, if the newest revision is another one, what
// became of that.
export function effectiveText(environment) {
  const { taskDefinition, revision } = environment;
  const relation = hasCondition(environment, "RolledBack") ? "rolled back from" : "newest:";
  const describe = (effective, newest, relation) =>
    effective === newest ? newest : `${effective} (${relation} ${newest})`;
  return {
    taskDefinition:
      describe(resourceID(environment.effectiveTaskDefinition ?? taskDefinition), resourceID(taskDefinition), relation),
    revision: describe(String(environment.effectiveRevision ?? revision ?? ""), String(revision ?? ""), "newest:"),
  };
}

// summarize returns the most important fact about an environment: its kind (a CSS class) and a label.
export function summarize({ environment, deployment }) {
  if (environment.status === "deleting") return { kind: "warn", label: "deleting" };
  if (deployment?.rolloutState === "FAILED") return { kind: "bad", label: "rollout failed" };
  if (environment.paused) return { kind: "warn", label: "paused" };
  if (environment.health !== "healthy") {
    return { kind: "bad", label: environment.status === "deploying" ? "deploying, unhealthy" : "unhealthy" };
  }
  if (environment.status === "deploying") return { kind: "busy", label: phaseLabel(environment, deployment) };
  if (environment.status === "inactive") return { kind: "plain", label: "not deployed" };
  if (hasCondition(environment, "RolledBack")) return { kind: "warn", label: "rolled back" };
  return { kind: "good", label: "healthy" };
}

function phaseLabel(environment, deployment) {
  if (deployment?.rollbackOf) return "rolling back";
  if (deployment?.bakeStartedAt) return "baking";
  return isCanary(deployment) ? "canary" : "deploying";
}

// countByState splits the desired instances of an environment by state.
export function countByState(environment) {
  const starting = environment.pendingCount ?? 0;
  const failing = environment.failedCount ?? 0;
  const desired = Math.max(environment.desiredCount ?? 0, environment.runningCount ?? 0);
  const running = Math.min(environment.runningCount ?? 0, Math.max(0, desired - failing)); // UNHEALTHY tasks are failing
  const rest = desired - running - starting - failing;
  const outdated = Math.max(0, Math.min(environment.outdatedCount ?? 0, rest));
  return { running, starting, outdated, failing, missing: Math.max(0, rest - outdated) };
}
