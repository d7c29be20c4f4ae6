// The page: what the streams tell, put into words. Everything from outside is set as text, never as HTML.
import { follow } from "./stream.js";
import { Grid, LABELS, STATES, nameOf, resign, shortOf, sign, stateOf } from "./grid.js";

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dateAndClock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

// make is an element with properties and children; text is set as text.
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}
const setText = (element, text) => { if (element.textContent !== text) element.textContent = text; };
const shorten = (id) => (id ?? "").slice(0, 8);
const n = (count, one, many = one + "s") => number.format(count) + " " + (count === 1 ? one : many);
const family = (arn) => shortOf(arn ?? "");

function time(at) {
  return at ? make("time", { dateTime: at, title: dateAndClock.format(new Date(at)), textContent: clock.format(new Date(at)) }) : make("time");
}

function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  return s < 90 ? s + " s" : s < 5400 ? Math.round(s / 60) + " min" : Math.round(s / 3600) + " h";
}

const world = {
  environments: new Map(), // name to { environment, deployment }
  events: new Map(), // id to event
  readiness: null,
  selected: null, // name
  wanted: null, // the name that the user or the address has asked for, whether or not it is there
  deployments: [], // of the selected one
  everyones: false, // events of all environments are shown
  picked: new Set(), // states that are picked out
  find: "", findInstance: "",
  streams: {
    overview: { state: "connecting", current: true, heard: Date.now(), handle: null },
    instances: { state: "connecting", current: true, heard: Date.now(), handle: null },
  },
};

// ---- What is drawn, at most once a frame, and the slow parts a few times a second.

const parts = { header, environments: environmentList, head, rollout, legend, why, events: eventList, deployments: deploymentList };
const due = new Set(), drawn = {}, EVERY = { why: 400, events: 300, environments: 200, legend: 100 };
let planned = 0;

function redraw(...names) {
  for (const name of names) due.add(name);
  planned ||= requestAnimationFrame(step);
}

function step(now) {
  planned = 0;
  for (const name of [...due]) {
    if (now - (drawn[name] ?? -Infinity) < (EVERY[name] ?? 0)) continue;
    drawn[name] = now;
    due.delete(name);
    parts[name]();
  }
  if (due.size) planned = requestAnimationFrame(step);
}

// ---- The header: whether what is shown is true now.

function liveness() {
  const { overview, instances } = world.streams;
  const followed = world.selected ? [overview, instances] : [overview];
  const broken = followed.find((s) => s.state === "stale");
  if (broken) return { state: "stale", broken };
  if (followed.some((s) => s.state === "asleep")) return { state: "asleep" };
  if (followed.some((s) => s.state === "connecting")) return { state: "connecting" };
  if (followed.some((s) => !s.current)) return { state: "old" };
  if (world.readiness && !world.readiness.ready) return { state: "unready" };
  return { state: "live" };
}

let announcedLive = "";

function header() {
  const { state, broken } = liveness(), r = world.readiness;
  const pill = $("live"), banner = $("banner");
  pill.dataset.live = state === "old" || state === "unready" ? "stale" : state;
  setText(pill, { live: "Live", stale: "Not live", old: "Not current", unready: "Not ready", connecting: "Connecting…", asleep: "Paused" }[state]);
  document.body.classList.toggle("stale", state === "stale");
  let title = "", text = "", kind = "bad";
  if (state === "stale") {
    title = "Not live.";
    text = `What is shown is from ${clock.format(new Date(broken.heard))}: ${broken.why}. ` +
      (broken.next > Date.now() ? "Trying again." : "Trying…");
  } else if (state === "old") {
    kind = "warn";
    title = "Not current.";
    text = "The copy of the clusters is old: " + (r?.reasons?.join("; ") || "the cluster-state-service is not heard") + ".";
  } else if (state === "unready") {
    kind = "warn";
    title = "This replica is not ready.";
    text = (r.reasons ?? []).join("; ") + ".";
  } else if (r && !r.leader) {
    kind = "warn";
    title = "Nobody leads.";
    text = "Nothing is started or stopped until a replica is elected.";
  }
  banner.hidden = !title;
  banner.dataset.kind = kind;
  $("retry").hidden = state !== "stale";
  setText($("banner-title"), title);
  setText($("banner-text"), text);
  setText($("replica"), !r ? "" : (r.ready ? "ready" : "not ready") + " · " +
    (!r.leader ? "nobody leads" : r.leader === r.replica ? "this replica leads (" + r.replica + ")" : r.leader + " leads, this is " + (r.replica || "another replica")));
  if (state !== announcedLive && (state === "live" || state === "stale")) {
    if (announcedLive) announce(state === "live" ? "Live again." : "Not live.");
    announcedLive = state;
  }
}

