// The dialog that confirms an action. It says what the action will do, and has its command line.
import { announce, byId, createElement, setText } from "./dom.js";
import { newKey, RequestError } from "./request.js";

const TYPING_PAUSE = 300; // milliseconds after which a plan is made for the text typed
const COPIED_DURATION = 2000; // milliseconds
const TOAST_DURATION = 8000; // milliseconds

let action = null; // the action of the open dialog
let planning = null; // AbortController of the present plan
let key = ""; // Idempotency-Key of the request; a repetition has the same
let blocked = true; // whether the plan permits no confirmation
let outdated = false; // whether the plan has to be made again
let sending = false;
let planTimer = 0;
let copiedTimer = 0;
let toastTimer = 0;

// openDialog asks for confirmation of an action:
//   title    what the action does
//   confirm  the label of the button
//   fields   elements with choices; the plan is made again when one changes
//   plan     returns, or a promise of, { effects, command, confirm, blocked }: what the action will do, in sentences
//   send     sends the requests with an Idempotency-Key, and returns their results
//   plansAgain  whether a rejected request needs another plan
export function openDialog(newAction) {
  action = newAction;
  key = newKey();
  sending = false;
  setText(byId("dialog-title"), action.title);
  byId("dialog-fields").replaceChildren(...(action.fields ?? []));
  byId("dialog-effects").replaceChildren();
  setText(byId("dialog-command"), "");
  byId("dialog-command-row").hidden = true;
  setText(byId("dialog-confirm"), action.confirm);
  byId("dialog-confirm").classList.toggle("danger", Boolean(action.danger));
  showError(null);
  byId("dialog").showModal();
  updatePlan();
}

// planLater makes the plan again; meanwhile, the old one cannot be confirmed.
function planLater({ target }) {
  clearTimeout(planTimer);
  planning?.abort();
  blocked = true;
  updateButtons();
  planTimer = setTimeout(updatePlan, target.type === "text" ? TYPING_PAUSE : 0);
}

// updatePlan shows what the action will do with the present choices.
async function updatePlan() {
  planning?.abort();
  const controller = new AbortController();
  planning = controller;
  const shown = action;
  blocked = true;
  outdated = false;
  key = newKey();
  showError(null);
  setText(byId("dialog-confirm"), action.confirm);
  byId("dialog").setAttribute("aria-busy", "true");
  updateButtons();
  let plan = { effects: [], command: "" };
  try {
    plan = await shown.plan(controller.signal);
    blocked = Boolean(plan.blocked);
  } catch (error) {
    if (controller.signal.aborted || planning !== controller) return;
    if (!(error instanceof RequestError)) throw error;
    // The request itself would be rejected, too, unless it is only the plan that is not available.
    blocked = error.status >= 400 && error.status < 500;
    plan = { effects: [], command: "", ...shown.fallback?.(), failure: error };
  }
  if (planning !== controller) return;
  byId("dialog").removeAttribute("aria-busy");
  drawPlan(plan);
  updateButtons();
}

function drawPlan({ effects, command, confirm, failure }) {
  byId("dialog-effects").replaceChildren(...effects.map((textContent) => createElement("li", { textContent })));
  setText(byId("dialog-command"), command ?? "");
  byId("dialog-command-row").hidden = !command;
  setText(byId("dialog-confirm"), confirm ?? action.confirm);
  if (failure) showError(failure, "The plan is not available.");
}

function updateButtons() {
  byId("dialog-confirm").disabled = sending || blocked;
  byId("dialog-cancel").disabled = sending;
  for (const field of byId("dialog-fields").querySelectorAll("input, select")) field.disabled = sending;
}

async function confirm() {
  if (sending || blocked) return;
  if (outdated) {
    updatePlan();
    return;
  }
  sending = true;
  showError(null);
  byId("dialog").setAttribute("aria-busy", "true");
  updateButtons();
  try {
    const done = await action.send(key);
    byId("dialog").close();
    showToast(done);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    showError(error);
    if (error.maybeExecuted) {
      setText(byId("dialog-confirm"), "Send again");
    } else {
      key = newKey();
      outdated = Boolean(action.plansAgain);
      if (outdated) setText(byId("dialog-confirm"), "Plan again");
    }
  } finally {
    sending = false;
    byId("dialog").removeAttribute("aria-busy");
    updateButtons();
  }
}

// showError shows an error of the API with its code; null hides it.
function showError(error, context = "") {
  const panel = byId("dialog-error");
  panel.hidden = !error;
  if (!error) {
    panel.replaceChildren();
    return;
  }
  const title = [error.status || "", error.title || (error.status ? "Error" : "")].filter(Boolean).join(" ");
  panel.replaceChildren(createElement("div", {},
    createElement("p", {},
      createElement("strong", { textContent: [context, accessText(error.status) || title].filter(Boolean).join(" ") }),
      " ", error.code && createElement("code", { textContent: error.code })),
    createElement("p", { textContent: error.message }),
    error.failures.length ? createElement("ul", {}, ...error.failures.map((textContent) =>
      createElement("li", { textContent }))) : null,
    error.hint && createElement("p", { textContent: error.hint }),
    !error.maybeExecuted ? null : createElement("p", { textContent:
      "Blox may have executed the request. The page behind this dialog shows the current state. " +
      "“Send again” repeats the request with the same Idempotency-Key." }),
    error.requestId && createElement("p", { className: "small", textContent: "Request " + error.requestId })));
}

function accessText(status) {
  if (status === 401) return "401 Not authenticated: the server does not accept this browser's credentials.";
  if (status === 403) return "403 Forbidden: the server does not permit this change.";
  return "";
}

function showToast(text) {
  setText(byId("toast"), text);
  byId("toast").hidden = !text;
  announce(text);
  clearTimeout(toastTimer);
  if (text) toastTimer = setTimeout(() => showToast(""), TOAST_DURATION);
}

async function copyCommand() {
  const command = byId("dialog-command");
  try {
    await navigator.clipboard.writeText(command.textContent); // undefined without HTTPS
    setText(byId("dialog-copy"), "Copied");
  } catch {
    getSelection().selectAllChildren(command); // for the user to copy
    setText(byId("dialog-copy"), "Selected");
  }
  clearTimeout(copiedTimer);
  copiedTimer = setTimeout(() => setText(byId("dialog-copy"), "Copy"), COPIED_DURATION);
}

// createChoice returns a group of radio buttons: { value, label, detail } each.
export function createChoice(legend, name, options, selected) {
  return createElement("fieldset", {}, createElement("legend", { textContent: legend }),
    ...options.map(({ value, label, detail }) => createElement("label", {},
      createElement("input", { type: "radio", name, value, checked: value === selected }),
      createElement("span", {}, label, detail && createElement("span", { className: "muted", textContent: detail })))));
}

// choiceOf returns the value of the chosen radio button.
export const choiceOf = (fieldset) => fieldset.querySelector("input:checked")?.value ?? "";

export function listenToDialog() {
  const dialog = byId("dialog");
  dialog.addEventListener("cancel", (event) => {
    if (sending) event.preventDefault(); // the request goes on
  });
  dialog.addEventListener("close", () => {
    clearTimeout(planTimer);
    planning?.abort();
  });
  byId("dialog-fields").addEventListener("input", planLater);
  byId("dialog-cancel").addEventListener("click", () => dialog.close());
  byId("dialog-confirm").addEventListener("click", confirm);
  byId("dialog-copy").addEventListener("click", copyCommand);
  byId("toast").addEventListener("click", () => showToast(""));
}
