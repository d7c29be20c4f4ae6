// Links to the page of cluster-state-service, if the server knows its address.
import { createElement } from "./dom.js";
import { state } from "./state.js";

export const instanceLink = (arn) => createExplorerLink("instance", arn, "Open the instance in the explorer");
export const taskLink = (arn) => createExplorerLink("task", arn, "Open the task in the explorer");

// createExplorerLink returns null without an address.
function createExplorerLink(parameter, arn, textContent) {
  const { explorerURL } = state.config;
  if (!explorerURL) return null;
  const href = `${explorerURL.replace(/\/?$/, "/")}#${parameter}=${encodeURIComponent(arn)}`;
  return createElement("a", { href, textContent });
}
