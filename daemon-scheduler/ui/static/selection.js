// Which environment the page shows. The fragment of the URL holds its name.
import { byId } from "./dom.js";
import { summarize } from "./environmentstatus.js";
import { redraw } from "./panels.js";
import { state } from "./state.js";

const NARROW_SCREEN = "(max-width: 860px)"; // as in page.css
const KINDS_BY_URGENCY = ["bad", "warn", "busy"];

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
  if (name) history.replaceState(null, "", "#env=" + encodeURIComponent(name));
  redraw("environments", "environment", "rollout", "legend", "reasons", "events", "deployments", "header");
  notifyChange();
  if (byUser && matchMedia(NARROW_SCREEN).matches) byId("main").scrollIntoView();
  if (!name) selectDefault();
}

// selectDefault selects the environment that the URL names, otherwise the one that needs attention most. If the named
// environment does not exist, requestedName remembers it until it does.
export function selectDefault() {
  const named = nameInURL();
  if (named) state.requestedName = named;
  if (state.environments.has(named)) {
    select(named);
    return;
  }
  const names = [...state.environments.keys()].sort((a, b) => a.localeCompare(b));
  select(names.sort((a, b) => urgency(a) - urgency(b))[0] ?? null);
}

// nameInURL uses URLSearchParams because decodeURIComponent throws on malformed escapes.
function nameInURL() {
  const fragment = location.hash.slice(1).replaceAll("+", "%2B");
  return new URLSearchParams(fragment).get("env") ?? "";
}

// urgency is smaller for environments that need attention sooner.
function urgency(name) {
  const index = KINDS_BY_URGENCY.indexOf(summarize(state.environments.get(name)).kind);
  return index < 0 ? KINDS_BY_URGENCY.length : index;
}
