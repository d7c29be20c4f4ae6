// The page: it connects the panels, the user's input and the streams.
import { drawDeployments, loadDeployments } from "./deployments.js";
import { drawDetail } from "./detail.js";
import { byId } from "./dom.js";
import { drawEnvironment } from "./environment.js";
import { drawEnvironments } from "./environments.js";
import { drawEvents, showAllEvents } from "./events.js";
import { drawHeader } from "./header.js";
import { grid, selectFirstMatch, updateHighlight } from "./instances.js";
import { drawLegend } from "./legend.js";
import { redraw, registerPanel } from "./panels.js";
import { drawReasons } from "./reasons.js";
import { drawRollout } from "./rollout.js";
import { onSelectionChange, selectDefault } from "./selection.js";
import { selectedEnvironment, state } from "./state.js";
import { retryStreams, subscribeToInstances, subscribeToOverview, suspendWhileHidden } from "./subscriptions.js";
import { redrawIcons } from "./symbols.js";

registerPanel("header", drawHeader);
registerPanel("environments", drawEnvironments, 200);
registerPanel("environment", drawEnvironment);
registerPanel("rollout", drawRollout);
registerPanel("legend", drawLegend, 100);
registerPanel("reasons", drawReasons, 400);
registerPanel("events", drawEvents, 300);
registerPanel("deployments", drawDeployments);

onSelectionChange(() => {
  grid.clear();
  subscribeToInstances();
  loadDeployments();
});

byId("retry").addEventListener("click", retryStreams);
byId("environment-events").addEventListener("click", () => showAllEvents(false));
byId("all-events").addEventListener("click", () => showAllEvents(true));
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
  if (location.hash.startsWith("#env=")) selectDefault();
});
addEventListener("online", retryStreams);
document.addEventListener("visibilitychange", suspendWhileHidden);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  grid.updateColours();
  redrawIcons();
});

// Redraws what changes with time alone: the remaining bake time and the next attempt to connect.
setInterval(() => {
  const deployment = selectedEnvironment()?.deployment;
  if (deployment?.bakeStartedAt && deployment.rolloutState === "IN_PROGRESS") redraw("rollout");
  if (Object.values(state.streams).some(({ status }) => status === "stale")) redraw("header");
}, 1000);

window.blox = { grid }; // for tests and for measurements in the browser's console
drawDetail(null);
subscribeToOverview();
