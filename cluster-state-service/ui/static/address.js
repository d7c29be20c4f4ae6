// The address of the page holds the view, its filters and the open entity: #/tasks?cluster=…&status=RUNNING&open=…
// Every view can so be linked, reloaded and left by the back button. Filters have the names of the API's parameters.

const INSTANCE_FILTERS = ["search", "cluster", "status", "agentConnected", "attribute", "ec2InstanceId",
  "capacityProviderName"];
const TASK_FILTERS = ["search", "cluster", "status", "launchType", "family", "taskDefinition", "group", "startedBy",
  "containerInstance", "ec2InstanceId", "capacityProviderName", "stopCode"];

export const FILTERS = { // by view
  clusters: ["search"],
  instances: INSTANCE_FILTERS,
  tasks: TASK_FILTERS,
  stopped: [...TASK_FILTERS.filter((name) => name !== "status"), "within"],
};

const DEFAULT_VIEW = "clusters";

let listener = () => {};
let current = null; // the address that the page shows

// parseAddress accepts any text. It ignores unknown parameters, so that old links keep working. #task=<ARN> and
// #instance=<ARN> are short forms for links from elsewhere.
export function parseAddress(hash) {
  const short = hash.match(/^#(task|instance)=(.+)$/);
  if (short) return parseAddress(`#/${short[1]}s?open=${short[2]}`);
  const [path, query = ""] = splitOnce(hash.replace(/^#\/?/, ""), "?");
  const view = Object.hasOwn(FILTERS, path) ? path : DEFAULT_VIEW;
  const parameters = new URLSearchParams(query.replaceAll("+", "%2B"));
  const filters = {};
  for (const name of FILTERS[view]) {
    const value = parameters.get(name)?.trim();
    if (value) filters[name] = value;
  }
  return { view, filters, open: parameters.get("open") ?? "" };
}

export function formatAddress({ view, filters = {}, open = "" }) {
  const parameters = FILTERS[view].filter((name) => filters[name]).map((name) => [name, filters[name]]);
  if (open) parameters.push(["open", open]);
  const query = parameters.map(([name, value]) => `${name}=${encode(value)}`).join("&");
  return `#/${view}` + (query ? "?" + query : "");
}

// encode leaves the characters of ARNs readable.
const encode = (value) => encodeURIComponent(value).replaceAll("%3A", ":").replaceAll("%2F", "/");

function splitOnce(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

export const currentAddress = () => current;

// navigate shows an address. With replace, the back button skips the present one: for typing in a field.
export function navigate(address, { replace = false } = {}) {
  const hash = formatAddress(address);
  if (hash === formatAddress(current)) return;
  if (replace) history.replaceState(null, "", hash);
  else history.pushState(null, "", hash);
  show();
}

// setFilters changes some filters of the present view; an empty value removes one.
export function setFilters(changes, options) {
  navigate({ ...current, filters: { ...current.filters, ...changes } }, options);
}

// open shows the details of an entity beside the list; "" closes them.
export function open(arn) {
  navigate({ ...current, open: arn });
}

// onAddressChange sets the function of (address, previous address) that shows an address, and shows the present one.
export function onAddressChange(show_) {
  listener = show_;
  addEventListener("popstate", show); // also after a change of the fragment
  show();
}

function show() {
  const previous = current;
  current = parseAddress(location.hash);
  if (previous && formatAddress(previous) === formatAddress(current)) return;
  listener(current, previous);
}
