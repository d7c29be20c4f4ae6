// The dialog that deploys a revision or another task definition.
import { commandLine } from "./cli.js";
import { choiceOf, createChoice } from "./dialog.js";
import { createElement } from "./dom.js";
import { isInProgress } from "./environmentstatus.js";
import { formatCount, resourceID } from "./format.js";
import { request } from "./request.js";
import { revisionText } from "./revisions.js";
import { state } from "./state.js";

const DEFINITION = "definition"; // the choice of another task definition
const EXAMPLE = "agent:3";

// deployAction returns the action for openDialog.
export function deployAction({ environment, deployment }) {
  const { name } = environment;
  const path = `v1/environments/${encodeURIComponent(name)}`;
  const fields = createFields(environment);
  let planned = null; // the environment of the plan; its token permits nothing once the environment has changed
  let updated = null; // the environment with the new task definition, once that is stored

  const chosen = () => {
    const revision = choiceOf(fields.revision);
    return {
      revision: revision === DEFINITION ? 0 : Number(revision),
      definition: revision === DEFINITION ? fields.definition.value.trim() : "",
      force: fields.force.checked,
    };
  };
  const command = ({ revision, definition, force }) => commandLine("deploy", name,
    ...(definition ? ["--task-definition", definition] : []),
    ...(revision ? ["--revision", revision] : []),
    force ? "--force-new-deployment" : "");
  const deployPath = ({ revision, force }, token, dryRun) => `${path}/deployments?` + new URLSearchParams({
    deploymentToken: token,
    ...(revision ? { revision } : {}),
    ...(force ? { forceNewDeployment: true } : {}),
    ...(dryRun ? { dryRun: true } : {}),
  });

  return {
    title: `Deploy ${name}`,
    confirm: "Deploy",
    plansAgain: true,
    fields: [fields.revision, fields.definitionLabel, fields.forceLabel],
    fallback: () => ({ command: command(chosen()) }),
    async plan(signal) {
      planned = updated = null;
      const choice = chosen();
      fields.definitionLabel.hidden = choiceOf(fields.revision) !== DEFINITION;
      if (!choice.revision && !choice.definition) {
        return { effects: ["Enter a task definition: a family, family:revision or an ARN."], blocked: true };
      }
      const present = planned = await request("GET", path, { signal });
      const plan = choice.definition
        ? await planDefinition(path, present, choice.definition, signal)
        : planDeployment(await request("POST", deployPath(choice, present.deploymentToken, true), { signal }));
      if (plan.blocked) return plan;
      const effects = [...stopEffect(deployment), ...plan.effects, ...pauseEffect(present)];
      return { ...plan, effects, command: command(choice) };
    },
    async send(key) {
      const choice = chosen();
      let present = updated ?? planned ?? await request("GET", path);
      if (choice.definition && !updated) {
        present = updated = await request("PATCH", `${path}?deploymentToken=${present.deploymentToken}`, {
          body: { taskDefinition: choice.definition }, idempotencyKey: key + "-update",
        });
      }
      const created = await request("POST", deployPath(choice, present.deploymentToken), { idempotencyKey: key });
      return `Deployed ${resourceID(created.taskDefinition)} in ${name}.`;
    },
  };
}

// createFields offers the known revisions, newest first, and another task definition.
function createFields(environment) {
  const known = state.revisions.length ? state.revisions
    : [{ revision: environment.revision, taskDefinition: environment.taskDefinition }];
  const options = known.map((revision) => ({
    value: String(revision.revision), label: revisionText(revision),
    detail: [
      revision.revision === environment.revision ? "newest" : "",
      revision.revision === environment.effectiveRevision ? "in effect" : "",
    ].filter(Boolean).join(", "),
  }));
  options.push({ value: DEFINITION, label: "Another task definition" });
  const newestDeployed = state.deployments.some(({ revision }) => revision === environment.revision);
  const revision = createChoice("Revision", "revision", options, newestDeployed ? DEFINITION : options[0].value);
  const definition = createElement("input", {
    type: "text", id: "deploy-definition", placeholder: EXAMPLE, autocomplete: "off", spellcheck: false,
  });
  const force = createElement("input", { type: "checkbox", id: "deploy-force" });
  return {
    revision, definition, force,
    definitionLabel: createElement("label", { className: "text-field" }, "Task definition", definition),
    forceLabel: createElement("label", {}, force,
      createElement("span", {}, "Replace every task, also unchanged ones")),
  };
}

// planDefinition validates the new task definition. ECS resolves it, so that the user sees which one is deployed.
async function planDefinition(path, present, definition, signal) {
  const dryRun = new URLSearchParams({ deploymentToken: present.deploymentToken, dryRun: true });
  const next = await request("PATCH", `${path}?${dryRun}`, { body: { taskDefinition: definition }, signal });
  const resolved = resourceID(next.taskDefinition);
  if (next.revision === present.revision) {
    return {
      effects: [`The newest revision has ${resolved} already. Choose revision ${present.revision} to deploy it.`],
      blocked: true,
    };
  }
  const running = resourceID(present.effectiveTaskDefinition);
  return {
    effects: [
      `Blox stores revision ${next.revision} with ${resolved}, and deploys it.`,
      running && running !== resolved
        ? `Blox replaces the tasks of ${running} on ${formatCount(present.desiredCount ?? 0, "instance")}, in batches.`
        : `Blox starts it on ${formatCount(present.desiredCount ?? 0, "instance")}.`,
      ...canaryEffect(next.deploymentConfiguration),
    ],
    confirm: `Deploy ${resolved}`,
  };
}

// planDeployment describes a dry run.
function planDeployment({ plan = [], taskDefinition, revision }) {
  const count = (action) => plan.filter((step) => step.action === action).length;
  const batches = plan.reduce((most, { batch }) => Math.max(most, batch), 0);
  const starts = count("start");
  const stops = count("stop");
  const effects = [];
  if (starts + stops) {
    effects.push(`Blox starts ${formatCount(starts, "task")} and stops ${formatCount(stops, "task")} in ` +
      `${formatCount(batches, "batch", "batches")}.`);
  } else {
    effects.push("Blox starts and stops no task now.");
  }
  effects.push(`${resourceID(taskDefinition)} of revision ${revision} is then in effect.`);
  const configuration = state.revisions.find((known) => known.revision === revision)?.deploymentConfiguration;
  return { effects: [...effects, ...canaryEffect(configuration)], confirm: `Deploy ${resourceID(taskDefinition)}` };
}

function stopEffect(deployment) {
  if (!isInProgress(deployment)) return [];
  return [`Blox stops the deployment of ${resourceID(deployment.taskDefinition)} that is in progress.`];
}

function pauseEffect({ paused, pausedBy }) {
  return paused && !pausedBy ? ["The environment is paused: this begins when you resume it."] : [];
}

function canaryEffect(configuration) {
  return configuration?.canary ? ["The deployment begins with its canary, and waits there for the promotion."] : [];
}
