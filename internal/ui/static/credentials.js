// The credentials of the client, and its role.
//
// The bearer token that the page sends to a service with an access file. It lasts as long as the tab.
import { createElement } from "./dom.js";

const KEY = "blox-token";
const REQUIRED = "The service requires a bearer token.";
const REJECTED = "The service rejects the token.";

const ROLES = ["public", "viewer", "operator", "admin"]; // each includes the ones before it

let onChange = () => {};
let onRoleChange = () => {};
let role = ""; // of the client, as of the latest response; empty if the service has no access file
let form = null; // while the page waits for a token

// onToken sets the function that runs after the user has entered a token.
export function onToken(callback) {
  onChange = callback;
}

// authorization returns the headers that authenticate a request.
export function authorization() {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: "Bearer " + token } : {};
}

// onRole sets the function that runs when the client's role changes.
export function onRole(callback) {
  onRoleChange = callback;
}

// clientRole returns the name of the client's role; empty if the service has no roles.
export function clientRole() {
  return role;
}

// permits returns whether the client's role includes another one. A role of a later version may permit everything.
export function permits(needed) {
  return !ROLES.includes(role) || ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

// checkCredentials reads the client's role from a response. It requests a token if the response shows that the service
// does not know the client. A browser that presents a client certificate needs none.
export function checkCredentials({ status, headers }) {
  if (status === 401) {
    if (!form) showForm();
    return;
  }
  const present = headers.get("Blox-Role") ?? "";
  if (present === role) return;
  role = present;
  onRoleChange();
}

function showForm() {
  const text = sessionStorage.getItem(KEY) ? REJECTED : REQUIRED;
  const field = createElement("input", { type: "password", name: "token", required: true, autocomplete: "off" });
  const label = createElement("label", {}, createElement("strong", { textContent: text }), " Token ", field);
  form = createElement("form", { id: "credentials", className: "banner" },
    label, createElement("button", { type: "submit", textContent: "Use the token" }));
  form.dataset.kind = "warn";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, field.value.trim());
    form.remove();
    form = null;
    onChange();
  });
  document.querySelector(".top").after(form);
}