function announce(text) { $("announce").textContent = text; }

// ---- The list of environments.

const items = new Map(); // name to its elements

// onCanary tells whether the deployment waits for its promotion. The configuration shown is that of the newest revision.
function onCanary(e, d) {
  return Boolean(d && d.rolloutState === "IN_PROGRESS" && d.revision === e.revision && e.deploymentConfiguration?.canary && !d.rollbackOf && !d.promoted);
}

// verdict is the one thing to know of an environment.
function verdict({ environment: e, deployment: d }) {
  if (e.status === "deleting") return ["warn", "deleting"];
  if (d?.rolloutState === "FAILED") return ["bad", "rollout failed"];
  if (e.paused) return ["warn", "paused"];
  if (e.health !== "healthy") return ["bad", e.status === "deploying" ? "deploying, unhealthy" : "unhealthy"];
  if (e.status === "deploying") return ["busy", d?.rollbackOf ? "rolling back" : d?.bakeStartedAt ? "baking" : onCanary(e, d) ? "canary" : "deploying"];
  if (e.status === "inactive") return ["plain", "not deployed"];
  return ["good", "healthy"];
}

function shares(e) {
  const running = e.runningCount ?? 0, starting = e.pendingCount ?? 0, failing = e.failedCount ?? 0;
  const desired = Math.max(e.desiredCount ?? 0, running);
  const outdated = Math.max(0, Math.min(e.outdatedCount ?? 0, desired - running - starting - failing));
  return { running, starting, outdated, failing, missing: Math.max(0, desired - running - starting - outdated - failing) };
}

function bar() {
  const element = make("div", { className: "bar" });
  element.setAttribute("aria-hidden", "true");
  for (const state of ["running", "starting", "outdated", "failing", "missing"]) element.append(make("i", { className: state }));
  return element;
}

function fill(element, e) {
  const of = shares(e);
  for (const part of element.children) {
    part.style.flexGrow = of[part.className];
    part.dataset.n = of[part.className];
  }
}

function item(name) {
  const title = make("span", { className: "title", textContent: name }), mark = make("span");
  const counts = make("span", { className: "muted" }), more = make("span", { className: "muted number" }), line = bar();
  const button = make("button", { type: "button", className: "environment" },
    make("span", { className: "row" }, title, mark), line, make("span", { className: "row" }, counts, more));
  button.addEventListener("click", () => select(name, true));
  return { element: make("li", {}, button), button, mark, counts, more, line };
}

function environmentList() {
  const names = [...world.environments.keys()].sort((a, b) => a.localeCompare(b));
  setText($("total"), names.length ? number.format(names.length) : "");
  $("find-label").hidden = names.length < 9;
  $("nothing").hidden = names.length > 0 || world.streams.overview.state === "connecting";
  const list = $("environments"), wanted = names.filter((name) => name.toLowerCase().includes(world.find));
  for (const [name, shown] of items) {
    if (!world.environments.has(name)) { shown.element.remove(); items.delete(name); }
  }
  let before = list.firstElementChild;
  for (const name of names) {
    let shown = items.get(name);
    if (!shown) items.set(name, shown = item(name));
    if (before === shown.element) before = before.nextElementSibling;
    else list.insertBefore(shown.element, before);
    const one = world.environments.get(name), e = one.environment, [kind, word] = verdict(one);
    shown.element.hidden = !wanted.includes(name);
    shown.mark.className = "mark " + kind;
    setText(shown.mark, word);
    setText(shown.counts, e.desiredCount === undefined || e.desiredCount === null ? "counts are not current"
      : e.runningCount > e.desiredCount ? `${number.format(e.runningCount)} running, ${number.format(e.desiredCount)} wanted`
        : `${number.format(e.runningCount ?? 0)} of ${number.format(e.desiredCount)} running`);
    setText(shown.more, e.failedCount ? number.format(e.failedCount) + " failing" : "rev " + e.revision);
    fill(shown.line, e);
    if (name === world.selected) shown.button.setAttribute("aria-current", "true");
    else shown.button.removeAttribute("aria-current");
  }
}

