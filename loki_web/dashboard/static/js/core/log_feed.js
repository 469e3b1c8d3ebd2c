// The lines of the log: the last ones from the API, then each as it is written.

import { get, contact, locked } from './api.js';
import { everySecond } from './clock.js';
import * as live from './live.js';

const POLL = 2000;

/**
 * @typedef {{id: number, message: string, level: string, timestamp: string}} Line
 * `id` grows by one from line to line.
 */
export class LogFeed {
  /** @type {Line[]} */
  lines = [];
  error = null;
  isLoaded = false;
  #next = 0;
  #askedAt = 0;

  /**
   * @param {import('./view.js').ViewContext} ctx
   * @param {number} most lines to keep
   * @param {function(): void} changed
   */
  constructor(ctx, most, changed) {
    this.most = most;
    this.changed = changed;
    ctx.hear('logs', (type, data) => (type === 'log' ? this.#add([data]) : this.load()));
    ctx.everySecond(() => {
      const isDue = live.state.value !== 'live' && Date.now() - this.#askedAt >= POLL;
      if (isDue && !contact.value.lost && !locked.value) this.load();
    });
  }

  async load() {
    this.#askedAt = Date.now();
    try {
      this.#merge(JSON.parse(await get(`api/logs?lines=${this.isLoaded && live.state.value !== 'live' ? Math.min(500, this.most) : this.most}`)));
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.isLoaded ||= !this.error;
    this.changed();
  }

  /** Of what the server has, the part that is not here yet; all of it where nothing fits. */
  #merge(fetched) {
    const known = this.lines;
    for (let end = fetched.length; end > 0; end -= 1) {
      if (endsWith(known, fetched, end)) {
        this.#add(fetched.slice(end));
        return;
      }
    }
    this.lines = [];
    this.#add(fetched);
  }

  #add(more) {
    if (!more.length) return;
    const numbered = more.map((line) => ({ ...line, id: this.#next++ }));
    this.lines = [...this.lines, ...numbered].slice(-this.most);
    this.changed();
  }
}

const isSame = (a, b) => a.message === b.message && a.level === b.level;

/** Whether the first `end` of the fetched lines are the last that are known. */
function endsWith(known, fetched, end) {
  const length = Math.min(end, known.length);
  if (!length) return false;
  for (let back = 1; back <= length; back += 1) if (!isSame(known[known.length - back], fetched[end - back])) return false;
  return true;
}
