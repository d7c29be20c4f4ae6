// The states of container instances, as the page names them.

// STATES pairs each state with its label, in the order of the legend.
export const STATES = [
  ["running", "Running"],
  ["starting", "Starting"],
  ["outdated", "Outdated"],
  ["missing", "Missing"],
  ["failing", "Failing"],
  ["draining", "Draining"],
  ["disconnected", "Disconnected"],
  ["excluded", "Excluded"],
];
export const LABELS = Object.fromEntries(STATES);

// stateOf returns the state that matters most: a failure first, then the instance's own state, then its task's.
export function stateOf(instance) {
  if (instance.state === "failed") return "failing";
  if (instance.status === "DRAINING") return "draining";
  if (instance.state === "excluded") return "excluded";
  if (!instance.agentConnected) return "disconnected";
  return instance.state === "pending" ? "starting" : instance.state;
}