// ---- The selected environment.

const selected = () => world.environments.get(world.selected);

function head() {
  const one = selected();
  $("one").hidden = !one;
  document.title = one ? world.selected + " – Blox" : "Blox";
  if (!one) return;
  const { environment: e } = one, [kind, word] = verdict(one);
  setText($("name"), e.name);
  const badges = [[e.status === "active" ? "good" : e.status === "deploying" ? "busy" : "warn", e.status]];
  if (e.status !== "inactive") badges.push([e.health === "healthy" ? "good" : "bad", e.health]);
  if (!word.includes(e.status) && !word.includes(e.health)) badges.push([kind, word]);
  $("badges").replaceChildren(...badges.map(([kind, word]) => make("span", { className: "badge " + kind, textContent: word })));
  const group = e.instanceGroup ?? {}, which = [...(group.attributes ?? []).map((a) => a.name + "=" + a.value), group.query].filter(Boolean);
  const facts = [
    ["Cluster", family(group.cluster)], ["Task definition", family(e.taskDefinition)], ["Revision", String(e.revision ?? "")],
    ["Instances", which.join(", ")], ["Readiness", e.readinessAttribute], ["Updated", e.updatedAt && dateAndClock.format(new Date(e.updatedAt))],
  ].filter(([, value]) => value);
  $("facts").replaceChildren(...facts.map(([key, value]) => make("div", {}, make("dt", { textContent: key }), make("dd", { textContent: value }))));
}

