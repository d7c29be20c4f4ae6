// The configuration of the revision that is being rolled out, otherwise of the one in effect.
import { byId, createDefinition, createElement, setText } from "./dom.js";
import { isInProgress } from "./environmentstatus.js";
import { formatCount, resourceID } from "./format.js";
import { describeStep, revisionOf } from "./revisions.js";
import { selectedEnvironment, state } from "./state.js";

export function drawConfiguration() {
  const record = selectedEnvironment();
  if (!record) return;
  const { environment, deployment } = record;
  const shown = isInProgress(deployment) ? deployment.revision : environment.effectiveRevision ?? environment.revision;
  const revision = revisionOf({ revision: shown });
  const newer = environment.revision > shown ? `; revision ${environment.revision} is the newest` : "";
  setText(byId("configuration-revision"), `revision ${shown}${newer}`);
  byId("configuration").replaceChildren(...(revision ? settings(revision) : []).map(([label, value]) =>
    createElement("div", {}, ...createDefinition(label, value))));
}

function settings(revision) {
  const configuration = revision.deploymentConfiguration ?? {};
  const percent = (value) => value === undefined || value === null ? "" : value + " %";
  const count = (value) => value === undefined || value === null ? "" : formatCount(value, "instance");
  const minutes = (value) => value ? formatCount(value, "minute") : "";
  return [
    ["Instances", selectorText(revision.instanceGroup)],
    ["Task definition", resourceID(revision.taskDefinition)],
    ["Minimum healthy", configuration.maxUnavailable ? "" : percent(configuration.minimumHealthyPercent ?? 90)],
    ["Max unavailable", count(configuration.maxUnavailable)],
    ["Maximum", configuration.maxSurge === undefined ? percent(configuration.maximumPercent ?? 100) : ""],
    ["Max surge", count(configuration.maxSurge)],
    ["Canary", canaryText(configuration.canary)],
    ["Waves", configuration.spreadBy?.replace(/^attribute:/, "by ")],
    ["Slow start", configuration.slowStart === false ? "off" : ""],
    ["Circuit breaker", breakerText(configuration.deploymentCircuitBreaker)],
    ["Alarms", alarmsText(configuration.alarms)],
    ["Bake time", minutes(configuration.bakeTimeInMinutes)],
    ["Progress deadline", minutes(configuration.progressDeadlineMinutes)],
    ["Minimum healthy time",
      configuration.minimumHealthySeconds ? formatCount(configuration.minimumHealthySeconds, "second") : ""],
    ["Unhealthy tasks", revision.unhealthyPolicy],
    ["Readiness attribute", revision.readinessAttribute],
    ["Drain order", revision.drainOrder === undefined ? "" : String(revision.drainOrder)],
    ["Scale-in after", minutes(revision.scaleInAfterMinutes)],
    ["Task settings", Object.keys(revision.taskSettings ?? {}).join(", ")],
  ].filter(([, value]) => value);
}

function selectorText({ attributes = [], query } = {}) {
  const selectors = attributes.map(({ name, value }) => value === undefined ? name : `${name} = ${value}`);
  return [...selectors, query].filter(Boolean).join(" and ") || "all";
}

function canaryText(canary) {
  if (!canary) return "";
  if (!canary.steps?.length) return describeStep(canary) + ", then a promotion";
  return canary.steps.map((step, index) => `${index + 1}. ${describeStep(step)}${pauseText(step)}`).join("\n");
}

function pauseText({ pauseMinutes }) {
  if (pauseMinutes === undefined || pauseMinutes === null) return ", then a promotion";
  return pauseMinutes ? `, ${formatCount(pauseMinutes, "minute")}` : "";
}

function breakerText(breaker) {
  if (!breaker?.enable) return "";
  const { type, value } = breaker.thresholdConfiguration ?? {};
  const threshold = type?.endsWith("PERCENT") ? `${value} % of the instances` : breaker.threshold ?? value;
  return [
    threshold === undefined ? "on" : "threshold " + threshold,
    breaker.rollback ? "rolls back" : "pauses",
  ].join(", ");
}

function alarmsText(alarms) {
  if (!alarms || alarms.enable === false) return "";
  return alarms.alarmNames.join(", ") + (alarms.rollback ? "; rolls back" : "; pauses");
}
