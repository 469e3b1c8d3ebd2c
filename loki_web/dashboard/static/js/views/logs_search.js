// The lines of the log that the live feed does not have: older ones, and those around a place.

import { address, get } from '../core/api.js';

const AT_ONCE = 500;
const MOST_REQUESTS = 10; // each reads a megabyte; then the user decides
const ALL = 10_000;

/** The parameter that asks for every level: with it, lines have cursors. */
export const EVERY_LEVEL = 'debug,info,warning,error,critical';

/** Request lines; `next` is where the search goes on, or null. */
async function ask(query, signal) {
  /** @type {string | null} */
  let next = null;
  const hear = (headers) => {
    next = headers.get('X-Loki-Cursor');
  };
  const lines = JSON.parse(await get(address('api/logs', query), { signal, hear }));
  return { lines, next };
}

/** Return the first line before (or after) a cursor that fits, or null. */
export async function findOne(query, name, cursor, signal) {
  for (let from = /** @type {string | null} */ (cursor); from; ) {
    const { lines, next } = await ask({ ...query, lines: 1, [name]: from }, signal);
    if (lines.length) return lines[0];
    from = next;
  }
  return null;
}

/** Call `add` with all lines of the log, some at a time. */
export async function readAll(add, signal) {
  for (let from = /** @type {string | null} */ ('start'); from; ) {
    const { lines, next } = await ask({ lines: ALL, after: from }, signal);
    add(lines);
    from = next;
  }
}

/** Lines of the log, and what is needed to get those before and after them. */
export class Reach {
  lines = [];
  /** @type {any} */
  error = null;
  isBusy = false;
  /** @type {string | null} */
  before;
  /** @type {string | null} */
  after;
  #abort = new AbortController();

  /**
   * @param {() => void} changed
   * @param {Record<string, string>} query what is searched for
   * @param {{before: string | null, after?: string | null}} cursors null: there is nothing beyond
   */
  constructor(changed, query, { before, after = null }) {
    this.changed = changed;
    this.query = { level: EVERY_LEVEL, ...query };
    this.before = before;
    this.after = after;
  }

  /** Load lines around a line. */
  async around(cursor) {
    await this.#reach(async (signal) => {
      const above = await ask({ ...this.query, lines: AT_ONCE, before: cursor }, signal);
      const last = above.lines.at(-1)?.cursor;
      // the line itself comes after the one before it, whatever is searched for
      const below = await ask({ ...this.query, lines: AT_ONCE, after: last ?? 'start' }, signal);
      this.lines = [...above.lines, ...below.lines];
      this.before = above.next;
      this.after = below.next;
    });
  }

  /** Load older lines, until there are `least` of them, all is searched, or much was. */
  older(least = 1) {
    return this.#reach(async (signal) => {
      const known = this.lines.length;
      for (let count = 0; this.before && count < MOST_REQUESTS && this.lines.length - known < least; count += 1) {
        const { lines, next } = await ask({ ...this.query, lines: AT_ONCE, before: this.before }, signal);
        this.lines = [...lines, ...this.lines];
        this.before = next;
        this.changed();
      }
    });
  }

  /** Load newer lines. */
  newer() {
    return this.#reach(async (signal) => {
      const before = this.lines.length;
      for (let count = 0; this.after && count < MOST_REQUESTS && this.lines.length === before; count += 1) {
        const { lines, next } = await ask({ ...this.query, lines: AT_ONCE, after: this.after }, signal);
        this.lines = [...this.lines, ...lines];
        this.after = next;
      }
    });
  }

  /** Stop what is being loaded. */
  end() {
    this.#abort.abort();
  }

  async #reach(load) {
    if (this.isBusy) return;
    this.isBusy = true;
    this.changed();
    try {
      await load(this.#abort.signal);
      this.error = null;
    } catch (/** @type {any} */ error) {
      if (error.kind === 'aborted') return;
      this.error = error;
    }
    this.isBusy = false;
    this.changed();
  }
}
