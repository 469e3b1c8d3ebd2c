import { h } from '../core/dom.js';
import { ViewContext } from '../core/views.js';

/**
 * A place in a view where one thing after another is shown, each with a context of its own that
 * ends when the next one comes: nothing is read any more for what is no longer there.
 *
 * @param {ViewContext} ctx
 * @param {string} [more] classes
 * @returns {HTMLElement & {show: (name: string, make: (part: ViewContext) => any) => void}} `show` does
 *   nothing while the name stays the same
 */
export function stage(ctx, more) {
  const place = h('div', { class: more });
  let shown = null;
  /** @type {ViewContext | null} */
  let part = null;
  const end = () => part?.leave();
  ctx.onLeave(end);
  ctx.onRoute((route) => part?.moved(route));
  place.show = (name, make) => {
    if (name === shown) return;
    shown = name;
    end();
    part = new ViewContext(ctx.route);
    place.replaceChildren(...[make(part)].flat(Infinity).filter(Boolean));
  };
  return place;
}
