// A stream of the API: lines of JSON that never end. It is read again, later and later, each time that it breaks off.

const HEARTBEAT = 5; // seconds
const SILENCE = 12_000; // after which the stream counts as broken
const FIRST_WAIT = 500, MOST_WAIT = 15_000;

class Nothing extends Error {}

// follow reads path until stop is called. What there is in the beginning is given to whole at once, as a list of lines, and what
// changes to changed. State is told of "connecting", "live" and "stale"; of the last with why, and when the next try is due.
// Ended is asked, when the server says that there is nothing to follow, whether that is the end; otherwise it is tried again.
export function follow(path, { whole, changed, state, ended }) {
  let stopped = false, failures = 0, timer = 0, request = null;

  async function read() {
    clearTimeout(timer);
    request?.abort();
    const own = request = new AbortController();
    let silence = 0;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => own.abort(new Error("nothing was heard for " + SILENCE / 1000 + " s")), SILENCE);
    };
    let why = "the connection was closed";
    try {
      heard();
      const answer = await fetch(path + "?heartbeat=" + HEARTBEAT, { signal: own.signal, cache: "no-store", headers: { Accept: "application/octet-stream" } });
      if (!answer.ok) {
        const text = (await answer.text()).trim().slice(0, 200);
        if (answer.status === 404) throw new Nothing(text);
        throw new Error("the server answers " + answer.status + (text ? ": " + text : ""));
      }
      const reader = answer.body.getReader(), decoder = new TextDecoder();
      let rest = "", beginning = [];
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        heard();
        const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
        rest = lines.pop();
        const parsed = lines.map((line) => JSON.parse(line));
        const last = parsed.at(-1);
        if (last?.error) throw new Nothing(last.error);
        if (beginning) {
          beginning.push(...parsed);
          if (!last?.metadata) continue;
          failures = 0;
          whole(beginning);
          beginning = null;
          state("live");
        } else if (parsed.length) {
          changed(parsed);
        }
      }
    } catch (error) {
      if (error instanceof Nothing && own === request && !stopped && ended(error.message)) return stop();
      why = own.signal.aborted && own.signal.reason instanceof Error && own.signal.reason.name !== "AbortError" ? own.signal.reason.message : error.message;
    } finally {
      clearTimeout(silence);
    }
    if (stopped || own !== request) return;
    const most = Math.min(FIRST_WAIT * 2 ** failures++, MOST_WAIT);
    const wait = most / 2 + Math.random() * most / 2;
    state("stale", why, Date.now() + wait);
    timer = setTimeout(read, wait);
  }

  function stop() {
    stopped = true;
    clearTimeout(timer);
    request?.abort();
  }

  state("connecting");
  read();
  return {
    stop,
    retry() { if (!stopped) { failures = 0; read(); } },
  };
}
