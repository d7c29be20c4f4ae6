// The status and the task counts of one environment.
import { resourceID } from "./format.js";
import { state } from "./state.js";

// isInProgress reports whether the deployment has not ended.
export const isInProgress = (deployment) =>
  ["IN_PROGRESS", "WAITING_FOR_PROMOTION"].includes(deployment?.rolloutState);

// isCanary reports whether the deployment does not go beyond its canary until it is promoted.
export const isCanary = (deployment) => deployment?.rolloutState === "WAITING_FOR_PROMOTION";

// countsOf returns the counts of an environment. Those of the selected one belong to the instances in the grid: counts
// of the other stream would differ from them for a moment.
export function countsOf(environment) {
  const known = environment.desiredCount !== undefined && environment.desiredCount !== null;
  return known && environment.name === state.selectedName && state.counts ? state.counts : environment;
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

// changeOf returns what a deployment replaces by what: { from, to }, each with a taskDefinition and a revision. From is
// null if there was nothing to replace, or if it is not known any more.
export function changeOf(environment, deployment, deployments = []) {
  const end = (taskDefinition, revision) => ({ taskDefinition: resourceID(taskDefinition), revision });
  const to = end(deployment.taskDefinition, deployment.revision);
  if (deployment.rollbackOf) {
    const undone = deployments.find(({ id }) => id === deployment.rollbackOf);
    return { from: undone ? end(undone.taskDefinition, undone.revision) : null, to };
  }
  if (deployment.rolloutState === "COMPLETED") return { from: null, to };
  const { effectiveTaskDefinition, effectiveRevision } = environment;
  const isFirst = !effectiveRevision || effectiveRevision === deployment.revision && !deployment.forceNewDeployment;
  return { from: isFirst ? null : end(effectiveTaskDefinition, effectiveRevision), to };
}

// summarize returns the most important fact about an environment: its kind (a CSS class) and a label.
export function summarize({ environment, deployment }) {
  if (environment.status === "deleting") return { kind: "warn", label: "deleting" };
  if (deployment?.rolloutState === "FAILED") return { kind: "bad", label: "rollout failed" };
  if (environment.paused) return { kind: "warn", label: "paused" };
  if (environment.health !== "healthy") {
    return { kind: "bad", label: environment.status === "deploying" ? "deploying, unhealthy" : "unhealthy" };
  }
  if (environment.status === "deploying") return { kind: "busy", label: phaseLabel(deployment) };
  if (environment.status === "inactive") return { kind: "plain", label: "not deployed" };
  if (hasCondition(environment, "RolledBack")) return { kind: "warn", label: "rolled back" };
  return { kind: "good", label: "healthy" };
}

const KINDS_BY_URGENCY = ["bad", "warn", "busy"];

// compareUrgency sorts records: those that need attention first, then by name.
export function compareUrgency(a, b) {
  const urgency = (record) => {
    const index = KINDS_BY_URGENCY.indexOf(summarize(record).kind);
    return index < 0 ? KINDS_BY_URGENCY.length : index;
  };
  return urgency(a) - urgency(b) || a.environment.name.localeCompare(b.environment.name);
}

function phaseLabel(deployment) {
  if (deployment?.rollbackOf) return "rolling back";
  if (deployment?.bakeStartedAt) return "baking";
  return isCanary(deployment) ? "canary" : "deploying";
}

// countByState splits the desired instances of an environment by state.
export function countByState(environment) {
  const counts = countsOf(environment);
  const starting = counts.pendingCount ?? 0;
  const failing = counts.failedCount ?? 0;
  const desired = Math.max(counts.desiredCount ?? 0, counts.runningCount ?? 0);
  const running = Math.min(counts.runningCount ?? 0, Math.max(0, desired - failing)); // UNHEALTHY tasks are failing
  const rest = desired - running - starting - failing;
  const outdated = Math.max(0, Math.min(counts.outdatedCount ?? 0, rest));
  return { running, starting, outdated, failing, missing: Math.max(0, rest - outdated) };
}
