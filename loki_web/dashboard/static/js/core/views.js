// The views (title, the key after `g`, module, `one`: the module of the page of one thing), the address of the page,
// and the context of a view.

import { cell, contact, denied, everySecond, now, onReturn } from './api.js';
import { onMessage, want } from './live.js';
import { lookup, moment } from './words.js';

const iteration = () => import('../views/iterations_one.js');

export const VIEWS = lookup({
  now: { title: 'Now', key: 'n', load: () => import('../views/now.js') },
  timeline: { title: 'Timeline', key: 'i', load: () => import('../views/timeline.js') },
  iterations: { title: 'Iterations', key: 'o', load: () => import('../views/iterations.js'), one: iteration },
  tasks: {
    title: 'Tasks',
    key: 't',
    load: () => import('../views/tasks.js'),
    one: () => import('../views/tasks_one.js'),
  },
  agents: {
    title: 'Agents',
    key: 'a',
    load: () => import('../views/agents.js'),
    one: () => import('../views/agents_one.js'),
  },
  council: { title: 'Council', key: 'c', load: () => import('../views/council.js'), one: iteration },
  logs: { title: 'Logs', key: 'l', load: () => import('../views/logs.js') },
  cost: { title: 'Cost and context', key: 'u', load: () => import('../views/cost.js') },
  memory: { title: 'Memory', key: 'm', load: () => import('../views/memory.js') },
  learning: { title: 'Learning', key: 'e', load: () => import('../views/learning.js') },
  records: { title: 'Records', key: 'v', load: () => import('../views/records.js') },
  alerts: { title: 'Alerts', key: 'r', load: () => import('../views/alerts.js') },
  checkpoints: { title: 'Checkpoints', key: 'k', load: () => import('../views/checkpoints.js') },
  fleet: { title: 'Fleet', key: 'f', load: () => import('../views/fleet.js') },
  projects: { title: 'Projects', key: 'p', load: () => import('../views/projects.js') },
  admin: { title: 'Admin', key: 'd', load: () => import('../views/admin.js') },
});

// The address is `#/view/part?name=value`, so every state of the page has a link.

/** @typedef {{view: string, parts: string[], query: URLSearchParams}} Route */

/** The current {@link Route}. */
export const route = cell(read());

/** The time range of charts, as `6h` or as two times; empty for the whole session. All views keep it. */
const range = () => route.value.query.get('range') ?? '';

/** Note that the address of this entry of the history is complete: Back returns to it, not to a later time range. */
const settle = (address = location.href) => history.replaceState({ ...history.state, isKnown: true }, '', address);

addEventListener('hashchange', () => {
  if (!history.state?.isKnown) {
    const { hash } = location;
    const isWithout = range() && !read().query.has('range');
    settle(isWithout ? `${hash}${hash.includes('?') ? '&' : '?'}range=${encodeURIComponent(range())}` : hash);
  }
  route.set(read());
});
settle();

