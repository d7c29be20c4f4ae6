// Requests of the API, and their errors.
import { readServerTime } from "./clock.js";
import { authorization, checkCredentials } from "./credentials.js";

const TIMEOUT = 30_000; // milliseconds
const CONTENT_TYPE_PROBLEM = "application/problem+json";
const MAX_TEXT_LENGTH = 500; // of an error that is no problem in JSON

// RequestError is an error of the API, or a request without a response.
export class RequestError extends Error {
  constructor({ status = 0, title = "", code = "", detail = "", hint = "", failures = [], requestId = "", executed }) {
    super(detail);
    Object.assign(this, { status, title, code, hint, failures, requestId });
    this.maybeExecuted = executed; // whether the server may have executed the request all the same
  }
}

// request sends a request to the page's own server and returns the JSON of the response. It throws a RequestError.
export async function request(method, path, { body, idempotencyKey, signal } = {}) {
  const headers = { Accept: `application/json, ${CONTENT_TYPE_PROBLEM}`, ...authorization() };
  if (body) headers["Content-Type"] = "application/json";
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  const timeout = AbortSignal.timeout(TIMEOUT);
  const changes = method !== "GET";
  let response;
  let text;
  try {
    response = await fetch(path, {
      method, headers, body: body && JSON.stringify(body), cache: "no-store",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    const detail = timeout.aborted ? `The server has not responded for ${TIMEOUT / 1000} s.` : error.message;
    throw new RequestError({ title: "No response", detail, executed: changes });
  }
  readServerTime(response);
  checkCredentials(response);
  if (!response.ok) throw responseError(response, text, changes);
  return JSON.parse(text);
}

// responseError reads a problem of the API, or the text of a proxy.
function responseError(response, text, changes) {
  const { status } = response;
  const executed = changes && status >= 500;
  if (response.headers.get("Content-Type")?.startsWith(CONTENT_TYPE_PROBLEM)) {
    try {
      return new RequestError({ ...JSON.parse(text), status, executed });
    } catch {
      // The text itself is shown.
    }
  }
  const requestId = response.headers.get("X-Request-Id") ?? "";
  const detail = text.trim().slice(0, MAX_TEXT_LENGTH);
  return new RequestError({ status, title: response.statusText, detail, requestId, executed });
}

// newKey returns a random key. Browsers have crypto.randomUUID only over HTTPS.
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
