// Helpers for the DOM. They set all data from the server as text, never as HTML.
import { formatDateTime, formatTime } from "./format.js";

export const byId = (id) => document.getElementById(id);

// createElement skips children that are null, undefined or "".
export function createElement(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// setText leaves an element with the same text alone, so that the browser does not lay it out again.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function createTime(timestamp) {
  if (!timestamp) return createElement("time");
  const date = new Date(timestamp);
  return createElement("time", { dateTime: timestamp, title: formatDateTime(date), textContent: formatTime(date) });
}

// createDefinition returns the <dt> and <dd> of one property.
export function createDefinition(label, value, className = "") {
  return [
    createElement("dt", { textContent: label }),
    createElement("dd", { className, textContent: value }),
  ];
}

export function createLink(text, onClick) {
  const button = createElement("button", { type: "button", className: "link mono", textContent: text });
  button.addEventListener("click", onClick);
  return button;
}

// announce makes screen readers read the text.
export function announce(text) {
  byId("announcement").textContent = text;
}
