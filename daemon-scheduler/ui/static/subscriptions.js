// The two streams of the page: the overview of all environments, and the instances of the selected environment.
import { loadDeployments } from "./deployments.js";
import { announce } from "./dom.js";
import { grid } from "./instances.js";
import { redraw } from "./panels.js";
import { loadRevisions } from "./revisions.js";
import { select, selectDefault } from "./selection.js";
import { state } from "./state.js";
import { connect } from "./stream.js";

const MAX_EVENTS = 4000;
const EVENTS_AFTER_TRIM = 3000;
const SUSPEND_DELAY = 30_000; // milliseconds

let suspendTimer = 0;

export function subscribeToOverview() {
  const { overview } = state.streams;
  overview.connection?.stop();
  overview.connection = connect("v1/stream/overview", {
    onSnapshot(lines) {
      const { selectedName } = state;
      state.environments.clear();
      state.events.clear();
      applyOverview(lines);
      if (state.environments.has(selectedName)) {
        loadDeployments();
        loadRevisions();
      } else selectDefault();
    },
    onChanges(lines) {
      applyOverview(lines);
      if (state.environments.has(state.requestedName)) select(state.requestedName);
      else if (!state.selectedName) selectDefault();
    },
    onStatus: statusHandler(overview),
    onNotFound: () => false,
  });
}

export function subscribeToInstances() {
  const { instances } = state.streams;
  const name = state.selectedName;
  instances.connection?.stop();
  instances.connection = null;
  if (!name) return;
  const query = state.groupBy ? "?groupBy=" + encodeURIComponent(state.groupBy) : "";
  instances.connection = connect(`v1/stream/environments/${encodeURIComponent(name)}/instances${query}`, {
    onSnapshot(lines) {
      const snapshot = lines.filter(({ instance }) => instance).map(({ instance }) => instance);
      grid.replaceAll(snapshot.sort((a, b) => (a.containerInstance < b.containerInstance ? -1 : 1)));
      instancesReceived(lines);
    },
    onChanges(lines) {
      for (const { instance } of lines) {
        if (instance) grid.upsert(instance);
      }
      const deleted = lines.filter((line) => line.deleted && !line.instance).map((line) => line.deleted);
      if (deleted.length) grid.remove(deleted);
      instancesReceived(lines);
    },
    onStatus: statusHandler(instances),
    // The overview may still list an environment that was deleted, or already one that was created again.
    onNotFound() {
      if (state.selectedName !== name) return true;
      if (state.environments.has(name)) return false;
      select(null);
      return true;
    },
  });
}

export function retryStreams() {
  for (const { connection } of Object.values(state.streams)) connection?.retry();
}

// suspendWhileHidden closes the streams of a page that is hidden for a while: a browser allows six connections to a
// server over HTTP/1.1, shared by all tabs.
export function suspendWhileHidden() {
  clearTimeout(suspendTimer);
  if (document.hidden) {
    suspendTimer = setTimeout(suspend, SUSPEND_DELAY);
  } else if (!state.streams.overview.connection) {
    subscribeToOverview();
    subscribeToInstances();
  }
}

function suspend() {
  for (const stream of Object.values(state.streams)) {
    stream.connection?.stop();
    stream.connection = null;
    stream.status = "suspended";
  }
}

function statusHandler(stream) {
  return (status, failure, retryAt) => {
    Object.assign(stream, { status, failure, retryAt });
    redraw("header", "environments");
  };
}

function applyOverview(lines) {
  const { overview } = state.streams;
  for (const { environment, deployment, deleted, event, readiness, metadata } of lines) {
    if (environment) upsertEnvironment(environment, deployment);
    else if (deleted) deleteEnvironment(deleted);
    else if (event) state.events.set(event.id, event);
    else if (readiness) state.readiness = readiness;
    else if (metadata) overview.current = metadata.current;
  }
  trimEvents();
  overview.receivedAt = Date.now();
  redraw("header", "environments", "environment", "actions", "rollout", "conditions", "configuration", "events");
}

function upsertEnvironment(environment, deployment) {
  const previous = state.environments.get(environment.name);
  state.environments.set(environment.name, { environment, deployment });
  const changed = fingerprint(previous?.deployment) !== fingerprint(deployment);
  if (environment.name !== state.selectedName) return;
  if (changed) loadDeployments();
  if (previous?.environment.revision !== environment.revision) loadRevisions();
}

// fingerprint changes when the list of deployments has to be loaded again.
function fingerprint(deployment) {
  if (!deployment) return "";
  const { id, status, rolloutState, promoted, canaryProgress, bakeStartedAt } = deployment;
  return [id, status, rolloutState, promoted, canaryProgress?.step, canaryProgress?.promotesAt, bakeStartedAt].join();
}

function deleteEnvironment(name) {
  state.environments.delete(name);
  if (name !== state.selectedName) return;
  announce(name + " was deleted.");
  select(null);
}

function trimEvents() {
  if (state.events.size <= MAX_EVENTS) return;
  const oldestFirst = [...state.events.values()].sort((a, b) => (a.lastSeenAt < b.lastSeenAt ? -1 : 1));
  for (const { id } of oldestFirst.slice(0, -EVENTS_AFTER_TRIM)) state.events.delete(id);
}

function instancesReceived(lines) {
  const { instances } = state.streams;
  const metadata = lines.findLast((line) => line.metadata)?.metadata;
  if (metadata) instances.current = metadata.current;
  const counts = lines.findLast((line) => line.counts)?.counts;
  if (counts) state.counts = counts;
  instances.receivedAt = Date.now();
  redraw("legend", "reasons", "header", "environments", "rollout");
}
