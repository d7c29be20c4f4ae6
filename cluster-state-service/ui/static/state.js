// What all panels show: the clusters, the service's readiness, and the list of the view.
export const state = {
  config: {}, // page/config.json
  clusters: null, // of v1/clusters; null before the first answer
  metadata: {}, // of v1/clusters
  readiness: null,
  list: null, // the Collection of the view; null for clusters
  detail: null, // the Detail that is open
  connections: new Map(), // by name: { status, failure, retryAt }; names are clusters, list and detail
};

export function setConnection(name, status, failure = "", retryAt = 0) {
  const since = status === "live" ? Date.now() : state.connections.get(name)?.since;
  state.connections.set(name, { status, failure, retryAt, since });
}
