import { draw, h } from '../core/dom.js';
import { failed, loading } from './faces.js';

let ids = 0;

/**
 * A card that shows slices: a face while they load or when they fail, else what `show` makes of
 * their data, drawn again whenever one of them changes.
 *
 * @param {import('../core/view.js').ViewContext} ctx
 * @param {object} how
 * @param {string} how.title
 * @param {Object<string, object>} [how.from] the slices it cannot do without, by a name
 * @param {Object<string, object>} [how.also] those it can: their data may be undefined
 * @param {function(object): *} how.show from `{name: data}` to nodes
 * @param {function(object): *} [how.tools] the same for the right end of the head; gets what is there
 * @param {Node} [how.above] what stands above that at any time, as a form that chooses it
 * @param {string} [how.class] further classes, as `w8` for the width in a `.grid`
 * @param {number} [how.lines] of the skeleton
 * @returns {HTMLElement & {redraw: function(): void}}
 */
export function panel(ctx, { title, from = {}, also = {}, show, tools, above, class: more = '', lines = 3 }) {
  const id = `panel-${++ids}`;
  const head = h('header');
  const body = h('div.card-body');
  const section = h('section.card', { class: more, 'aria-labelledby': id }, head, above, body);

  function redraw() {
    const data = {};
    for (const [name, slice] of [...Object.entries(from), ...Object.entries(also)]) data[name] = slice.data;
    const needed = Object.values(from);
    const broken = needed.filter((slice) => slice.error);
    const retry = () => Promise.all(broken.map((slice) => slice.refresh()));
    const isThere = needed.every((slice) => slice.data !== undefined);
    draw(head, h('h2', { id }, title), h('div.end', tools && isThere && attempt(() => tools(data), () => null),
      isThere && broken.length > 0 && h('button.button.small', { type: 'button', title: broken[0].error.sentence, onclick: retry }, 'Not up to date: retry')));
    if (!isThere) draw(body, broken.length ? failed(broken[0].error, retry) : loading(lines));
    else draw(body, attempt(() => show(data), (error) => failed({ kind: 'failed', sentence: `What the server sent cannot be shown (${error.message})` }, redraw)));
  }

  section.redraw = () => ctx.schedule(redraw);
  ctx.redraws(redraw);
  redraw();
  for (const slice of [...Object.values(from), ...Object.values(also)]) ctx.watch(slice, section.redraw);
  return section;
}

function attempt(make, otherwise) {
  try {
    return make();
  } catch (error) {
    return otherwise(error);
  }
}
