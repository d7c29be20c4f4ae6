// The details of one task or container instance, beside the list. They follow changes as the list does.
import { lastPart, parseARN } from "./arn.js";
import { currentAddress, formatAddress, open } from "./address.js";
import { Collection } from "./collection.js";
import { byId, createElement } from "./dom.js";
import { drawInstance } from "./instancedetail.js";
import { redraw } from "./panels.js";
import { setConnection, state } from "./state.js";
import { drawTask } from "./taskdetail.js";

const MAX_TASKS = 100; // shown of a container instance
const NARROW_SCREEN = "(max-width: 1100px)"; // as in page.css

// showDetail opens the entity with an ARN; "" closes the details.
export function showDetail(arn) {
  stopDetail();
  document.body.classList.toggle("has-detail", Boolean(arn));
  byId("detail").hidden = !arn;
  if (!arn) return;
  const isTask = parseARN(arn)?.kind === "task";
  state.detail = {
    arn, isTask, drawn: null,
    // The search for the ARN follows one entity; the list's filters may exclude it.
    entities: new Collection(isTask ? "tasks" : "instances", { search: arn }, {
      onChange: () => redraw("detail", "header"), onStatus: detailStatus, maxEntities: 10,
    }),
    tasks: isTask ? null : new Collection("tasks", { containerInstance: arn }, {
      onChange: () => redraw("detail"), pageSize: MAX_TASKS, maxEntities: MAX_TASKS,
    }),
  };
  resumeDetail();
  byId("detail-body").replaceChildren(createElement("p", { className: "muted", textContent: "Loading…" }));
  byId("close").href = formatAddress({ ...currentAddress(), open: "" });
  if (matchMedia(NARROW_SCREEN).matches) {
    scrollTo(0, 0);
    byId("detail").focus();
  }
}

export function resumeDetail() {
  state.detail?.entities.start();
  state.detail?.tasks?.start();
}

export function stopDetail() {
  state.detail?.entities.stop();
  state.detail?.tasks?.stop();
  state.detail = null;
  state.connections.delete("detail");
}

export function suspendDetail() {
  state.detail?.entities.stop();
  state.detail?.tasks?.stop();
}

function detailStatus(status, failure, retryAt) {
  if (status === "rejected") {
    state.detail.rejected = failure;
    state.connections.delete("detail");
  } else {
    setConnection("detail", status, failure, retryAt);
  }
  redraw("detail", "header");
}

// drawDetail leaves an unchanged panel alone, and keeps the focus and open sections of one that has changed.
export function drawDetail() {
  const { detail } = state;
  if (!detail || !(detail.entities.loaded || detail.rejected)) return;
  const entry = detail.entities.entries.find(({ entity }) => arnOf(entity) === detail.arn);
  const version = [entry?.version ?? "none", detail.rejected, detail.tasks?.loaded,
    detail.tasks?.entries.map(({ version: v }) => v)].join();
  if (version === detail.drawn) return;
  detail.drawn = version;
  const body = byId("detail-body");
  const openSections = new Set([...body.querySelectorAll("details[open]")].map(({ dataset }) => dataset.section));
  const focused = body.contains(document.activeElement) ? document.activeElement.dataset.id ?? "" : null;
  byId("detail-kind").textContent = detail.isTask ? "Task" : "Container instance";
  body.replaceChildren(...(entry ? content(detail, entry) : missing(detail)));
  for (const section of body.querySelectorAll("details")) section.open = openSections.has(section.dataset.section);
  if (focused) body.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
}

const arnOf = ({ taskARN, containerInstanceARN }) => taskARN ?? containerInstanceARN;

function content(detail, { entity, version }) {
  return detail.isTask ? drawTask(entity, version) : drawInstance(entity, version, detail.tasks);
}

function missing({ arn, isTask, rejected }) {
  const text = isTask
    ? "The service has no such task. It removes a stopped task after --stopped-task-retention."
    : "The service has no such container instance. It removes an instance once ECS no longer has it.";
  return [
    createElement("h2", { className: "mono", textContent: lastPart(arn) }),
    createElement("p", { id: "detail-missing", textContent: rejected ?? text }),
    createElement("p", { className: "muted mono", textContent: arn }),
  ];
}

export function initDetail() {
  byId("close").addEventListener("click", (event) => {
    event.preventDefault();
    close();
  });
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && state.detail) close();
  });
}

function close() {
  open("");
  byId("list").focus({ preventScroll: true });
}