function rollout() {
  const one = selected();
  if (!one) return;
  const { environment: e, deployment: d } = one;
  const notes = [], configured = d && d.revision === e.revision ? e.deploymentConfiguration ?? {} : {};
  const of = shares(e), desired = e.desiredCount ?? 0, percent = desired ? Math.min(100, Math.floor(100 * of.running / desired)) : 100;
  let text = "Nothing is deployed yet.";
  const steps = [];
  if (d) {
    const what = family(d.taskDefinition), back = d.rollbackOf ? "Going back to " : "";
    const canary = configured.canary && !d.rollbackOf, baking = Boolean(d.bakeStartedAt), going = d.rolloutState === "IN_PROGRESS";
    const size = configured.canary?.percent ? configured.canary.percent + " %" : "its instances";
    const stages = [];
    if (canary) stages.push(["canary", "Canary"]);
    stages.push(["rollout", d.rollbackOf ? "Roll back" : "Roll out"]);
    if (configured.bakeTimeInMinutes || baking) stages.push(["bake", "Bake"]);
    stages.push(["done", d.rolloutState === "FAILED" ? "Failed" : d.rolloutState === "STOPPED" ? "Stopped" : "Completed"]);
    const now = !going ? "done" : d.status === "pending" ? "" : baking ? "bake" : canary && !d.promoted ? "canary" : "rollout";
    const at = stages.findIndex(([key]) => key === now);
    stages.forEach(([key, label], i) => {
      const ended = key === "done" && !going && d.rolloutState !== "COMPLETED";
      const reached = key === "done" ? d.rolloutState === "COMPLETED" : !going && d.rolloutState !== "COMPLETED" ? key === "bake" ? baking : true : i < at;
      const element = make("li", { className: ended ? "ended" : reached ? "done" : i === at ? "now" : "" }, make("span", { textContent: label }));
      if (i === at) element.setAttribute("aria-current", "step");
      steps.push(element);
    });
    if (d.status === "pending") text = `${back || "Waiting to begin with "}${what}.`;
    else if (now === "canary") text = `Canary: ${what} on ${size}; it waits to be promoted.`;
    else if (now === "bake") {
      const until = new Date(d.bakeStartedAt).getTime() + (configured.bakeTimeInMinutes ?? 0) * 60_000;
      text = `Baking ${what}: all of its tasks run` + (configured.bakeTimeInMinutes ? `; completed in ${duration(until - Date.now())} if that stays so.` : ".");
    } else if (going) text = `${back || "Rolling out "}${what}: ${n(desired - of.running, "instance")} to go.`;
    else if (d.rolloutState === "COMPLETED") text = `${what} is rolled out and kept up.`;
    else if (d.rolloutState === "FAILED") text = `The rollout of ${what} has failed.`;
    else text = `The rollout of ${what} was stopped.`;
    if (d.rolloutStateReason) notes.push([d.rolloutState === "FAILED" ? "bad" : "warn", d.rolloutStateReason]);
    const undone = d.rollbackOf && world.deployments.find((other) => other.id === d.rollbackOf);
    if (undone?.rolloutStateReason) notes.push([undone.rolloutState === "FAILED" ? "bad" : "warn", `Deployment ${shorten(undone.id)} of ${family(undone.taskDefinition)} ${undone.rolloutState === "FAILED" ? "failed" : "was stopped"}: ${undone.rolloutStateReason}`]);
    const breaker = configured.deploymentCircuitBreaker;
    if (breaker?.enable && going) {
      const most = breaker.threshold?.value ?? breaker.threshold;
      notes.push([d.failedTasks ? "warn" : "", `Circuit breaker: ${n(d.failedTasks ?? 0, "failure")} so far; the deployment ${breaker.rollback ? "goes back" : "ends"} ${most ? "at " + most : "when they are too many"}.`]);
    }
  }
  if (e.paused) notes.unshift(["warn", "Paused" + (e.pausedBy ? " by deployment " + shorten(e.pausedBy) + ", until the next one" : "") + ": nothing is started or stopped."]);
  if (e.status === "deleting") notes.unshift(["warn", "The environment is being deleted: its tasks are stopped first."]);
  $("steps").replaceChildren(...steps);
  if ($("rollout-text").textContent && $("rollout-text").dataset.of === e.name && $("rollout-text").dataset.is !== d?.id + d?.rolloutState) announce(e.name + ": " + text);
  $("rollout-text").dataset.of = e.name;
  $("rollout-text").dataset.is = d?.id + d?.rolloutState;
  setText($("rollout-text"), text);
  const meter = $("meter");
  meter.hidden = !d;
  if (!meter.firstChild) meter.append(bar(), make("output"));
  fill(meter.firstChild, e);
  setText(meter.lastChild, percent + " %");
  $("counts").hidden = !d;
  const counts = [["desired", e.desiredCount], ["running", e.runningCount], ["starting", e.pendingCount], ["outdated", e.outdatedCount], ["failing", e.failedCount]];
  $("counts").replaceChildren(...counts.map(([key, value]) => make("div", {}, make("dt", { textContent: key }), make("dd", { textContent: value === undefined || value === null ? "?" : number.format(value) }))));
  $("notes").replaceChildren(...notes.map(([kind, note]) => make("li", { className: kind, textContent: note })));
}

// ---- The grid, its legend, and the instance that is pointed at.

const grid = new Grid({
  root: $("grid"), canvas: $("canvas"), cells: [$("cell-a"), $("cell-b")], picked: detail,
  label: (i) => `${nameOf(i)}, ${LABELS[stateOf(i)]}` + (i.reason ? `: ${i.reason}` : ""),
});

const buttons = new Map(STATES.map(([state, label]) => {
  const count = make("b"), button = make("button", { type: "button" }, sign(state), make("span", { textContent: label }), count);
  button.dataset.state = state;
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    world.picked.has(state) ? world.picked.delete(state) : world.picked.add(state);
    pick();
  });
  $("legend").append(button);
  return [state, { button, count }];
}));

function pick() {
  const { picked, findInstance } = world;
  for (const [state, { button }] of buttons) button.setAttribute("aria-pressed", String(picked.has(state)));
  grid.pick(picked.size || findInstance ? (i) => (!picked.size || picked.has(stateOf(i))) &&
    (!findInstance || [i.containerInstance, i.ec2InstanceId, i.task].some((text) => text?.toLowerCase().includes(findInstance))) : null);
}

