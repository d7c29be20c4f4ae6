// Which environment the page shows, and how. The fragment of the URL holds both.
import { byId } from "./dom.js";
import { compareUrgency } from "./environmentstatus.js";
import { redraw } from "./panels.js";
import { state } from "./state.js";

const NARROW_SCREEN = "(max-width: 860px)"; // as in page.css

let notifyChange = () => {};

// onSelectionChange sets the function that runs after another environment is selected.
export function onSelectionChange(listener) {
  notifyChange = listener;
}

export function select(name, { byUser = false } = {}) {
  if (byUser) state.requestedName = name;
  if (name === state.selectedName) return;
  state.selectedName = name;
  state.deployments = [];
  state.revisions = [];
  state.counts = null;
  if (name) writeAddress();
  redraw("environments", "environment", "actions", "rollout", "conditions", "configuration", "legend", "reasons",
    "events", "deployments", "header");
  notifyChange();
  if (byUser && matchMedia(NARROW_SCREEN).matches) byId("main").scrollIntoView();
  if (!name) selectDefault();
}

// selectDefault selects the environment that the URL names, otherwise the one that needs attention most. If the named
// environment does not exist, requestedName remembers it until it does.
export function selectDefault() {
  const named = readAddress("env");
  if (named) state.requestedName = named;
  if (state.environments.has(named)) {
    select(named);
    return;
  }
  const [first] = [...state.environments.values()].sort(compareUrgency);
  select(first?.environment.name ?? null);
}

// readAddress returns a parameter of the URL's fragment. URLSearchParams does not throw on malformed escapes.
export function readAddress(parameter) {
  const fragment = location.hash.slice(1).replaceAll("+", "%2B");
  return new URLSearchParams(fragment).get(parameter) ?? "";
}

// writeAddress puts what the page shows into the URL.
export function writeAddress() {
  const group = state.groupBy ? "&group=" + encodeURIComponent(state.groupBy).replaceAll("%3A", ":") : "";
  history.replaceState(null, "", "#env=" + encodeURIComponent(state.selectedName) + group);
}
