// What a view is given: everything it begins ends when the view is left.

import { contact, denied } from './api.js';
import { everySecond } from './clock.js';
import { onMessage, want } from './live.js';
import { whenReleased } from './press.js';

/**
 * Made anew each time a view is entered.
 *
 * @param {import('./router.js').Route} route where the page is; `onRoute` hears of later ones.
 */
export class ViewContext {
  #ends = [];
  #redraws = new Set();
  #pending = new Set();
  #routed = [];

  constructor(route) {
    this.route = route;
    const all = () => { for (const redraw of this.#redraws) this.schedule(redraw); };
    this.onLeave(denied.watch(all));
    let wasLost = contact.value.lost;
    this.onLeave(contact.watch(({ lost }) => {
      if (lost !== wasLost) all();
      wasLost = lost;
    }));
  }

  /** Call when the view is left. */
  onLeave(end) { this.#ends.push(end); }

  /** Follow a slice or a cell. */
  watch(source, watcher) { this.onLeave(source.watch(watcher)); }

  /** Call each second while the tab is seen. */
  everySecond(listener) { this.onLeave(everySecond(listener)); }

  /** Hear the messages of a channel that no slice holds: `listener(type, data)`. */
  hear(channel, listener) {
    this.onLeave(want(channel));
    this.onLeave(onMessage((type, data, from) => from === channel && listener(type, data)));
  }

  /** Hear when the place changes inside the view. */
  onRoute(listener) { this.#routed.push(listener); }

  /** Call before the next paint, however often it is asked for; not while a button is pressed. */
  schedule(redraw) {
    if (this.#pending.has(redraw)) return;
    if (!this.#pending.size) requestAnimationFrame(() => whenReleased(() => this.#run()));
    this.#pending.add(redraw);
  }

  /** As `schedule`, and again whenever what may be done changes. */
  redraws(redraw) { this.#redraws.add(redraw); }

  moved(route) {
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
