// How long a rollout has taken, and how fast it is.
import { now } from "./clock.js";
import { countsOf, isCanary } from "./environmentstatus.js";
import { formatCount, formatTime } from "./format.js";
import { state } from "./state.js";

const WINDOW = 60_000; // milliseconds over which the rate is measured
const SHORTEST_WINDOW = 5_000; // a shorter one says little

let samples = []; // [{ at, updated }] of the deployment measured, oldest first
let measured = ""; // its ID

// timingText returns the start, the elapsed time and the rate of a deployment.
export function timingText(environment, deployment) {
  const start = Date.parse(deployment.startedAt ?? deployment.createdAt);
  if (!start) return "";
  if (deployment.finishedAt) return `Took ${formatElapsed(Date.parse(deployment.finishedAt) - start)}.`;
  const parts = [`Started at ${formatTime(new Date(start))}`, `${formatElapsed(now() - start)} elapsed`];
  const { desiredCount = 0, updatedCount = 0 } = countsOf(environment);
  const rate = measureRate(deployment, updatedCount, start);
  const rolls = !isCanary(deployment) && !deployment.bakeStartedAt && !environment.paused;
  if (rolls && rate > 0) {
    parts.push(rateText(rate));
    const remaining = desiredCount - updatedCount;
    if (remaining > 0) parts.push(`about ${formatElapsed(remaining / rate)} remaining`);
  }
  return parts.join(" · ");
}

// measureRate returns the instances updated per millisecond in the last minute, or since the start if the page has not
// watched long enough.
function measureRate({ id }, updated, start) {
  const at = now();
  if (measured !== state.selectedName + id) {
    measured = state.selectedName + id;
    samples = [];
  }
  samples.push({ at, updated });
  while (samples.length > 1 && samples[0].at < at - WINDOW) samples.shift();
  const [first] = samples;
  if (at - first.at >= SHORTEST_WINDOW) return (updated - first.updated) / (at - first.at);
  return at - start >= SHORTEST_WINDOW ? updated / (at - start) : 0;
}

function rateText(rate) {
  const perMinute = rate * 60_000;
  if (perMinute >= 1) return formatCount(Math.round(perMinute), "instance") + "/min";
  return formatCount(Math.round(perMinute * 60), "instance") + "/h";
}

// formatElapsed returns a duration with its two largest units.
export function formatElapsed(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 1) return "less than 1 s";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
}
