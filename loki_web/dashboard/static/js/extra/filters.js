// Filters of a list: a text and facets, all of them in the address, and named combinations (saved views).

import { keptCell } from '../core/api.js';
import { draw, h, icon } from '../core/dom.js';
import { link, replace } from '../core/views.js';
import { isolated, words } from '../core/words.js';
import { toast } from '../ui/elements.js';
import { askFor } from './form.js';
import { matches, searchField } from './search.js';

const NOTHING = '-'; // the value of a facet that an item does not have

/**
 * @typedef {object} Facet
 * @property {string} name in the address
 * @property {string} label
 * @property {(item: any) => string | null | undefined} of
 * @property {string[]} [order] of the values; else they are sorted
 * @property {(value: string) => string} [word]
 */

/**
 * The filters of the list of a view. `fit` returns the items that fit, and draws the filters with their values.
 *
 * @param {import('../core/views.js').ViewContext} ctx
 * @param {object} how
 * @param {string} how.label for screen readers
 * @param {string} how.placeholder
 * @param {(item: any) => string} how.text in which words are looked for
 * @param {Facet[]} how.facets
 */
export function filters(ctx, { label, placeholder, text, facets }) {
  const { view } = ctx.route;
  const saved = savedOf(view);
  const bar = h('div.facets', { role: 'group', 'aria-label': 'Filters' });
  const chips = h('div.tabs.saved', { role: 'group', 'aria-label': 'Saved views' });
  const field = searchField(ctx, { label, placeholder, keep: (words) => set('q', words) });
  /** @type {any[]} */
  let items = [];
  let drawn = '';

  const chosen = (name) => ctx.route.query.get(name) ?? '';
  const isFiltered = () => chosen('q') !== '' || facets.some(({ name }) => chosen(name));

  /** The filters as parameters of a link. */
  const query = () => Object.fromEntries(['q', ...facets.map(({ name }) => name)].map((name) => [name, chosen(name)]));

  function set(name, value) {
    replace(view, ctx.route.parts, { ...query(), [name]: value });
  }

  function fit(all) {
    const choice = JSON.stringify([isFiltered(), facets.map(({ name }) => chosen(name))]);
    if (all !== items || choice !== drawn) {
      // not at each letter that is typed: there can be thousands of options
      items = all;
      drawn = choice;
      redraw();
    }
    const wanted = facets.filter(({ name }) => chosen(name));
    const sought = chosen('q').trim();
    return all.filter(
      (item) =>
        wanted.every(({ name, of }) => (of(item) || NOTHING) === chosen(name)) &&
        (!sought || matches(sought, text(item))),
    );
  }

  function drawFacet(/** @type {Facet} */ { name, label: title, of, order, word = words }) {
    const counts = new Map();
    for (const item of items) counts.set(of(item) || NOTHING, (counts.get(of(item) || NOTHING) ?? 0) + 1);
    if (chosen(name) && !counts.has(chosen(name))) counts.set(chosen(name), 0);
    const rank = (value) => (order ? order.indexOf(value) : 0);
    const values = [...counts.keys()].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true }));
    return h(
      'select.input',
      {
        key: name,
        'aria-label': title,
        class: chosen(name) ? 'chosen' : null,
        value: chosen(name),
        onchange: ({ currentTarget }) => set(name, currentTarget.value),
      },
      h('option', { value: '', key: 'all' }, `${title}: all`),
      values.map((value) =>
        h(
          'option',
          { value, key: `is ${value}` },
          `${value === NOTHING ? `No ${title.toLowerCase()}` : isolated(word(value))} (${counts.get(value)})`,
        ),
      ),
    );
  }

  function redraw() {
    draw(
      bar,
      field,
      facets.map(drawFacet),
      h(
        'button.button.small',
        {
          type: 'button',
          key: 'save',
          title: 'Keep these filters, the layout and the order under a name',
          onclick: save,
        },
        icon('plus'),
        'Save view',
      ),
      isFiltered() && h('a.button.small', { key: 'clear', href: link(view) }, 'Clear filters'),
    );
    drawChips();
  }

  const drawChips = () => draw(chips, parse(saved.value).map(drawSaved));

  function drawSaved({ name, query: kept }) {
    const isCurrent = kept === current();
    return h(
      'span.row',
      { key: name },
      h('a.chip', { href: `#/${view}?${kept}`, 'aria-current': isCurrent ? 'true' : null }, name),
      isCurrent &&
        h(
          'button.button.small.plain',
          { type: 'button', 'aria-label': `Remove the view ${name}`, onclick: () => remove(name) },
          icon('close'),
        ),
    );
  }

  /** The parameters of the address, in an order that does not depend on how they came there. */
  function current() {
    const sorted = new URLSearchParams(ctx.route.query);
    sorted.delete('range'); // not of this view alone
    sorted.sort();
    return sorted.toString();
  }

  function save() {
    askFor({
      title: 'Save this view',
      verb: 'Save view',
      fields: [{ name: 'name', label: 'Name', maxlength: 40, required: true }],
      async run({ name }) {
        const others = parse(saved.value).filter((each) => each.name !== name.trim());
        saved.set(JSON.stringify([...others, { name: name.trim(), query: current() }]));
        toast(`View “${name.trim()}” saved in this browser`);
      },
    });
  }

  function remove(name) {
    saved.set(JSON.stringify(parse(saved.value).filter((each) => each.name !== name)));
  }

  redraw();
  ctx.onRoute(drawChips);
  ctx.watch(saved, drawChips);
  return { bar, chips, fit, query, isFiltered };
}

/** The saved views of a list. */
export const readSaved = (view) => parse(savedOf(view).value);

const savedOf = (view) => keptCell(`views-${view}`, '[]');

/** What is kept in the browser; anything else than a list of views is nothing. */
function parse(text) {
  try {
    const known = JSON.parse(text);
    return Array.isArray(known) ? known.filter((each) => each?.name && typeof each.query === 'string') : [];
  } catch {
    return [];
  }
}