function legend() {
  const counts = {};
  for (const i of grid.items) { const s = stateOf(i); counts[s] = (counts[s] ?? 0) + 1; }
  for (const [state, { button, count }] of buttons) {
    setText(count, number.format(counts[state] ?? 0));
    button.classList.toggle("none", !counts[state]);
  }
  setText($("instances-total"), number.format(grid.items.length));
  $("grid").setAttribute("aria-label", n(grid.items.length, "container instance"));
}

function detail(i) {
  const to = $("detail");
  to.classList.toggle("some", Boolean(i));
  if (!i) {
    to.replaceChildren(make("p", { className: "muted", textContent: "Point at an instance, tap it, or go to it with the arrow keys, to see its task and why it is so." }));
    return;
  }
  const state = stateOf(i), facts = [
    ["Instance", shortOf(i.containerInstance)], ["In ECS", i.status.toLowerCase() + (i.agentConnected ? "" : ", agent disconnected")],
    ["Task", i.task && shortOf(i.task)], ["Task is", i.taskStatus?.toLowerCase()], ["Deployment", i.deployment && shorten(i.deployment)],
    ["Attempts", i.attempts ? String(i.attempts) : ""], ["Next try", i.nextAttemptAt && clock.format(new Date(i.nextAttemptAt))],
  ].filter(([, value]) => value);
  to.replaceChildren(
    make("h3", { className: "mono", textContent: nameOf(i) }),
    make("p", { className: "state" }, sign(state), LABELS[state]),
    make("p", { className: "reason", textContent: i.reason ?? "" }),
    make("dl", {}, ...facts.flatMap(([key, value]) => [make("dt", { textContent: key }), make("dd", { className: key === "Instance" || key === "Task" ? "mono" : "", textContent: value })])),
  );
}

// ---- Reasons.

const ORDER = ["failing", "missing", "disconnected", "outdated", "starting", "draining", "excluded"];
const MOST_REASONS = 40, NAMED = 3;

function why() {
  const groups = new Map();
  for (const i of grid.items) {
    const state = stateOf(i);
    if (state === "running") continue;
    const key = state + "\n" + (i.reason ?? "");
    const group = groups.get(key) ?? { state, reason: i.reason ?? "", instances: [], nextAttemptAt: "", count: 0 };
    group.count++;
    if (group.instances.length < NAMED) group.instances.push(i);
    if (i.nextAttemptAt && (!group.nextAttemptAt || i.nextAttemptAt < group.nextAttemptAt)) group.nextAttemptAt = i.nextAttemptAt;
    groups.set(key, group);
  }
  const sorted = [...groups.values()].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.count - a.count);
  $("why").hidden = !sorted.length;
  $("why-none").hidden = sorted.length > 0 || !grid.items.length;
  const body = $("why-rows");
  if (body.contains(document.activeElement) && document.activeElement !== document.body && sorted.length) return; // who is there stays there
  body.replaceChildren(...sorted.slice(0, MOST_REASONS).map(reasonRow));
  if (sorted.length > MOST_REASONS) {
    body.append(make("tr", {}, make("td", { colSpan: 4, className: "muted", textContent: `and ${number.format(sorted.length - MOST_REASONS)} other reasons` })));
  }
}

function reasonRow({ state, reason, instances, nextAttemptAt, count }) {
  const which = make("td", { className: "which" });
  instances.forEach((i, at) => {
    const link = make("button", { type: "button", className: "link mono", textContent: nameOf(i).slice(0, 19) });
    link.addEventListener("click", () => grid.goTo(i.containerInstance));
    which.append(at ? ", " : "", link);
  });
  if (count > instances.length) which.append(` and ${number.format(count - instances.length)} more`);
  return make("tr", {},
    make("td", {}, make("span", { className: "state-cell" }, sign(state), LABELS[state])),
    make("td", { className: "number", textContent: number.format(count) }),
    make("td", { className: "reason" }, reason || "–", nextAttemptAt ? make("span", { className: "muted", textContent: " Next try at " + clock.format(new Date(nextAttemptAt)) + "." }) : null),
    which);
}

