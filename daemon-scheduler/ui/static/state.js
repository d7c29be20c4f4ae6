// The state of the page: the data from the API and the choices of the user.
export const state = {
  environments: new Map(), // by name: { environment, deployment }
  events: new Map(), // by id
  deployments: [], // of the selected environment, newest first
  revisions: [], // of the selected environment, newest first
  counts: null, // of the selected environment; of the same computation as the instances of the grid
  config: { readOnly: true, explorerURL: "" }, // of the server, once it is loaded
  groupBy: "", // property by which the grid groups instances, as in the API; empty for none
  readiness: null,
  selectedName: null, // the environment that the page shows
  requestedName: null, // the environment that the user or the URL chose; it may not exist yet
  showAllEvents: false, // show the events of all environments
  highlightedStates: new Set(), // instance states; empty highlights all
  environmentSearch: "", // lower case
  instanceSearch: "", // lower case
  streams: { overview: newStream(), instances: newStream() },
};

// A stream's status is "connecting", "live", "stale" or "suspended".
function newStream() {
  return {
    status: "connecting",
    current: true, // whether the server's cache is up to date
    receivedAt: Date.now(),
    failure: "", // why the stream is stale
    retryAt: 0, // milliseconds since the epoch
    connection: null,
  };
}

export function selectedEnvironment() {
  return state.environments.get(state.selectedName);
}
