// The actions of the selected environment.
import { commandLine } from "./cli.js";
import { clientRole, permits } from "./credentials.js";
import { deployAction } from "./deploydialog.js";
import { choiceOf, createChoice, openDialog } from "./dialog.js";
import { byId, createElement } from "./dom.js";
import { countsOf, isInProgress } from "./environmentstatus.js";
import { formatCount, formatNumber, resourceID, shortID } from "./format.js";
import { request } from "./request.js";
import { configurationOf, describeStep, revisionText } from "./revisions.js";
import { selectedEnvironment, state } from "./state.js";

const FULL = "full";
const NEEDED_ROLE = "operator"; // for every action

const environmentPath = (name) => `v1/environments/${encodeURIComponent(name)}`;

// ACTIONS are in the order of their buttons. isOffered returns whether the button is shown.
const ACTIONS = [
  { id: "deploy", label: "Deploy…", isOffered: () => true, create: deployAction },
  {
    id: "promote", label: "Promote…", isOffered: ({ deployment }) => Boolean(deployment?.canaryProgress),
    create: promoteAction,
  },
  {
    id: "pause", label: "Pause…", isOffered: ({ environment }) => !environment.paused || Boolean(environment.pausedBy),
    create: pauseAction,
  },
  { id: "resume", label: "Resume…", isOffered: ({ environment }) => environment.paused, create: resumeAction },
  {
    id: "rollback", label: "Roll back…", isOffered: (record) => rollbackTargets(record).length > 0,
    create: rollbackAction,
  },
  { id: "stop", label: "Stop…", isOffered: ({ deployment }) => isInProgress(deployment), create: stopAction },
];

// drawActions shows the buttons of the actions that the state and the client's role permit.
export function drawActions() {
  const record = selectedEnvironment();
  const panel = byId("actions");
  panel.hidden = !record || state.config.readOnly || record.environment.status === "deleting";
  if (panel.hidden) return;
  if (!panel.firstChild) panel.append(...ACTIONS.map(createButton), createElement("span", { id: "actions-role" }));
  const permitted = permits(NEEDED_ROLE);
  ACTIONS.forEach(({ isOffered }, index) => {
    panel.children[index].hidden = !permitted || !isOffered(record);
  });
  const note = byId("actions-role");
  note.hidden = permitted;
  note.textContent = permitted ? "" : `Actions need the role ${NEEDED_ROLE}; yours is ${clientRole()}.`;
}

function createButton({ id, label, create }) {
  const button = createElement("button", { type: "button", id: "action-" + id, textContent: label });
  button.addEventListener("click", () => openDialog(create(selectedEnvironment())));
  return button;
}

function pauseAction({ environment, deployment }) {
  const { name } = environment;
  const { desiredCount, updatedCount } = countsOf(environment);
  const effects = [`Blox starts and stops no tasks of ${name} until you resume it. Running tasks keep running.`];
  if (isInProgress(deployment)) {
    effects.push(`The rollout of ${resourceID(deployment.taskDefinition)} halts: ` +
      `${formatNumber(updatedCount ?? 0)} of ${formatCount(desiredCount ?? 0, "instance")} updated.`);
  }
  effects.push("An instance that joins gets no task, and Blox replaces no stopped task. Drains and scale-in continue.");
  return {
    title: `Pause ${name}`, confirm: "Pause",
    plan: () => ({ effects, command: commandLine("environments", "pause", name) }),
    async send(idempotencyKey) {
      await request("POST", environmentPath(name) + "/pause", { idempotencyKey });
      return `Paused ${name}.`;
    },
  };
}

function resumeAction({ environment, deployment }) {
  const { name } = environment;
  const effects = [`Blox starts and stops tasks of ${name} again.`];
  if (isInProgress(deployment)) {
    effects.push(`The rollout of ${resourceID(deployment.taskDefinition)} continues.`);
  } else if (environment.effectiveTaskDefinition) {
    effects.push(`Instances without a task of ${resourceID(environment.effectiveTaskDefinition)} ` +
      `(revision ${environment.effectiveRevision}) get one, and Blox replaces the tasks of other revisions.`);
  }
  return {
    title: `Resume ${name}`, confirm: "Resume",
    plan: () => ({ effects, command: commandLine("environments", "resume", name) }),
    async send(idempotencyKey) {
      await request("POST", environmentPath(name) + "/resume", { idempotencyKey });
      return `Resumed ${name}.`;
    },
  };
}

