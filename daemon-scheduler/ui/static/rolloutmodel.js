// What the page says about a rollout, computed from the API's records without touching the DOM.
import { now } from "./clock.js";
import { countByState, countsOf, isInProgress } from "./environmentstatus.js";
import { formatCount, formatDuration, formatNumber, resourceID, shortID } from "./format.js";

// describeRollout returns the steps of the deployment, one sentence about its progress, and notes with their kinds.
// configuration is that of the deployment's revision.
export function describeRollout(environment, deployment, configuration, deployments) {
  const notes = environmentNotes(environment);
  if (!deployment) return { steps: [], text: "No deployment yet.", notes };
  const phase = currentPhase(deployment, configuration);
  return {
    steps: rolloutSteps(deployment, configuration, phase),
    text: progressText(environment, deployment, configuration, phase),
    notes: [...notes, ...deploymentNotes(deployment, configuration, deployments)],
  };
}

const isBaking = (deployment) => Boolean(deployment.bakeStartedAt);
const hasCanary = (deployment, configuration) => Boolean(configuration.canary) && !deployment.rollbackOf;

// currentPhase returns "pending", "canary", "rollout", "bake" or "end".
function currentPhase(deployment, configuration) {
  if (!isInProgress(deployment)) return "end";
  if (deployment.status === "pending") return "pending";
  if (isBaking(deployment)) return "bake";
  return deployment.canaryProgress ? "canary" : "rollout";
}

// rolloutSteps returns the steps with the status "done", "current", "failed" or "".
function rolloutSteps(deployment, configuration, phase) {
  const steps = [];
  if (hasCanary(deployment, configuration)) steps.push(...canarySteps(deployment, configuration.canary));
  steps.push({ phase: "rollout", label: deployment.rollbackOf ? "Roll back" : "Roll out" });
  if (configuration.bakeTimeInMinutes || isBaking(deployment)) steps.push({ phase: "bake", label: "Bake" });
  steps.push({ phase: "end", label: { FAILED: "Failed", STOPPED: "Stopped" }[deployment.rolloutState] ?? "Completed" });

  const canaryStep = deployment.canaryProgress?.step ?? 1;
  const currentIndex = steps.findIndex((step) => step.phase === phase && (step.number ?? canaryStep) === canaryStep);
  return steps.map(({ phase, label }, index) => ({
    label,
    status: stepStatus(deployment, phase, index, currentIndex),
    current: index === currentIndex,
  }));
}

function stepStatus(deployment, phase, index, currentIndex) {
  const unsuccessful = !isInProgress(deployment) && deployment.rolloutState !== "COMPLETED";
  if (phase === "end" && unsuccessful) return "failed";
  if (phase === "end" && deployment.rolloutState === "COMPLETED") return "done";
  // A deployment that fails before it bakes never reaches that step.
  if (unsuccessful) return phase === "bake" && !isBaking(deployment) ? "" : "done";
  if (index < currentIndex) return "done";
  return index === currentIndex ? "current" : "";
}

function progressText(environment, deployment, configuration, phase) {
  const taskDefinition = resourceID(deployment.taskDefinition);
  const rollingBack = Boolean(deployment.rollbackOf);
  switch (phase) {
    case "pending":
      return rollingBack ? `Rolling back to ${taskDefinition}.` : `Waiting to roll out ${taskDefinition}.`;
    case "canary":
      return canaryText(taskDefinition, deployment, configuration.canary ?? {});
    case "bake":
      return bakeText(taskDefinition, deployment, configuration);
    case "rollout": {
      const remaining = (countsOf(environment).desiredCount ?? 0) - countByState(environment).running;
      const action = rollingBack ? "Rolling back to" : "Rolling out";
      return `${action} ${taskDefinition}: ${formatCount(remaining, "instance")} remaining.`;
    }
  }
  if (deployment.rolloutState === "COMPLETED") return `The rollout of ${taskDefinition} is completed.`;
  if (deployment.rolloutState === "FAILED") return `The rollout of ${taskDefinition} failed.`;
  return `The rollout of ${taskDefinition} was stopped.`;
}

