// Parts of the details of tasks and container instances.
import { currentAddress, formatAddress } from "./address.js";
import { age, externalLink } from "./columns.js";
import { createElement } from "./dom.js";

// properties returns a list of [label, value] without the empty values. A value is a text or a node.
export function properties(rows) {
  const list = createElement("dl", { className: "rows" });
  for (const [label, value, className = ""] of rows) {
    if (value === undefined || value === null || value === "") continue;
    list.append(createElement("dt", { textContent: label }), createElement("dd", { className }, value));
  }
  return list;
}

export function section(title, ...content) {
  return createElement("section", {}, createElement("h3", { textContent: title }), ...content);
}

// foldedSection is closed at first.
export function foldedSection(title, ...content) {
  const details = createElement("details", {}, createElement("summary", { textContent: title }), ...content);
  details.dataset.section = title;
  return details;
}

// openLink opens the details of an entity in the present list.
export function openLink(arn, text) {
  return arn && link(formatAddress({ ...currentAddress(), open: arn }), text, arn);
}

// filterLink shows the entities of a view that match filters.
export const filterLink = (view, filters, text) => link(formatAddress({ view, filters }), text, text);

function link(href, text, id) {
  const element = createElement("a", { href, textContent: text });
  element.dataset.id = id; // of the focus when the panel is drawn again
  return element;
}

// head shows the name of an entity, its badges, and links to the AWS console and to the API.
export function head(name, badges, consoles, apiPath) {
  const links = createElement("p", { className: "entity-links" },
    ...consoles.map(([url, text]) => externalLink(url, text)),
    createElement("a", { href: apiPath, textContent: "JSON" }));
  for (const element of links.children) element.dataset.id = element.textContent;
  return [
    createElement("h2", { className: "mono", textContent: name }),
    createElement("p", { className: "entity-badges" }, ...badges),
    links,
  ];
}

// apiPath encodes an ARN so that proxies keep its slashes.
export const apiPath = (kind, cluster, arn) =>
  `v1/${kind}/${encodeURIComponent(cluster)}/${encodeURIComponent(arn)}`;

// joined puts a separator between the parts that are there; it is "" without any.
export function joined(separator, ...parts) {
  const present = parts.filter((part) => part !== "" && part !== undefined && part !== null);
  if (!present.length) return "";
  return createElement("span", {}, ...present.flatMap((part, index) => (index ? [separator, part] : [part])));
}

export function timeRow(label, timestamp) {
  if (!timestamp) return [label, ""];
  return [label, joined(" · ", age(timestamp), new Date(timestamp).toLocaleString())];
}

export function attachments(list) {
  return (list ?? []).map(({ id, type, status, details }) => properties([
    ["Attachment", joined(" ", type, status?.toLowerCase())],
    ["ID", id, "mono"],
    ...(details ?? []).map(({ name, value }) => [name, value, "mono"]),
  ]));
}