function read() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [view = '', ...parts] = path.split('/').map(decoded);
  return { view: view || 'now', parts, query: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const HOURS = lookup({ '1h': 1, '6h': 6, '24h': 24 });
const BETWEEN = '..';

/**
 * The time range in ms; null for the whole session. A fixed one has an end, others go on.
 *
 * @returns {{from: number, to: number, isFixed: boolean} | null}
 */
export function timeRange() {
  if (HOURS[range()]) return { from: now() - HOURS[range()] * 3_600_000, to: now(), isFixed: false };
  const [from, to] = range().split(BETWEEN).map(moment);
  return from != null && to != null && from < to ? { from, to, isFixed: true } : null;
}

/** Show only what happened between two moments, in all charts. Back returns to what was shown before. */
export function chooseTime(from, to) {
  const { view, parts, query } = route.value;
  const chosen = [from, to].map((at) => new Date(at).toISOString().replace('.000', '')).join(BETWEEN);
  go(view, parts, { ...Object.fromEntries(query), timeRange: '', range: chosen });
}

/** Return the points, each with a `timestamp`, inside the time range. */
export function within(points = []) {
  const shown = timeRange();
  if (!shown) return points;
  const isShown = (at) => at >= shown.from && !(shown.isFixed && at > shown.to);
  return points.filter(({ timestamp }) => isShown(moment(timestamp) ?? 0));
}

// What stays in the address while one moves inside a view.
const KEPT = /^(sort\.|layout$|range$)/;

/**
 * Return the link to a view: `link('tasks', id)`, `link('logs', [], {q: 'error'})`.
 *
 * @param {string} view
 * @param {string | string[]} [parts]
 * @param {Record<string, any>} [query] empty values are left out
 */
export function link(view, parts = [], query = {}) {
  const path = [view, parts].flat().map(encodeURIComponent).join('/');
  const kept = view === route.value.view ? [...route.value.query].filter(([name]) => KEPT.test(name)) : [];
  const given = Object.entries({ ...Object.fromEntries(kept), ...query }).filter(
    ([, value]) => value != null && value !== '',
  );
  return `#/${path}${given.length ? `?${new URLSearchParams(given)}` : ''}`;
}

/** @param {Parameters<typeof link>} place */
export function go(...place) {
  location.hash = link(...place);
}

/**
 * Change the address as `go` does, but without an entry in the history; for filters.
 *
 * @param {Parameters<typeof link>} place
 */
export function replace(...place) {
  history.replaceState(history.state, '', link(...place));
  route.set(read());
}

/** Keep in the address how the view is shown: a parameter that `KEPT` names. */
export function keep(name, value) {
  const { view, parts, query } = route.value;
  replace(view, parts, { ...Object.fromEntries(query), [name]: value });
}

// The context of a view: what the view began with it ends when the view is left.

/**
 * Created each time a view is opened.
 *
 * @param {import('./views.js').Route} route the current one; `onRoute` reports changes.
 */
export class ViewContext {
  #ends = [];
  #redraws = new Set();
  #pending = new Set();
  #routed = [];

  constructor(route) {
    this.route = route;
    const all = () => this.#redrawAll();
    this.onLeave(denied.watch(all));
    let wasLost = contact.value.lost;
    this.onLeave(
      contact.watch(({ lost }) => {
        if (lost !== wasLost) all();
        wasLost = lost;
      }),
    );
  }

  /** Call `end` when the user leaves the view. */
  onLeave(end) {
    this.#ends.push(end);
  }

  /** Watch a slice or a cell. */
  watch(source, watcher) {
    this.onLeave(source.watch(watcher));
  }

  /** Call when the server answers again. */
  onReturn(listener) {
    this.onLeave(onReturn(listener));
  }

  /** Call each second while the tab is seen. */
  everySecond(listener) {
    this.onLeave(everySecond(listener));
  }

  /** Subscribe to a channel and call `listener(type, data)` for its messages. */
  hear(channel, listener) {
    this.onLeave(want(channel));
    this.onLeave(onMessage((type, data, from) => from === channel && listener(type, data)));
  }

  /** Call when the address changes within the view. */
  onRoute(listener) {
    this.#routed.push(listener);
  }

  /** Call `redraw` once before the next paint, but not while a button is pressed. */
  schedule(redraw) {
    if (this.#pending.has(redraw)) return;
    if (!this.#pending.size) soon(() => whenReleased(() => this.#run()));
    this.#pending.add(redraw);
  }

  /** Also call `redraw` when permissions, the connection or the time range change. */
  redraws(redraw) {
    this.#redraws.add(redraw);
  }

  #redrawAll() {
    for (const redraw of this.#redraws) this.schedule(redraw);
  }

  moved(route) {
    if (route.query.get('range') !== this.route.query.get('range')) this.#redrawAll();
    this.route = route;
    for (const listener of this.#routed) listener(route);
  }

  leave() {
    this.#pending.clear();
    for (const end of this.#ends.splice(0)) end();
  }

  #run() {
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const redraw of pending) redraw();
  }
}

const due = new Set();

/** Call before the next paint. A hidden tab is not painted, but its title and icon are seen. */
function soon(listener) {
  due.add(listener);
  if (document.hidden) setTimeout(runDue);
  else requestAnimationFrame(runDue);
}

function runDue() {
  for (const each of [...due]) {
    due.delete(each);
    each();
  }
}

document.addEventListener('visibilitychange', () => document.hidden && runDue());

// Nothing is drawn between pressing and releasing a button: if it moved away from under the pointer,
// the browser would send no click.

const PRESSED = 'a, button, summary';
const TAP = 50; // ms between the release and the click on touch screens

const waiting = [];
let isPressed = false;
let timer = 0;

/** Call at once; while a button is pressed, after its click. */
function whenReleased(listener) {
  if (isPressed) waiting.push(listener);
  else listener();
}

function press({ target }) {
  clearTimeout(timer);
  isPressed = Boolean(target.closest?.(PRESSED));
  if (!isPressed) release();
}

function release() {
  isPressed = false;
  for (const listener of waiting.splice(0)) listener();
}

addEventListener('pointerdown', press, true);
addEventListener(
  'pointerup',
  () => {
    timer = setTimeout(release, TAP);
  },
  true,
);
addEventListener('pointercancel', release, true);
addEventListener('contextmenu', release, true); // no release follows where the menu opens at once
addEventListener('blur', release);
