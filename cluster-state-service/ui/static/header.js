// The header: whether the page shows current data, and how fresh the service's data is.
import { parseARN } from "./arn.js";
import { announce, byId, setText } from "./dom.js";
import { formatAge, formatTime } from "./format.js";
import { state } from "./state.js";

const LABELS = {
  live: "Live", stale: "Not live", unready: "Not ready", connecting: "Connecting…", suspended: "Paused",
};

let announced = "";

export function drawHeader() {
  const { status, stale } = pageStatus();
  const pill = byId("live-status");
  pill.dataset.live = status === "unready" ? "stale" : status;
  setText(pill, LABELS[status]);
  document.body.classList.toggle("stale", status === "stale");
  drawBanner(bannerFor(status, stale));
  byId("retry").hidden = status !== "stale";
  setText(byId("freshness"), freshness());
  if (status === announced || (status !== "live" && status !== "stale")) return;
  if (announced) announce(status === "live" ? "Live again." : "Not live.");
  announced = status;
}

function pageStatus() {
  const connections = [...state.connections.values()];
  const stale = connections.find(({ status }) => status === "stale");
  if (stale) return { status: "stale", stale };
  for (const status of ["suspended", "connecting"]) {
    if (connections.some((c) => c.status === status)) return { status };
  }
  if (state.readiness && !state.readiness.ready) return { status: "unready" };
  return { status: connections.length ? "live" : "connecting" };
}

function bannerFor(status, stale) {
  if (status === "stale") {
    const retry = stale.retryAt > Date.now() ? "Retrying soon." : "Retrying…";
    const since = stale.since ? `Showing data from ${formatTime(new Date(stale.since))}. ` : "";
    return { kind: "bad", title: "Not live.", text: `${since}Reason: ${stale.failure}. ${retry}` };
  }
  const reasons = state.readiness?.reasons ?? [];
  if (status === "unready") return { kind: "warn", title: "The service is not ready.", text: reasons.join("; ") + "." };
  const missing = notReconciled();
  if (missing.length) {
    const names = missing.slice(0, 10).map(nameOf).join(", ");
    const more = missing.length > 10 ? ` and ${missing.length - 10} more` : "";
    return { kind: "warn", title: "Incomplete.", text: `Never reconciled with ECS, so records may be missing: ${names}${more}.` };
  }
  const warnings = state.readiness?.warnings ?? [];
  if (warnings.length) return { kind: "warn", title: "An account or region fails.", text: warnings.join("; ") + "." };
  return null;
}

// nameOf names a cluster, or all clusters of an account and region whose clusters are not known.
function nameOf(arn) {
  const { id, account, region } = parseARN(arn) ?? { id: arn };
  return id === "*" ? `every cluster of account ${account} in ${region}` : id;
}

function notReconciled() {
  return state.list?.metadata.notReconciled ?? state.metadata.notReconciled ?? [];
}

function drawBanner(banner) {
  byId("banner").hidden = !banner;
  byId("banner").dataset.kind = banner?.kind ?? "bad";
  setText(byId("banner-title"), banner?.title ?? "");
  setText(byId("banner-text"), banner?.text ?? "");
}

// freshness shows when the service last compared its records with ECS, and the age of its newest event.
function freshness() {
  const { readiness, metadata } = state;
  return [
    readiness?.newestEventAt ? `newest event ${formatAge(readiness.newestEventAt)}` : readiness && "no event yet",
    readiness?.receivedAt && `queue read ${formatAge(readiness.receivedAt)}`,
    metadata.reconciledAt && `reconciled with ECS ${formatAge(metadata.reconciledAt)}`,
  ].filter(Boolean).join(" · ");
}
