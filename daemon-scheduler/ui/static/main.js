// The page: it connects the panels, the user's input and the streams.
import { drawActions } from "./actions.js";
import { drawConditions } from "./conditions.js";
import { drawConfiguration } from "./configuration.js";
import { onRole, onToken } from "./credentials.js";
import { drawDeployments, loadDeployments } from "./deployments.js";
import { drawDetail } from "./detail.js";
import { listenToDialog } from "./dialog.js";
import { byId } from "./dom.js";
import { drawEnvironment } from "./environment.js";
import { isInProgress } from "./environmentstatus.js";
import { drawEnvironments } from "./environments.js";
import { drawEvents, showAllEvents, showMoreEvents } from "./events.js";
import { drawHeader } from "./header.js";
import { applyAddressedGroup, listenToGroups } from "./groups.js";
import { grid, selectFirstMatch, updateHighlight } from "./instances.js";
import { drawLegend } from "./legend.js";
import { redraw, registerPanel } from "./panels.js";
import { drawReasons } from "./reasons.js";
import { request, RequestError } from "./request.js";
import { loadRevisions } from "./revisions.js";
import { drawRollout } from "./rollout.js";
import { onSelectionChange, selectDefault } from "./selection.js";
import { selectedEnvironment, state } from "./state.js";
import { retryStreams, subscribeToInstances, subscribeToOverview, suspendWhileHidden } from "./subscriptions.js";
import { redrawIcons } from "./symbols.js";

registerPanel("header", drawHeader);
registerPanel("environments", drawEnvironments, 200);
registerPanel("environment", drawEnvironment);
registerPanel("actions", drawActions);
registerPanel("rollout", drawRollout, 100); // with the legend
registerPanel("conditions", drawConditions);
registerPanel("configuration", drawConfiguration);
registerPanel("legend", drawLegend, 100);
registerPanel("reasons", drawReasons, 400);
registerPanel("events", drawEvents, 300);
registerPanel("deployments", drawDeployments);

onSelectionChange(() => {
  grid.clear();
  subscribeToInstances();
  loadDeployments();
  loadRevisions();
});

byId("retry").addEventListener("click", retryStreams);
byId("environment-events").addEventListener("click", () => showAllEvents(false));
byId("all-events").addEventListener("click", () => showAllEvents(true));
byId("more-events").addEventListener("click", showMoreEvents);
listenToDialog();
listenToGroups(subscribeToInstances);
byId("environment-search").addEventListener("input", (event) => {
  state.environmentSearch = event.target.value.trim().toLowerCase();
  redraw("environments");
});
byId("instance-search").addEventListener("input", (event) => {
  state.instanceSearch = event.target.value.trim().toLowerCase();
  updateHighlight();
});
byId("instance-search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") selectFirstMatch();
});
addEventListener("hashchange", () => {
  if (!location.hash.startsWith("#env=")) return;
  applyAddressedGroup();
  selectDefault();
});
addEventListener("online", retryStreams);
onToken(retryStreams);
onRole(() => redraw("actions"));
document.addEventListener("visibilitychange", suspendWhileHidden);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  grid.updateColours();
  redrawIcons();
});

// Redraws what changes with time alone: the elapsed time and the next attempt to connect.
setInterval(() => {
  if (isInProgress(selectedEnvironment()?.deployment)) redraw("rollout");
  if (Object.values(state.streams).some(({ status }) => status === "stale")) redraw("header");
}, 1000);

// loadConfig hides the actions if it cannot read whether they are permitted.
async function loadConfig() {
  try {
    state.config = await request("GET", "page/config.json");
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
  }
  const { explorerURL } = state.config;
  byId("explorer").hidden = !explorerURL;
  if (explorerURL) byId("explorer").href = explorerURL;
  redraw("actions");
  grid.updateDetail();
}

window.blox = { grid, state }; // for tests and for measurements in the browser's console
drawDetail(null);
applyAddressedGroup();
loadConfig();
subscribeToOverview();