// ---- Events and deployments.

const ACTIONS = {
  taskStarted: ["", (d) => `Started ${family(d.taskDefinition)} on ${n(d.count, "instance")}`],
  taskStartFailed: ["bad", (d) => `Could not start ${family(d.taskDefinition)} on ${n(d.count, "instance")}`],
  taskStopped: ["", (d) => `Stopped ${n(d.count, "task")}`],
  deploymentStarted: ["", (d) => `Rollout started: ${family(d.taskDefinition)}`],
  deploymentCompleted: ["good", (d) => `Rollout of ${family(d.taskDefinition)} completed`],
  deploymentFailed: ["bad", (d) => `Rollout of ${family(d.taskDefinition)} failed`],
  deploymentRolledBack: ["bad", (d) => `Rolling back to ${family(d.taskDefinition)}`],
  environmentDeleted: ["", () => "Environment deleted"],
  environmentPaused: ["warn", () => "Paused by a user"],
  environmentResumed: ["", () => "Resumed by a user"],
  rollbackRequested: ["warn", (d) => `A user requested a rollback to ${family(d.taskDefinition)}`],
  deploymentStopped: ["warn", (d) => `A user stopped the rollout of ${family(d.taskDefinition)}`],
  deploymentPromoted: ["good", (d) => `A user promoted ${family(d.taskDefinition)}`],
  environmentDeletionRequested: ["warn", () => "A user requested the deletion of the environment and its tasks"],
  eventsDropped: ["", (d) => `${n(d.count, "more event")} dropped`],
};
const MAX_EVENTS = 60;
const shownEvents = new Map(); // id to { element, as }

function eventList() {
  const list = [...world.events.values()].filter((d) => world.everyones || d.environment === world.selected)
    .sort((a, b) => (a.lastSeenAt < b.lastSeenAt ? 1 : a.lastSeenAt > b.lastSeenAt ? -1 : a.id < b.id ? 1 : -1)).slice(0, MAX_EVENTS);
  $("events-none").hidden = list.length > 0;
  const wanted = new Set(list.map((d) => d.id)), to = $("events");
  for (const [id, { element }] of shownEvents) {
    if (!wanted.has(id)) { element.remove(); shownEvents.delete(id); }
  }
  let before = to.firstElementChild;
  for (const d of list) {
    const as = d.lastSeenAt + d.count + world.everyones;
    let shown = shownEvents.get(d.id);
    if (shown && shown.as !== as) {
      const open = shown.element.querySelector("details")?.open, fresh = event(d);
      if (before === shown.element) before = fresh;
      shown.element.replaceWith(fresh);
      if (open) fresh.querySelector("details")?.setAttribute("open", "");
      shown = null;
      shownEvents.set(d.id, { element: fresh, as });
    } else if (!shown) {
      shownEvents.set(d.id, { element: event(d), as });
    }
    const { element } = shownEvents.get(d.id);
    if (before === element) before = before.nextElementSibling;
    else to.insertBefore(element, before);
  }
}

function event(d) {
  const [kind, words] = ACTIONS[d.action] ?? ["", () => d.action];
  const body = make("div", {}, make("strong", { className: kind, textContent: words(d) }));
  if (world.everyones && d.environment) body.append(make("span", { className: "muted", textContent: " · " + d.environment }));
  const reason = [d.reason?.replace(/^blox: /, ""), d.detail && "(" + d.detail + ")"].filter(Boolean).join(" ");
  if (reason) body.append(make("p", { className: "why", textContent: reason }));
  if (d.instances?.length) {
    const where = make("ul", {}, ...d.instances.map((on) => {
      const link = make("button", { type: "button", className: "link mono", textContent: shortOf(on.containerInstance) });
      link.addEventListener("click", () => grid.goTo(on.containerInstance));
      return make("li", {}, link, on.task ? make("span", { className: "muted mono", textContent: " task " + shortOf(on.task) }) : null);
    }));
    body.append(make("details", {}, make("summary", { textContent: d.count > d.instances.length ? `Where: the last ${d.instances.length} of ${number.format(d.count)}` : "Where" }), where));
  }
  return make("li", {}, time(d.lastSeenAt), body);
}

