// The bearer token that the page sends to a service with an access file. It lasts as long as the tab.
import { createElement } from "./dom.js";

const KEY = "blox-token";
const REQUIRED = "The service requires a bearer token.";
const REJECTED = "The service rejects the token.";

let onChange = () => {};
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

// checkCredentials requests a token if a response shows that the service does not know the client. A browser that
// presents a client certificate needs none.
export function checkCredentials({ status }) {
  if (status === 401 && !form) showForm();
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
