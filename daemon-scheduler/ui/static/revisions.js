// The revisions of the selected environment, and their configuration.
import { formatCount, resourceID } from "./format.js";
import { redraw } from "./panels.js";
import { request, RequestError } from "./request.js";
import { selectedEnvironment, state } from "./state.js";

let lastRequest = 0;

// loadRevisions ignores the response if a newer request has started meanwhile.
export async function loadRevisions() {
  const name = state.selectedName;
  const current = ++lastRequest;
  if (!name) return;
  try {
    const { items } = await request("GET", `v1/environments/${encodeURIComponent(name)}/revisions`);
    if (current !== lastRequest) return;
    state.revisions = items ?? [];
    redraw("rollout", "configuration", "actions");
  } catch (error) {
    // The streams report a server that does not respond. When they are live again, they load the revisions.
    if (!(error instanceof RequestError)) throw error;
  }
}

// revisionOf returns the revision of a deployment, with its configuration. The overview has the newest one at once.
export function revisionOf(deployment) {
  const { environment } = selectedEnvironment() ?? {};
  const number = deployment?.revision ?? environment?.revision;
  const loaded = state.revisions.find(({ revision }) => revision === number);
  return loaded ?? (number === environment?.revision ? environment : undefined);
}

export const configurationOf = (deployment) => revisionOf(deployment)?.deploymentConfiguration ?? {};

export const revisionText = ({ revision, taskDefinition }) => `Revision ${revision}: ${resourceID(taskDefinition)}`;

// describeStep returns the instances of a canary's step.
export function describeStep({ percent, count, query }) {
  if (query) return `the instances with ${query}`;
  return count ? formatCount(count, "instance") : `${percent} % of the instances`;
}
