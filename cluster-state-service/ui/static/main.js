// The page: it connects the address, the panels and the service.
import { currentAddress, formatAddress, onAddressChange } from "./address.js";
import { pollNow, startPolling, stopPolling } from "./clusters.js";
import { updateAges } from "./columns.js";
import { onToken } from "./credentials.js";
import { drawDetail, initDetail, resumeDetail, showDetail, suspendDetail } from "./detail.js";
import { byId } from "./dom.js";
import { drawFilters, initFilters, updateClusters } from "./filters.js";
import { drawHeader } from "./header.js";
import { redraw, registerPanel } from "./panels.js";
import { setConnection, state } from "./state.js";
import { drawList, initView, resumeList, showList, suspendList } from "./view.js";

const SUSPEND_DELAY = 30_000; // milliseconds
const AGES_INTERVAL = 5000; // milliseconds between two updates of all ages
const TITLES = { clusters: "Clusters", instances: "Container instances", tasks: "Tasks", stopped: "Stopped tasks" };

let suspendTimer = 0;
let suspended = false;

registerPanel("header", drawHeader);
registerPanel("list", drawList, 100);
registerPanel("detail", drawDetail, 200);

initView();
initFilters();
initDetail();
onAddressChange(showAddress);
start();
byId("retry").addEventListener("click", retry);
addEventListener("online", retry);
onToken(retry);
document.addEventListener("visibilitychange", suspendWhileHidden);
setInterval(() => redraw("header"), 1000);
setInterval(updateAges, AGES_INTERVAL);
loadConfig();

function showAddress(address, previous) {
  const { view, filters, open } = address;
  document.title = `${TITLES[view]} · Blox`;
  byId("title").textContent = TITLES[view];
  for (const tab of document.querySelectorAll("#tabs a")) {
    if (tab.dataset.view === view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
    tab.href = formatAddress({ view: tab.dataset.view, filters: { cluster: filters.cluster } });
  }
  drawFilters(address);
  const sameList = previous && formatAddress({ ...previous, open: "" }) === formatAddress({ ...address, open: "" });
  if (!sameList) showList(address);
  if (open !== (previous?.open ?? "")) showDetail(open);
  if (previous && previous.view !== view) scrollTo(0, 0);
  redraw("list", "header", "detail");
}

function start() {
  startPolling(() => {
    updateClusters(currentAddress());
    redraw("header");
    if (currentAddress().view === "clusters" || !state.list?.complete) redraw("list");
  });
}

function retry() {
  pollNow();
  state.list?.retry();
  state.detail?.entities.retry();
  state.detail?.tasks?.retry();
}

// suspendWhileHidden closes the streams of a page that is hidden for a while: a browser allows six connections to a
// server over HTTP/1.1, shared by all tabs.
function suspendWhileHidden() {
  clearTimeout(suspendTimer);
  if (document.hidden) {
    suspendTimer = setTimeout(suspend, SUSPEND_DELAY);
  } else if (suspended) {
    suspended = false;
    start();
    resumeList();
    resumeDetail();
  }
}

function suspend() {
  suspended = true;
  stopPolling();
  suspendList();
  suspendDetail();
  for (const name of state.connections.keys()) setConnection(name, "suspended");
  redraw("header");
}

// loadConfig shows the link to daemon-scheduler's page, if the service knows its address.
async function loadConfig() {
  const response = await fetch("page/config.json");
  if (!response.ok) return;
  state.config = await response.json();
  const link = byId("scheduler");
  link.hidden = !state.config.schedulerURL;
  if (state.config.schedulerURL) link.href = state.config.schedulerURL;
}
