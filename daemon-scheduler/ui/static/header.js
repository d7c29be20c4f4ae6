// The header: whether the page shows current data, and which replica serves it.
import { announce, byId, setText } from "./dom.js";
import { formatTime } from "./format.js";
import { state } from "./state.js";

const STATUS_LABELS = {
  live: "Live",
  stale: "Not live",
  outdated: "Not current",
  unready: "Not ready",
  connecting: "Connecting…",
  suspended: "Paused",
};

let announcedStatus = "";

export function drawHeader() {
  const { status, staleStream } = pageStatus();
  const pill = byId("live-status");
  pill.dataset.live = status === "outdated" || status === "unready" ? "stale" : status;
  setText(pill, STATUS_LABELS[status]);
  document.body.classList.toggle("stale", status === "stale");
  drawBanner(bannerFor(status, staleStream));
  byId("retry").hidden = status !== "stale";
  setText(byId("replica"), replicaText(state.readiness));
  announceStatus(status);
}

function pageStatus() {
  const { overview, instances } = state.streams;
  const streams = state.selectedName ? [overview, instances] : [overview];
  const staleStream = streams.find((stream) => stream.status === "stale");
  if (staleStream) return { status: "stale", staleStream };
  if (streams.some((stream) => stream.status === "suspended")) return { status: "suspended" };
  if (streams.some((stream) => stream.status === "connecting")) return { status: "connecting" };
  if (streams.some((stream) => !stream.current)) return { status: "outdated" };
  if (state.readiness && !state.readiness.ready) return { status: "unready" };
  return { status: "live" };
}

// bannerFor returns null if there is nothing to warn about.
function bannerFor(status, staleStream) {
  const { readiness } = state;
  const reasons = (readiness?.reasons ?? []).join("; ");
  if (status === "stale") {
    const { failure } = staleStream;
    const access = accessTitle(failure);
    if (access) return { kind: "bad", title: access, text: failure + "." };
    const retry = staleStream.retryAt > Date.now() ? "Retrying soon." : "Retrying…";
    const since = formatTime(new Date(staleStream.receivedAt));
    return { kind: "bad", title: "Not live.", text: `Showing data from ${since}: ${failure}. ${retry}` };
  }
  if (status === "outdated") {
    const reason = reasons || "cluster-state-service does not respond";
    return { kind: "warn", title: "Not current.", text: `The cluster state is stale: ${reason}.` };
  }
  if (status === "unready") return { kind: "warn", title: "This replica is not ready.", text: reasons + "." };
  if (readiness && !readiness.leader) {
    return { kind: "warn", title: "No leader.", text: "No task starts or stops until the replicas elect a leader." };
  }
  return null;
}

// accessTitle returns "" unless the server has refused a stream for lack of rights.
function accessTitle(failure) {
  const status = /returned (401|403)/.exec(failure)?.[1];
  return { 401: "Not authenticated.", 403: "Access denied." }[status] ?? "";
}

function drawBanner(banner) {
  byId("banner").hidden = !banner;
  byId("banner").dataset.kind = banner?.kind ?? "bad";
  setText(byId("banner-title"), banner?.title ?? "");
  setText(byId("banner-text"), banner?.text ?? "");
}

function replicaText(readiness) {
  if (!readiness) return "";
  const { ready, leader, replica } = readiness;
  const ownStatus = ready ? "ready" : "not ready";
  if (!leader) return `${ownStatus} · no leader`;
  if (leader === replica) return `${ownStatus} · this replica is the leader (${replica})`;
  return `${ownStatus} · leader ${leader}, this replica ${replica || "unnamed"}`;
}

function announceStatus(status) {
  if (status === announcedStatus || (status !== "live" && status !== "stale")) return;
  if (announcedStatus) announce(status === "live" ? "Live again." : "Not live.");
  announcedStatus = status;
}