const ROLLOUTS = { IN_PROGRESS: ["busy", "in progress"], COMPLETED: ["good", "completed"], FAILED: ["bad", "failed"], STOPPED: ["warn", "stopped"] };
const MOST_DEPLOYMENTS = 8;

function deploymentList() {
  $("deployments").replaceChildren(...world.deployments.slice(0, MOST_DEPLOYMENTS).map((d) => {
    const [kind, word] = ROLLOUTS[d.rolloutState] ?? ["", d.status];
    return make("li", {},
      make("div", { className: "between-line" }, make("span", { className: "mark " + kind, textContent: word }), " ", make("strong", { textContent: family(d.taskDefinition) }),
        make("span", { className: "muted", textContent: ` rev ${d.revision ?? "?"} · ${shorten(d.id)}` + (d.rollbackOf ? ` · rollback of ${shorten(d.rollbackOf)}` : "") })),
      make("div", { className: "muted" }, time(d.createdAt), d.finishedAt && d.createdAt ? ` · took ${duration(new Date(d.finishedAt) - new Date(d.createdAt))}` : ""),
      d.rolloutStateReason ? make("p", { className: "why", textContent: d.rolloutStateReason }) : null);
  }));
}

// readDeployments asks for the selected environment's deployments; only the answer to the last question counts.
let asked = 0;

async function readDeployments() {
  const name = world.selected, own = ++asked;
  if (!name) return;
  try {
    const answer = await fetch(`v1/environments/${encodeURIComponent(name)}/deployments`, { cache: "no-store" });
    if (!answer.ok || own !== asked) return;
    world.deployments = (await answer.json()).items ?? [];
    if (own === asked) redraw("deployments", "rollout");
  } catch {
    // the streams tell that the server is away, and come back to this
  }
}

// ---- The streams.

const fingerprint = (d) => d ? d.id + d.status + d.rolloutState + (d.promoted ?? "") + (d.bakeStartedAt ?? "") : "";

function takeOverview(lines) {
  for (const { environment, deployment, deleted, event, readiness, metadata } of lines) {
    if (environment) {
      const was = world.environments.get(environment.name);
      world.environments.set(environment.name, { environment, deployment });
      if (environment.name === world.selected && fingerprint(was?.deployment) !== fingerprint(deployment)) readDeployments();
    } else if (deleted) {
      world.environments.delete(deleted);
      if (deleted === world.selected) { announce(deleted + " was deleted."); select(null); }
    } else if (event) {
      world.events.set(event.id, event);
    } else if (readiness) {
      world.readiness = readiness;
    } else if (metadata) {
      world.streams.overview.current = metadata.current;
    }
  }
  if (world.events.size > 4000) {
    const old = [...world.events.values()].sort((a, b) => (a.lastSeenAt < b.lastSeenAt ? -1 : 1)).slice(0, world.events.size - 3000);
    for (const d of old) world.events.delete(d.id);
  }
  world.streams.overview.heard = Date.now();
  redraw("header", "environments", "head", "rollout", "events");
}

function followOverview() {
  world.streams.overview.handle?.stop();
  world.streams.overview.handle = follow("v1/stream/overview", {
    whole(lines) {
      const was = world.selected;
      world.environments.clear();
      world.events.clear();
      takeOverview(lines);
      if (!world.environments.has(was)) choose();
      else readDeployments();
    },
    changed(lines) {
      takeOverview(lines);
      if (world.environments.has(world.wanted)) select(world.wanted);
      else if (!world.selected) choose();
    },
    state: told("overview"),
    ended: () => false,
  });
}