function promoteAction({ environment, deployment }) {
  const { name } = environment;
  const { id, canaryProgress } = deployment;
  const { step, steps } = canaryProgress;
  const canary = configurationOf(deployment).canary;
  const definition = resourceID(deployment.taskDefinition);
  const next = canary?.steps?.[step];
  const choices = step < steps ? createChoice("Continue with", "promote", [
    { value: String(step), label: `Step ${step + 1} of ${steps}`, detail: next ? describeStep(next) : "" },
    { value: FULL, label: "All instances", detail: "without the remaining steps" },
  ], String(step)) : null;
  const nextInstances = next ? describeStep(next) : "the instances of the next step";
  const isFull = () => !choices || choiceOf(choices) === FULL;
  const present = steps > 1 ? `Step ${step} of ${steps} (${canaryProgress.instances})` : "The canary";
  return {
    title: `Promote ${definition} in ${name}`, confirm: "Promote", fields: choices ? [choices] : [],
    plan: () => ({
      effects: [
        `${present} ends.`,
        `Blox rolls out ${definition} to ${isFull() ? "all instances" : nextInstances}, in batches.`,
      ],
      command: commandLine("deployments", "promote", name, id, choices && isFull() ? "--full" : ""),
    }),
    async send(idempotencyKey) { // with the step, a repeated request promotes no other one
      const query = choices && isFull() ? "full=true" : "step=" + step;
      const path = `${environmentPath(name)}/deployments/${id}/promote?${query}`;
      await request("POST", path, { idempotencyKey });
      return `Promoted ${definition} in ${name}.`;
    },
  };
}

// rollbackTargets returns the revisions that the environment can return to. The first one is what the API chooses by
// itself: that of the newest completed deployment, or of another one if the newest deployment is completed.
function rollbackTargets({ environment, deployment }) {
  if (!deployment || !environment.effectiveRevision) return [];
  const completed = state.deployments.filter(({ rolloutState }) => rolloutState === "COMPLETED");
  const ended = deployment.rolloutState === "COMPLETED" || isInProgress(deployment);
  const targets = state.revisions.filter(({ revision }) => !ended || revision !== deployment.revision);
  const preferred = completed.find(({ revision }) => targets.some((target) => target.revision === revision))?.revision;
  return targets.sort((a, b) => (b.revision === preferred) - (a.revision === preferred));
}

function rollbackAction(record) {
  const { environment, deployment } = record;
  const { name } = environment;
  const targets = rollbackTargets(record);
  const wasCompleted = (number) => state.deployments.some(({ revision, rolloutState }) =>
    revision === number && rolloutState === "COMPLETED");
  const choices = createChoice("Revision to restore", "rollback", targets.map((revision) => ({
    value: String(revision.revision), label: revisionText(revision),
    detail: wasCompleted(revision.revision) ? "was completed" : "was never completed",
  })), String(targets[0].revision));
  const target = () => targets.find(({ revision }) => String(revision) === choiceOf(choices));
  return {
    title: `Roll back ${name}`, confirm: "Roll back", danger: true, fields: [choices],
    plan: () => ({
      effects: [
        isInProgress(deployment)
          ? `Blox stops the deployment of ${resourceID(deployment.taskDefinition)} that is in progress.` : "",
        `Blox rolls out ${resourceID(target().taskDefinition)} of revision ${target().revision} in batches, ` +
          "without a canary, a circuit breaker and alarms. Tasks of that revision keep running.",
        environment.paused && !environment.pausedBy ? "The environment is paused: this begins when you resume it." : "",
      ].filter(Boolean),
      command: commandLine("rollback", name, "--to-revision", target().revision),
      confirm: `Roll back to ${resourceID(target().taskDefinition)}`,
    }),
    async send(idempotencyKey) {
      const { revision } = target();
      await request("POST", `${environmentPath(name)}/rollback?revision=${revision}`, { idempotencyKey });
      return `Rolling ${name} back to revision ${revision}.`;
    },
  };
}

function stopAction({ environment, deployment }) {
  const { name } = environment;
  const { id } = deployment;
  const definition = resourceID(deployment.taskDefinition);
  const completed = state.deployments.find(({ rolloutState }) => rolloutState === "COMPLETED");
  const options = [{ value: "ABORT", label: "Abort", detail: "keep all tasks as they are, and pause" }];
  if (completed) {
    options.unshift({
      value: "ROLLBACK", label: "Stop and roll back", detail: `to ${resourceID(completed.taskDefinition)}`,
    });
  }
  const choices = createChoice("Then", "stop", options, options[0].value);
  return {
    title: `Stop the deployment of ${definition} in ${name}`, confirm: "Stop", danger: true, fields: [choices],
    plan: () => ({
      effects: [
        `Blox ends deployment ${shortID(id)} as stopped.`,
        choiceOf(choices) === "ABORT"
          ? "All tasks stay as they are, the rollout is paused until you resume or deploy, and an instance without a " +
            "task gets one of the newest completed deployment."
          : `Blox rolls out ${resourceID(completed.taskDefinition)} of revision ${completed.revision} again.`,
      ],
      command: commandLine("deployments", "stop", name, id, "--type", choiceOf(choices)),
      confirm: choiceOf(choices) === "ABORT" ? "Abort" : "Stop and roll back",
    }),
    async send(idempotencyKey) {
      const path = `${environmentPath(name)}/deployments/${id}/stop?type=${choiceOf(choices)}`;
      await request("POST", path, { idempotencyKey });
      return `Stopped the deployment of ${definition} in ${name}.`;
    },
  };
}
