// The rollout of the selected environment: its steps, progress, counts and notes.
import { announce, byId, createDefinition, createElement, setText } from "./dom.js";
import { changeOf, countByState, countsOf } from "./environmentstatus.js";
import { formatNumber } from "./format.js";
import { createProgressBar, updateProgressBar } from "./progressbar.js";
import { describeRollout } from "./rolloutmodel.js";
import { configurationOf } from "./revisions.js";
import { selectedEnvironment, state } from "./state.js";
import { timingText } from "./timing.js";

const RARE_COUNTS = ["unreachable", "misscheduled"]; // shown unless they are 0

export function drawRollout() {
  const record = selectedEnvironment();
  if (!record) return;
  const { environment, deployment } = record;
  const { steps, text, notes } = describeRollout(
    environment, deployment, deployment ? configurationOf(deployment) : {}, state.deployments);
  drawChange(environment, deployment);
  byId("steps").replaceChildren(...steps.map(createStep));
  drawText(environment, deployment, text);
  drawProgress(environment, deployment);
  drawCounts(environment, deployment);
  byId("notes").replaceChildren(...notes.map(({ kind, text }) =>
    createElement("li", { className: kind, textContent: text })));
}

// drawChange shows what is rolling out to what.
function drawChange(environment, deployment) {
  const panel = byId("rollout-change");
  panel.hidden = !deployment;
  setText(byId("rollout-timing"), deployment ? timingText(environment, deployment) : "");
  if (!deployment) return;
  const { from, to } = changeOf(environment, deployment, state.deployments);
  setText(byId("change-from"), from?.taskDefinition ?? "");
  setText(byId("change-arrow"), from ? "→" : "");
  setText(byId("change-to"), to.taskDefinition);
  const revisions = [from?.revision, to.revision].filter(Boolean).join(" → ");
  setText(byId("change-revisions"), "revision " + revisions + (deployment.forceNewDeployment ? ", all tasks" : ""));
}

function createStep({ label, status, current }) {
  const element = createElement("li", { className: status }, createElement("span", { textContent: label }));
  if (current) element.setAttribute("aria-current", "step");
  return element;
}

// drawText announces a change of the deployment, but not the first deployment that the page shows of an environment.
function drawText(environment, deployment, text) {
  const element = byId("rollout-text");
  const { environment: drawnEnvironment, deployment: drawnDeployment } = element.dataset;
  const deploymentState = deployment?.id + deployment?.rolloutState;
  if (element.textContent && drawnEnvironment === environment.name && drawnDeployment !== deploymentState) {
    announce(environment.name + ": " + text);
  }
  element.dataset.environment = environment.name;
  element.dataset.deployment = deploymentState;
  setText(element, text);
}

function drawProgress(environment, deployment) {
  const progress = byId("progress");
  progress.hidden = !deployment;
  if (!progress.firstChild) progress.append(createProgressBar(), createElement("output"));
  updateProgressBar(progress.firstChild, environment);
  const desired = countsOf(environment).desiredCount ?? 0;
  const percent = desired ? Math.min(100, Math.floor(100 * countByState(environment).running / desired)) + " %" : "–";
  setText(progress.lastChild, percent);
}

function drawCounts(environment, deployment) {
  byId("counts").hidden = !deployment;
  const known = countsOf(environment);
  // The legend of the grid has the instances by state: a number that both had under one name could differ.
  const counts = [
    ["desired", known.desiredCount],
    ["available", known.availableCount],
    ["updated", known.updatedCount],
    ["unreachable", known.unreachableCount],
    ["misscheduled", known.misscheduledCount],
  ].filter(([label, count]) => count || !RARE_COUNTS.includes(label));
  byId("counts").replaceChildren(...counts.map(([label, count]) => {
    const value = count === undefined || count === null ? "?" : formatNumber(count);
    return createElement("div", {}, ...createDefinition(label, value));
  }));
}
