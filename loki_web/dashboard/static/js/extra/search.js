import { h } from '../core/dom.js';
import { replace } from '../core/views.js';

/** Whether a text has every word of a query, in any order, upper or lower case. */
export function matches(query, text) {
  const lower = text.toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => lower.includes(word));
}

/**
 * The field with the words by which a view filters. They are in its address, which the field follows.
 *
 * @param {import('../core/views.js').ViewContext} ctx
 * @param {object} how
 * @param {string} how.label for screen readers
 * @param {string} how.placeholder
 * @param {() => void} [how.redraw] called with each change
 * @param {(words: string) => void} [how.keep] put them into the address
 */
export function searchField(ctx, { label, placeholder, redraw = () => {}, keep }) {
  const known = () => ctx.route.query.get('q') ?? '';
  const put = keep ?? ((q) => replace(ctx.route.view, ctx.route.parts, { q }));
  const field = h('input.input', {
    type: 'search',
    placeholder,
    'aria-label': label,
    'data-search': '',
    value: known(),
    oninput() {
      put(field.value);
      redraw();
    },
  });
  ctx.onRoute(() => {
    if (field.value === known()) return;
    field.value = known();
    redraw();
  });
  return field;
}
