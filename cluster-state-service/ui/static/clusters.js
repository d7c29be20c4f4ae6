// Regular reads of what has no stream: the clusters and the service's readiness.
import { authorization, checkCredentials } from "./credentials.js";
import { responseError } from "./stream.js";
import { setConnection, state } from "./state.js";

const INTERVAL = 5000; // milliseconds
const TIMEOUT = 10_000;

let onUpdate = () => {};
let timer = 0;
let etag = "";
let controller = null;

// startPolling reads until stopPolling, and calls back after each read.
export function startPolling(callback) {
  onUpdate = callback;
  poll();
}

export function stopPolling() {
  clearTimeout(timer);
  controller?.abort();
  controller = null;
}

export function pollNow() {
  stopPolling();
  poll();
}

async function poll() {
  const own = new AbortController();
  controller = own;
  try {
    await Promise.all([readClusters(own), readReadiness(own)]);
    setConnection("clusters", "live");
  } catch (error) {
    if (own !== controller) return; // stopped
    setConnection("clusters", "stale", error.message, Date.now() + INTERVAL);
  }
  if (own !== controller) return;
  onUpdate();
  timer = setTimeout(poll, INTERVAL);
}

async function readClusters({ signal }) {
  const response = await fetch("v1/clusters", {
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]), cache: "no-store",
    headers: { Accept: "application/json", ...(etag ? { "If-None-Match": etag } : {}), ...authorization() },
  });
  checkCredentials(response);
  if (response.status === 304) {
    state.metadata.reconciledAt = response.headers.get("Blox-Reconciled-At") ?? state.metadata.reconciledAt;
    return;
  }
  if (!response.ok) throw await responseError(response);
  const { items, metadata } = await response.json();
  etag = response.headers.get("ETag") ?? "";
  state.clusters = items;
  state.metadata = metadata;
}

// readReadiness reads the answer of a service that is not ready, too.
async function readReadiness({ signal }) {
  const response = await fetch("v1/ready", {
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]), cache: "no-store",
  });
  if (response.ok || response.status === 503) state.readiness = await response.json();
}
