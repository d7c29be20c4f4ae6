// A list of the API that follows the changes of its entities. It loads pages on demand, and a stream with the same
// filters keeps them current, so its cost depends on what the user has scrolled through and not on the number of
// entities.
import { connect, responseError } from "./stream.js";
import { clusterName } from "./arn.js";
import { authorization, checkCredentials } from "./credentials.js";

const PAGE = 200; // entities
const MAX_PAGE = 1000; // of the API
const MAX_ENTITIES = 10_000; // kept in memory

// KINDS has what differs between tasks and container instances.
const KINDS = { tasks: { arn: "taskARN" }, instances: { arn: "containerInstanceARN" } };

// keyOf orders entities as the API does: by cluster name, then ARN.
const keyOf = (kind, entity) => `${clusterName(entity.clusterARN)}/${entity[KINDS[kind].arn]}`;

// Collection is a live list. The callbacks are:
//   onChange()  entries, complete, capped or metadata have changed
//   onStatus(status, failure, retryAt)  as of connect, and "rejected" if the service refuses the filters
export class Collection {
  constructor(kind, filters, { pageSize = PAGE, maxEntities = MAX_ENTITIES, onChange, onStatus = () => {} }) {
    Object.assign(this, { kind, filters, pageSize, maxEntities, onChange, onStatus });
    this.entries = []; // { key, version, entity } in the API's order
    this.complete = false; // whether entries has every entity that matches
    this.capped = false; // whether entries has as many as it may have
    this.loaded = false; // whether the first page has arrived
    this.metadata = {}; // of the newest list or heartbeat
    this.nextToken = "";
    this.loading = null; // the request for the next page
    this.connection = null;
    this.stopped = false;
  }

  start() {
    this.stopped = false;
    this.connection = connect((signal) => this.load(signal), {
      onChanges: (lines) => this.apply(lines),
      onStatus: (...status) => this.stopped || this.onStatus(...status),
    });
    return this;
  }

  stop() {
    this.stopped = true;
    this.connection?.stop();
  }

  retry() {
    this.connection?.retry();
  }

  // load lists the pages that were loaded before, or the first page. It returns the path of the stream of all later changes.
  async load(signal) {
    const wanted = Math.max(this.entries.length, this.pageSize);
    let entries = [];
    let page = null;
    let version = "";
    do {
      const limit = Math.min(MAX_PAGE, Math.max(this.pageSize, wanted - entries.length));
      page = await this.fetchPage(limit, page?.nextToken, signal);
      version ||= page.metadata.entityVersion; // later pages may be newer; the stream repeats the difference
      entries = entries.concat(page.items.map((item) => this.entryOf(item)));
    } while (page.nextToken && entries.length < wanted);
    if (!this.stopped) {
      this.entries = entries;
      this.loaded = true;
      this.setPage(page);
      this.onChange();
    }
    return `v1/stream/${this.kind}?${this.query({ type: "true", entityVersion: version })}`;
  }

  // loadMore loads the next page, if there is one and none is being loaded.
  async loadMore() {
    if (this.loading || this.complete || this.capped || !this.loaded || this.stopped) return;
    const token = this.nextToken;
    this.loading = this.fetchPage(this.pageSize, token);
    try {
      const page = await this.loading;
      if (this.stopped || token !== this.nextToken) return; // the list was loaded anew meanwhile
      for (const item of page.items) this.upsert(this.entryOf(item));
      this.setPage(page);
      this.onChange();
    } catch {
      // The stream reports a service that is gone; scrolling tries again.
    } finally {
      this.loading = null;
    }
  }

  async fetchPage(limit, nextToken, signal) {
    const path = `v1/${this.kind}?${this.query({ limit, nextToken })}`;
    const response = await fetch(path, { signal, headers: { Accept: "application/json", ...authorization() } });
    checkCredentials(response);
    if (response.ok) return response.json();
    const error = await responseError(response);
    if (response.status === 400 && !this.stopped) {
      this.connection.stop(); // the same request would fail again
      this.onStatus("rejected", error.message);
    }
    throw error;
  }

  setPage({ metadata, nextToken = "" }) {
    this.metadata = metadata;
    this.nextToken = nextToken;
    this.complete = !nextToken;
    this.capped = !this.complete && this.entries.length >= this.maxEntities;
  }

  query(more) {
    const parameters = Object.entries({ ...this.filters, ...more }).filter(([, value]) => value);
    return new URLSearchParams(parameters).toString();
  }

  entryOf({ entity, metadata }) {
    return { key: keyOf(this.kind, entity), version: Number(metadata.entityVersion), entity };
  }

  // apply changes the entries that are loaded; pages that are not will show their changes when they are.
  apply(lines) {
    const lastKey = this.complete ? null : this.entries.at(-1)?.key ?? "";
    for (const line of lines) {
      if (!line.entity) {
        this.metadata = { ...this.metadata, notReconciled: line.metadata.notReconciled };
        continue;
      }
      const entry = this.entryOf(line);
      if (line.type === "DELETED") this.remove(entry);
      else if (lastKey === null || entry.key <= lastKey) this.upsert(entry);
    }
    this.onChange();
  }

  upsert(entry) {
    const at = this.indexOf(entry.key);
    const old = this.entries[at];
    if (old?.key !== entry.key) this.entries.splice(at, 0, entry);
    else if (entry.version > old.version) this.entries[at] = entry;
  }

  remove({ key, version }) {
    const at = this.indexOf(key);
    if (this.entries[at]?.key === key && version > this.entries[at].version) this.entries.splice(at, 1);
  }

  // indexOf returns the index of the first entry whose key is not smaller.
  indexOf(key) {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.entries[middle].key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