// canarySteps returns a step for each step of the canary.
function canarySteps({ canaryProgress }, { steps }) {
  const count = steps?.length || canaryProgress?.steps || 1;
  if (count === 1) return [{ phase: "canary", number: 1, label: "Canary" }];
  return Array.from({ length: count }, (_, index) => ({
    phase: "canary", number: index + 1, label: `Canary ${index + 1}` + stepSize(steps?.[index]),
  }));
}

function stepSize({ percent, count, query } = {}) {
  if (percent) return `: ${percent} %`;
  return count ? ": " + formatNumber(count) : query ? ": query" : "";
}

function canaryText(taskDefinition, { canaryProgress = {} }, { percent, query }) {
  const { step, steps, instances, pauseMinutes, promotesAt } = canaryProgress;
  const name = steps > 1 ? `Canary step ${step} of ${steps}` : "Canary";
  const place = percent ? percent + " %" : query || !instances ? "the canary instances" : instances;
  return `${name}: ${taskDefinition} on ${place}; ${promotionText(pauseMinutes, promotesAt)}.`;
}

function promotionText(pauseMinutes, promotesAt) {
  if (pauseMinutes === undefined) return "waiting for promotion";
  if (!promotesAt) return `promoted when its tasks have been ready for ${formatCount(pauseMinutes, "minute")}`;
  const remaining = formatDuration(Math.max(0, new Date(promotesAt).getTime() - now()));
  return `promoted in ${remaining} if its tasks stay ready`;
}

function bakeText(taskDefinition, deployment, { bakeTimeInMinutes }) {
  if (!bakeTimeInMinutes) return `Baking ${taskDefinition}: all its tasks run.`;
  const end = new Date(deployment.bakeStartedAt).getTime() + bakeTimeInMinutes * 60_000;
  const remaining = formatDuration(end - now());
  return `Baking ${taskDefinition}: all its tasks run; completes in ${remaining} if they keep running.`;
}

function environmentNotes(environment) {
  const notes = [];
  if (environment.status === "deleting") {
    notes.push({ kind: "warn", text: "Blox is deleting the environment and stops its tasks first." });
  }
  if (environment.paused) {
    const { pausedBy } = environment;
    const origin = pausedBy ? ` by deployment ${shortID(pausedBy)} until the next deployment` : "";
    notes.push({ kind: "warn", text: `Paused${origin}: Blox starts and stops no tasks.` });
  }
  return notes;
}

function deploymentNotes(deployment, configuration, deployments) {
  const notes = [];
  const kindOf = ({ rolloutState }) => rolloutState === "FAILED" ? "bad" : "warn";
  if (deployment.rolloutStateReason) {
    notes.push({ kind: kindOf(deployment), text: deployment.rolloutStateReason });
  }
  const rolledBack = deployment.rollbackOf && deployments.find(({ id }) => id === deployment.rollbackOf);
  if (rolledBack?.rolloutStateReason) {
    const name = `Deployment ${shortID(rolledBack.id)} of ${resourceID(rolledBack.taskDefinition)}`;
    const outcome = rolledBack.rolloutState === "FAILED" ? "failed" : "was stopped";
    notes.push({ kind: kindOf(rolledBack), text: `${name} ${outcome}: ${rolledBack.rolloutStateReason}` });
  }
  const breaker = configuration.deploymentCircuitBreaker;
  if (breaker?.enable && isInProgress(deployment)) notes.push(circuitBreakerNote(deployment, breaker));
  const { alarms } = configuration;
  if (alarms && alarms.enable !== false && isInProgress(deployment)) {
    const consequence = alarms.rollback ? "rolls back" : "pauses the rollout";
    notes.push({ kind: "", text: `Alarms: ${alarms.alarmNames.join(", ")}. If one goes off, Blox ${consequence}.` });
  }
  return notes;
}

function circuitBreakerNote({ failedTasks }, breaker) {
  const { threshold, thresholdConfiguration: { type, value } = {} } = breaker;
  const percent = type?.endsWith("PERCENT") ? "% of the instances" : "";
  const limit = threshold ?? value ? ` (threshold ${threshold ?? value + percent})` : "";
  const consequence = breaker.rollback ? "rolls back" : "fails";
  return {
    kind: failedTasks ? "warn" : "",
    text: `Circuit breaker: ${formatCount(failedTasks ?? 0, "failure")}${limit}. ` +
      `If it trips, the deployment ${consequence}.`,
  };
}
