// By which property the grid groups the container instances. The fragment of the URL has the choice.
import { byId, createElement } from "./dom.js";
import { grid } from "./instances.js";
import { readAddress, writeAddress } from "./selection.js";
import { state } from "./state.js";

const OTHER = "other"; // the choice of another attribute
const ATTRIBUTE = "attribute:";
const WELL_FORMED = /^(attribute:[a-zA-Z0-9_.\\/-]{1,128}|agentVersion|capacityProviderName)$/; // as in the API
const CHOICES = [
  ["", "No groups"],
  ["attribute:ecs.availability-zone", "Availability zone"],
  ["attribute:ecs.instance-type", "Instance type"],
  ["attribute:ecs.ami-id", "AMI"],
  ["attribute:ecs.os-type", "Operating system"],
  ["attribute:ecs.cpu-architecture", "CPU architecture"],
  ["attribute:ecs.subnet-id", "Subnet"],
  ["capacityProviderName", "Capacity provider"],
  ["agentVersion", "ECS agent version"],
];

let notifyChange = () => {};

// listenToGroups sets the function that runs after the choice has changed.
export function listenToGroups(listener) {
  notifyChange = listener;
  byId("group-by").append(
    ...CHOICES.map(([value, textContent]) => createElement("option", { value, textContent })),
    createElement("option", { value: OTHER, textContent: "Other attribute…" }));
  byId("group-by").addEventListener("change", ({ target }) => {
    byId("group-attribute-label").hidden = target.value !== OTHER;
    if (target.value === OTHER) byId("group-attribute").focus();
    else groupBy(target.value);
  });
  byId("group-attribute").addEventListener("change", ({ target }) => {
    const name = target.value.trim();
    const valid = WELL_FORMED.test(ATTRIBUTE + name);
    target.setCustomValidity(valid || !name ? "" : "Letters, digits and . _ / \\ - only");
    target.reportValidity();
    if (valid || !name) groupBy(name ? ATTRIBUTE + name : "");
  });
}

// applyAddressedGroup takes the choice from the URL, and ignores one that the API would refuse.
export function applyAddressedGroup() {
  const addressed = readAddress("group");
  const valid = WELL_FORMED.test(addressed) ? addressed : "";
  const listed = CHOICES.some(([value]) => value === valid);
  byId("group-by").value = listed ? valid : OTHER;
  byId("group-attribute-label").hidden = listed;
  if (!listed) byId("group-attribute").value = valid.slice(ATTRIBUTE.length);
  setGroup(valid);
}

function groupBy(value) {
  if (setGroup(value)) writeAddress();
}

function setGroup(value) {
  if (value === state.groupBy) return false;
  state.groupBy = value;
  grid.setGrouped(value !== "");
  notifyChange();
  return true;
}
