// What the page knows: one slice for each address that is read, kept fresh while somebody looks.

import { get, contact, locked, token, ApiError } from './api.js';
import { everySecond } from './clock.js';
import * as live from './live.js';

const slices = new Map();
const LIVE_PERIOD = 60; // a second look, in case a message was missed
const LEAST_GAP = 1000;
const RETRY = 10;

/**
 * The slice of an address, made when it is first asked for.
 *
 * @param {string} path such as `api/agents`
 * @param {{channels?: string[], every?: number, message?: string}} how channels whose messages mean
 *   that it changed; seconds between looks without them; the type of a message that is its value.
 */
export function slice(path, how = {}) {
  if (!slices.has(path)) slices.set(path, new Slice(path, how));
  return slices.get(path);
}

class Slice {
  /** `data` undefined until the first answer; `error` of the last try, or null; `at` in ms. */
  data = undefined;
  error = null;
  at = 0;
  #text = '';
  #watchers = new Set();
  #releases = [];
  #running = null;
  #again = false;
  #isDirty = true;
  #triedAt = 0;
  #took = 0;
  #timer = 0;

  constructor(path, { channels = [], every = 30, message = '' }) {
    Object.assign(this, { path, channels, every, message });
  }

  get isLoading() { return this.data === undefined && !this.error; }

  get isWatched() { return this.#watchers.size > 0; }

  /** Call at once and at each change; returns the end. */
  watch(watcher) {
    if (!this.isWatched) this.#releases = this.channels.map(live.want);
    this.#watchers.add(watcher);
    if (this.#isDirty || Date.now() - this.at > this.every * 1000) this.refresh();
    watcher(this);
    return () => {
      this.#watchers.delete(watcher);
      if (!this.isWatched) for (const release of this.#releases.splice(0)) release();
    };
  }

  /** Ask the server now; settles when the answer is in, and never fails. */
  refresh() {
    if (this.#running) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#ask().finally(() => {
      this.#running = null;
      if (!this.#again) return undefined;
      this.#again = false;
      return this.refresh();
    });
    return this.#running;
  }

  async #ask() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#isDirty = false;
    this.#triedAt = Date.now();
    try {
      const text = await get(this.path);
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

  /** Something that it shows has changed: look again, soon, but no more than the server can bear. */
  touch() {
    this.#isDirty = true;
    if (!this.isWatched || document.hidden || this.#timer) return;
    const next = this.#triedAt + Math.max(LEAST_GAP, this.#took * 8);
    this.#timer = setTimeout(() => this.refresh(), Math.max(150, next - Date.now()));
  }

  /** The server told the value itself. */
  put(data) {
    this.#text = '';
    this.#isDirty = false;
    this.at = this.#triedAt = Date.now();
    this.#become(data);
  }

  refreshIfDue() {
    const kind = this.error?.kind;
    if (this.#running || kind === 'unauthenticated' || kind === 'forbidden') return;
    const usual = live.state.value === 'live' && this.channels.length ? LIVE_PERIOD : this.every;
    const period = this.error ? Math.max(RETRY, this.error.retryAfter) : usual;
    if ((this.#isDirty && !this.#timer) || Date.now() - this.#triedAt > period * 1000) this.refresh();
  }

  forget() {
    this.data = undefined;
    this.error = null;
    this.#text = '';
    this.#isDirty = true;
    this.#tell();
  }

  #become(data) {
    this.data = data;
    this.error = null;
    this.#tell();
  }

  #tell() { for (const watcher of [...this.#watchers]) watcher(this); }
}

/** A source in whose place `use` puts another slice: what shows it stays, with all that is in it. */
export function exchangeable(slice) {
  const ends = new Map();
  return {
    get data() { return slice.data; },
    get error() { return slice.error; },
    refresh: () => slice.refresh(),
    watch(watcher) {
      ends.set(watcher, slice.watch(watcher));
      return () => {
        ends.get(watcher)();
        ends.delete(watcher);
      };
    },
    use(next) {
      if (next === slice) return;
      slice = next;
      for (const [watcher, end] of [...ends]) {
        end();
        ends.set(watcher, slice.watch(watcher));
      }
    },
  };
}

const watched = () => [...slices.values()].filter((each) => each.isWatched);

/** Look at everything that is on the screen again. */
export const refreshAll = () => Promise.all(watched().map((each) => each.refresh()));

everySecond(() => {
  if (contact.value.lost || locked.value) return;
  for (const each of watched()) each.refreshIfDue();
});

live.onMessage((type, data, channel) => {
  for (const each of slices.values()) {
    if (each.message === type && data !== undefined) each.put(data);
    else if (each.channels.includes(channel)) each.touch();
  }
});

let wasLost = false;
contact.watch(({ lost }) => {
  if (wasLost && !lost) for (const each of watched()) each.touch();
  wasLost = lost;
});

locked.watch((why) => {
  if (!why) refreshAll();
  else for (const each of slices.values()) each.forget();
});

let known = token.value;
token.watch((next) => {
  if (next === known) return;
  known = next;
  for (const each of slices.values()) each.forget();
  refreshAll();
});