function followInstances() {
  const name = world.selected;
  world.streams.instances.handle?.stop();
  world.streams.instances.handle = null;
  if (!name) { grid.reset([]); return; }
  world.streams.instances.handle = follow(`v1/stream/environments/${encodeURIComponent(name)}/instances`, {
    whole(lines) {
      grid.reset(lines.filter((line) => line.instance).map((line) => line.instance)
        .sort((a, b) => (a.containerInstance < b.containerInstance ? -1 : 1)));
      takeState("instances", lines);
      redraw("legend", "why", "header");
    },
    changed(lines) {
      const removed = [];
      for (const line of lines) {
        if (line.instance) grid.put(line.instance);
        else if (line.deleted) removed.push(line.deleted);
      }
      if (removed.length) grid.drop(removed);
      takeState("instances", lines);
      redraw("legend", "why", "header");
    },
    state: told("instances"),
    // The overview may not know yet that the environment is gone, or knows that it is there anew.
    ended() {
      if (world.selected !== name) return true;
      if (world.environments.has(name)) return false;
      select(null);
      return true;
    },
  });
}

function takeState(which, lines) {
  const last = lines.findLast((line) => line.metadata);
  if (last) world.streams[which].current = last.metadata.current;
  world.streams[which].heard = Date.now();
}

function told(which) {
  return (state, why, next) => {
    Object.assign(world.streams[which], { state, why, next });
    redraw("header", "environments");
  };
}

// ---- What the user does.

function select(name, byUser = false) {
  if (byUser) world.wanted = name;
  if (name === world.selected) return;
  world.selected = name;
  world.deployments = [];
  grid.at = -1;
  grid.reset([]);
  if (name) history.replaceState(null, "", "#env=" + encodeURIComponent(name));
  redraw("environments", "head", "rollout", "legend", "why", "events", "deployments", "header");
  followInstances();
  readDeployments();
  if (byUser && matchMedia("(max-width: 860px)").matches) $("main").scrollIntoView();
  if (!name) choose();
}

// choose selects the environment that the address names or, without one, the first that needs somebody to look at it.
function choose() {
  const named = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B")).get("env") ?? ""; // which takes anything
  const names = [...world.environments.keys()].sort((a, b) => a.localeCompare(b));
  if (named) world.wanted = named; // selected as soon as it is there, again too
  const worth = (name) => ["bad", "warn", "busy"].indexOf(verdict(world.environments.get(name))[0]) + 1 || 9;
  select(world.environments.has(named) ? named : names.sort((a, b) => worth(a) - worth(b))[0] ?? null);
}

function recolour() {
  grid.recolour();
  for (const canvas of document.querySelectorAll("canvas[data-state]")) resign(canvas);
}

function retry() {
  world.streams.overview.handle?.retry();
  world.streams.instances.handle?.retry();
}

// A hidden page lets go of its connections after a while: browsers have six for a server, in all tabs together.
const HIDDEN = 30_000;
let hiding = 0;

function visibility() {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      for (const stream of Object.values(world.streams)) { stream.handle?.stop(); stream.handle = null; stream.state = "asleep"; }
    }, HIDDEN);
  } else if (!world.streams.overview.handle) {
    followOverview();
    followInstances();
  }
}

$("retry").addEventListener("click", retry);
$("ours").addEventListener("click", () => eventsOf(false));
$("everyones").addEventListener("click", () => eventsOf(true));
$("find").addEventListener("input", (e) => { world.find = e.target.value.trim().toLowerCase(); redraw("environments"); });
$("find-instance").addEventListener("input", (e) => { world.findInstance = e.target.value.trim().toLowerCase(); pick(); });
$("find-instance").addEventListener("keydown", (e) => {
  const found = e.key === "Enter" && world.findInstance && grid.wanted && grid.items.find(grid.wanted);
  if (found) grid.goTo(found.containerInstance);
});
addEventListener("hashchange", () => { if (location.hash.startsWith("#env=")) choose(); });
addEventListener("online", retry);
document.addEventListener("visibilitychange", visibility);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);

function eventsOf(everyones) {
  world.everyones = everyones;
  $("ours").setAttribute("aria-pressed", String(!everyones));
  $("everyones").setAttribute("aria-pressed", String(everyones));
  redraw("events");
}

setInterval(() => { // what changes with time alone
  const d = selected()?.deployment;
  if (d?.bakeStartedAt && d.rolloutState === "IN_PROGRESS") redraw("rollout");
  if (world.streams.overview.state === "stale" || world.streams.instances.state === "stale") redraw("header");
}, 1000);

// What it costs to draw, for those who measure it.
window.blox = { frames: grid.frames, grid };
detail(null);
followOverview();
