// The conditions of the selected environment.
import { byId, createElement, createTime } from "./dom.js";
import { selectedEnvironment } from "./state.js";

const HARMLESS = new Set(["Paused", "RolledBack", "Takeover", "WaitingForPromotion"]); // states that users ask for

export function drawConditions() {
  const conditions = selectedEnvironment()?.environment.conditions ?? [];
  byId("conditions-card").hidden = conditions.length === 0;
  byId("conditions").replaceChildren(...conditions.map(createRow));
}

function createRow({ type, status, reason, message, lastTransitionTime }) {
  const kind = HARMLESS.has(type) ? "warn" : "bad";
  const name = status === "True" ? type : `${type} is ${status}`;
  return createElement("tr", {},
    createElement("td", {}, createElement("strong", { className: "condition " + kind, textContent: name })),
    createElement("td", { className: "since" }, lastTransitionTime ? createTime(lastTransitionTime) : "–"),
    createElement("td", { textContent: reason }),
    createElement("td", { className: "reason", textContent: message ?? "" }));
}
