// A stream of the API: lines of JSON without an end. A connection that breaks is retried with exponential back-off.
import { authorization, checkCredentials } from "./credentials.js";

const HEARTBEAT_SECONDS = 5;
const SILENCE_TIMEOUT = 12_000; // milliseconds without data after which a connection counts as broken
const INITIAL_BACKOFF = 500; // milliseconds
const MAX_BACKOFF = 15_000; // milliseconds
const MAX_ERROR_LENGTH = 200;

// NotFoundError means that the server has nothing to stream below this path.
class NotFoundError extends Error {}

// connect reads path until stop is called. path is a string, or a function of an AbortSignal that returns a promise of
// one; it runs before each attempt. The callbacks are:
//   onSnapshot(lines)  the current state, after each connect; without it, the stream has changes only
//   onChanges(lines)   changes since then
//   onStatus(status, failure, retryAt)  "connecting", "live" or "stale"; failure and retryAt only with "stale"
//   onNotFound()       returns whether to stop; otherwise the stream is retried. Without it, 404 is any other failure
export function connect(path, callbacks) {
  const stream = new Stream(path, callbacks);
  callbacks.onStatus("connecting");
  stream.run();
  return stream;
}

class Stream {
  constructor(path, callbacks) {
    this.path = path;
    this.callbacks = callbacks;
    this.stopped = false;
    this.failures = 0;
    this.retryTimer = 0;
    this.controller = null; // of the latest request; older requests have no effect
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.retryTimer);
    this.controller?.abort();
  }

  // retry connects again without waiting.
  retry() {
    if (this.stopped) return;
    this.failures = 0;
    this.run();
  }

  async run() {
    clearTimeout(this.retryTimer);
    this.controller?.abort();
    const controller = new AbortController();
    this.controller = controller;
    let failure = "the connection was closed";
    try {
      await this.read(controller);
    } catch (error) {
      const latest = !this.stopped && controller === this.controller;
      if (error instanceof NotFoundError && latest && this.callbacks.onNotFound?.()) {
        this.stop();
        return;
      }
      failure = describeFailure(error, controller.signal);
    }
    if (!this.stopped && controller === this.controller) this.scheduleRetry(failure);
  }

  // read returns when the server closes the stream.
  async read(controller) {
    const watchdog = new Watchdog(controller);
    try {
      const path = typeof this.path === "string" ? this.path : await this.path(controller.signal);
      const separator = path.includes("?") ? "&" : "?";
      const response = await fetch(`${path}${separator}heartbeat=${HEARTBEAT_SECONDS}`, {
        signal: controller.signal, cache: "no-store",
        headers: { Accept: "application/octet-stream", ...authorization() },
      });
      checkCredentials(response);
      if (!response.ok) throw await responseError(response);
      let snapshot = this.callbacks.onSnapshot ? [] : null; // lines until the first with metadata, which completes it
      if (!snapshot) this.setLive();
      for await (const lines of readLines(response.body, watchdog)) {
        const last = lines.at(-1);
        if (last?.error) throw new NotFoundError(last.error);
        if (!snapshot) {
          if (lines.length) this.callbacks.onChanges(lines);
          continue;
        }
        const end = lines.findIndex(({ metadata }) => metadata) + 1; // a chunk may have changes behind the snapshot
        snapshot.push(...(end ? lines.slice(0, end) : lines));
        if (!end) continue;
        this.callbacks.onSnapshot(snapshot);
        snapshot = null;
        this.setLive();
        if (end < lines.length) this.callbacks.onChanges(lines.slice(end));
      }
    } finally {
      watchdog.stop();
    }
  }

  setLive() {
    this.failures = 0;
    this.callbacks.onStatus("live");
  }

  // scheduleRetry waits between half the back-off and all of it, so that browsers do not retry at the same time.
  scheduleRetry(failure) {
    const backoff = Math.min(INITIAL_BACKOFF * 2 ** this.failures++, MAX_BACKOFF);
    const delay = backoff / 2 + Math.random() * backoff / 2;
    this.callbacks.onStatus("stale", failure, Date.now() + delay);
    this.retryTimer = setTimeout(() => this.run(), delay);
  }
}

// Watchdog aborts a request that receives no data, not even heartbeats.
class Watchdog {
  constructor(controller) {
    this.controller = controller;
    this.reset();
  }

  reset() {
    clearTimeout(this.timer);
    const error = new Error(`no data for ${SILENCE_TIMEOUT / 1000} s`);
    this.timer = setTimeout(() => this.controller.abort(error), SILENCE_TIMEOUT);
  }

  stop() {
    clearTimeout(this.timer);
  }
}

// readLines yields the parsed lines of each chunk; a chunk may complete none.
async function* readLines(body, watchdog) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let incomplete = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    watchdog.reset();
    const lines = (incomplete + decoder.decode(value, { stream: true })).split("\n");
    incomplete = lines.pop();
    yield lines.map((line) => JSON.parse(line));
  }
}

export async function responseError(response) {
  const text = (await response.text()).trim().slice(0, MAX_ERROR_LENGTH);
  if (response.status === 404) return new NotFoundError(text);
  return new Error(`the server returned ${response.status}` + (text ? ": " + text : ""));
}

// describeFailure prefers the watchdog's reason: after an abort, the browser's own error says less.
function describeFailure(error, signal) {
  const { aborted, reason } = signal;
  return aborted && reason instanceof Error && reason.name !== "AbortError" ? reason.message : error.message;
}
