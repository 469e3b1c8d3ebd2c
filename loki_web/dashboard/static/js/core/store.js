// The data of the page: one slice for each address, kept up to date while it is watched, and the lines of the log.

import { ApiError, contact, credential, everySecond, get, locked, onReturn } from './api.js';
import * as live from './live.js';

/**
 * @typedef {object} How
 * @property {string[]} [channels] messages of these channels mean that the data has changed
 * @property {number} [every] seconds between polls while no live feed reports changes
 * @property {string} [message] the type of the messages that contain the new data
 * @property {(data: any, value: any) => boolean} [agrees] whether what was loaded is current, by the value with which
 *   the channel begins
 * @property {boolean} [isList] whether the data are the list of the first channel, known by their ETag
 */

/** @type {Map<string, Slice>} */
const byPath = new Map();
const LIVE_PERIOD = 60; // a second look, in case a message was missed
const FIRST_PERIOD = 15; // the same after a channel began, for data without an ETag or a message
const LEAST_GAP = 1000;
const RETRY = 10;
const MOST_TOLD = 100; // verdicts in the message about the council
const PROBE = 3; // between looks for a server that does not answer

/**
 * Return the slice of an address; it is created at the first call.
 *
 * @param {string} path such as `api/agents`
 * @param {How} how
 * @returns {Slice}
 */
export function slice(path, how = {}) {
  const known = byPath.get(path) ?? new Slice(path, how);
  byPath.set(path, known);
  return known;
}

class Slice {
  /** `data`: undefined until the first response; `error`: of the last request, or null; `at`: of the data, in ms. */
  /** @type {any} */
  data = undefined;
  /** @type {ApiError | null} */
  error = null;
  at = 0;
  #text = '';
  #watchers = new Set();
  /** @type {(() => void)[]} */
  #releases = [];
  /** @type {Promise<void> | null} */
  #running = null;
  #again = false;
  #isDirty = true;
  #isNew = false;
  #triedAt = 0;
  #took = 0;
  #timer = 0;
  #version = 0; // grows with what makes a response that is on its way too old

  constructor(path, /** @type {How} */ { channels = [], every = 30, message = '', isList = false, agrees }) {
    this.path = path;
    this.channels = channels;
    this.every = every;
    this.message = message;
    this.isList = isList;
    this.agrees = agrees;
  }

  get isLoading() {
    return this.data === undefined && !this.error;
  }

  get isWatched() {
    return this.#watchers.size > 0;
  }

  /** Call at once and at each change; return a function that unsubscribes. */
  watch(watcher) {
    this.#watchers.add(watcher);
    const isStale = !this.#running && Date.now() - this.at > this.every * 1000;
    if (this.#isDirty || isStale) this.refresh();
    if (!this.#running) this.#follow();
    watcher(this);
    return () => {
      this.#watchers.delete(watcher);
      if (!this.isWatched) for (const release of this.#releases.splice(0)) release();
    };
  }

  /** Request the data now. The promise resolves after the response and never rejects. */
  refresh() {
    if (this.#running) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#ask().finally(() => {
      this.#running = null;
      this.#follow();
      if (!this.#again) return undefined;
      this.#again = false;
      return this.refresh();
    });
    return this.#running;
  }

  /** Subscribe to the channels; after the first response, so that the server can tell whether it is still current. */
  #follow() {
    if (this.isWatched && !this.#releases.length) this.#releases = this.channels.map(live.want);
  }

  async #ask() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#isDirty = this.#isNew = false;
    this.#triedAt = Date.now();
    const version = this.#version;
    const hear = (headers) => version === this.#version && this.#note(headers.get('ETag'));
    try {
      const text = await get(this.path, { hear });
      if (version !== this.#version) return;
      const isNew = text !== this.#text || this.error;
      this.at = Date.now();
      this.#took = this.at - this.#triedAt;
      if (!isNew) return;
      this.#text = text;
      this.#become(JSON.parse(text));
    } catch (error) {
      this.error = error instanceof ApiError ? error : new ApiError('failed', 'The answer could not be read');
      this.#tell();
    }
  }

  #note(etag) {
    if (this.isList) live.note(this.channels[0], etag?.match(/"(.+)"/)?.[1]);
  }

  /** Request the data again soon, because it has changed; less often if responses take long. */
  touch() {
    this.#isDirty = true;
    const isUnseen = document.hidden && !this.channels.some((name) => live.ALWAYS.includes(name));
    if (!this.isWatched || isUnseen || this.#timer) return;
    const next = this.#triedAt + Math.max(LEAST_GAP, this.#took * 8);
    this.#timer = setTimeout(() => this.refresh(), Math.max(150, next - Date.now()));
  }

  /** A channel has begun; `isCurrent` if the server compares the data. What nobody compares is requested later. */
  begin(isCurrent) {
    if (this.message || isCurrent) return; // a channel with a message begins with its value
    if (!this.isList && (this.#running || Date.now() - this.at < FIRST_PERIOD * 1000)) this.#isNew = true;
    else this.touch();
  }

  /** The channel began with the value that was loaded: other data of the channel have not changed either. */
  settle() {
    this.#isNew = false;
  }

  /** Take the value from a message of the feed; `isKnown` if it is the one that was loaded. */
  put(data, isKnown) {
    this.#version += 1;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#isDirty = false;
    this.at = this.#triedAt = Date.now();
    if (isKnown && !this.error) return;
    this.#text = '';
    this.#become(data);
  }

  refreshIfDue() {
    const kind = this.error?.kind;
    if (this.#running || kind === 'unauthenticated' || kind === 'forbidden') return;
    const isLive = live.state.value === 'live' && this.channels.length;
    const usual = !isLive ? this.every : this.#isNew ? FIRST_PERIOD : LIVE_PERIOD;
    const period = contact.value.lost ? PROBE : this.error ? Math.max(RETRY, this.error.retryAfter) : usual;
    if ((this.#isDirty && !this.#timer) || Date.now() - this.#triedAt > period * 1000) this.refresh();
  }

  forget() {
    this.#version += 1;
    this.data = undefined;
    this.error = null;
    this.#text = '';
    this.#isDirty = true;
    this.#note(null);
    this.#tell();
  }

  #become(data) {
    this.data = data;
    this.error = null;
    this.#tell();
  }

  #tell() {
    for (const watcher of [...this.#watchers]) watcher(this);
  }
}

const watched = () => [...byPath.values()].filter((each) => each.isWatched);

/** Request everything again that is on the screen. */
const refreshAll = () => Promise.all(watched().map((each) => each.refresh()));

everySecond(() => {
  if (locked.value) return;
  for (const each of contact.value.lost ? [status] : watched()) each.refreshIfDue();
});

// a feed that breaks off is the first sign of a server that is gone
live.state.watch((state) => {
  if (state === 'polling') status.refresh();
});

const begun = new Set(); // channels of which nothing was heard yet

live.onMessage((type, data, channel, isCurrent) => {
  const followers = [...byPath.values()].filter(({ channels }) => channels.includes(channel));
  if (type === 'begun') {
    begun.add(channel);
    for (const each of followers) each.begin(isCurrent);
    return;
  }
  const isFirst = begun.delete(channel);
  const holder = followers.find(({ message }) => message === type);
  const before = holder?.data;
  const isKnown = isFirst && holder && JSON.stringify(before) === JSON.stringify(data);
  holder?.put(data, isKnown);
  for (const each of followers) {
    const canTell = isFirst && each.agrees && each.data !== undefined;
    if (each === holder) continue;
    if (isFirst && holder && before === undefined && !canTell) continue; // nothing to compare with
    if (canTell ? each.agrees?.(each.data, data) : isKnown) each.settle();
    else if (type === 'reset' && each.isWatched) each.refresh();
    else each.touch();
  }
});

onReturn(() => {
  for (const each of watched()) each.touch();
});

locked.watch((why) => {
  if (!why) refreshAll();
  else for (const each of byPath.values()) each.forget();
});

let last = credential.value;
credential.watch((next) => {
  if (next === last) return;
  last = next;
  for (const each of byPath.values()) each.forget();
  refreshAll();
});

// Slices that several views use. The others are created in their view.

export const status = slice('api/status', { channels: ['status'], message: 'status', every: 5 });
export const tasks = slice('api/tasks', { channels: ['tasks'], isList: true, every: 10 });
export const agents = slice('api/agents', { channels: ['agents'], message: 'agents', every: 10 });
export const processes = slice('api/health/processes', { channels: ['agents'], every: 15 });
export const cost = slice('api/cost', { channels: ['cost'], message: 'cost', every: 10 });
export const contextWindow = slice('api/context', { channels: ['cost'], every: 10 });
export const council = slice('api/council/state', { channels: ['council'], message: 'council', every: 10 });
export const convergence = slice('api/council/convergence', {
  channels: ['council'],
  every: 10,
  agrees: ({ dataPoints }, { last_track_iteration: last = 0 }) => last <= (dataPoints.at(-1)?.iteration ?? 0),
});
export const verdicts = slice('api/council/verdicts?limit=200', {
  channels: ['council'],
  every: 10,
  agrees: ({ verdicts: known }, { verdicts: latest }) =>
    JSON.stringify(known.slice(-MOST_TOLD)) === JSON.stringify(latest),
});
export const notifications = slice('api/notifications?limit=1000', {
  channels: ['notifications'],
  isList: true,
  every: 10,
});
export const triggers = slice('api/notifications/triggers', { every: 60 });
export const checkpoints = slice('api/checkpoints?limit=200', { channels: ['checkpoints'], isList: true, every: 20 });
export const projects = slice('api/registry/projects?include_inactive=true', {
  channels: ['projects'],
  isList: true,
  every: 30,
});
/** One record of each kind: whether there are any. */
export const someRecords = slice('api/records?limit=1', { channels: ['council'], every: 60 });
export const fleet = slice('api/fleet', { every: 10 });
export const enterprise = slice('api/enterprise/status', { every: 300 });

// The lines of the log: the last lines from the API, then new ones from the live feed.

const POLL = 2000;

/**
 * @typedef {object} Line
 * @property {number} id
 * @property {string} message
 * @property {string} level
 * @property {string} timestamp
 * @property {boolean} [timestamp_estimated]
 * @property {string} [cursor]
 *
 * `id` grows by one from line to line; `cursor` is the place in the file, if the query asks for it.
 */
export class LogFeed {
  /** @type {Line[]} */
  lines = [];
  /** @type {any} */
  error = null;
  isLoaded = false;
  /** @type {string | null} */
  before = null; // the cursor of the lines before those that were loaded first
  isCut = false; // whether some of those were let go
  #next = 0;
  #askedAt = 0;
  #isFresh = true; // until the first lines are there

  /**
   * @param {import('./views.js').ViewContext} ctx
   * @param {number} most lines to keep
   * @param {() => void} changed
   * @param {{first?: number, query?: string}} [how] lines to begin with, and more of the address
   */
  constructor(ctx, most, changed, { first = most, query = '' } = {}) {
    this.most = most;
    this.first = first;
    this.query = query;
    this.changed = changed;
    ctx.hear('logs', (type, data) => {
      if (type === 'log') this.#add([data]);
      else if (this.#askedAt) this.load();
    });
    ctx.everySecond(() => {
      const isDue = this.#askedAt && live.state.value !== 'live' && Date.now() - this.#askedAt >= POLL;
      if (isDue && !contact.value.lost && !locked.value) this.load();
    });
  }

  /** Load the first lines once the channel has begun, so that none is missed in between. */
  async start() {
    await live.beginning('logs');
    return this.load();
  }

  /** Begin again with the last lines. */
  restart() {
    this.lines = [];
    this.#isFresh = true;
    return this.load();
  }

  async load() {
    /** @type {string | null} */
    let before = null;
    const hear = (headers) => {
      before = headers.get('X-Loki-Cursor');
    };
    this.#askedAt = Date.now();
    const from = this.#isFresh ? 0 : this.#next;
    try {
      const isLater = this.isLoaded && live.state.value !== 'live';
      const lines = isLater ? Math.min(500, this.first) : this.first;
      this.#merge(JSON.parse(await get(`api/logs?lines=${lines}${this.query}`, { hear })), before, from);
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.isLoaded ||= !this.error;
    this.changed();
  }

  /** Append the fetched lines that follow the known ones; if none is known, replace all lines. */
  #merge(fetched, before, from) {
    const early = this.lines.filter(({ id }) => id >= from); // came while these were requested
    this.lines = this.lines.filter(({ id }) => id < from);
    if (this.#isFresh || !this.#append(fetched)) {
      this.#isFresh = false;
      this.lines = [];
      this.before = before;
      this.isCut = false;
      this.#add(fetched);
    }
    if (!this.#append(early)) this.#add(early);
  }

  /** Append the lines that follow the known ones; return whether the known ones end with some of them. */
  #append(more) {
    for (let end = more.length; end > 0; end -= 1) {
      if (!endsWith(this.lines, more, end)) continue;
      this.#add(more.slice(end));
      return true;
    }
    return false;
  }

  #add(more) {
    if (!more.length) return;
    const numbered = more.map((line) => ({ ...line, id: this.#next++ }));
    const all = [...this.lines, ...numbered];
    this.isCut ||= all.length > this.most;
    this.lines = all.slice(-this.most);
    this.changed();
  }
}

const isSame = (a, b) => a.message === b.message && a.level === b.level;

/** Return whether the first `end` fetched lines are the last known lines. */
function endsWith(known, fetched, end) {
  const length = Math.min(end, known.length);
  if (!length) return false;
  for (let back = 1; back <= length; back += 1)
    if (!isSame(known[known.length - back], fetched[end - back])) return false;
  return true;
}
