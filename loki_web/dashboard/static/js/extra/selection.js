// Selecting entries of a list for an action on all of them.

import { draw, h } from '../core/dom.js';
import { count } from '../core/words.js';

/**
 * @typedef {object} Selection
 * @property {HTMLElement} bar the number of selected entries, and the buttons
 * @property {(entries: any[]) => void} offer the entries that are listed now; call whenever the list is drawn
 * @property {(entry: any, name: string) => HTMLElement} box the checkbox of an entry
 * @property {() => void} clear call after an action
 */

/**
 * The selection of a list whose entries have an `id`. Shift extends it to the checkbox that was used last.
 *
 * @param {object} how
 * @param {string} how.noun of one entry
 * @param {(selected: any[]) => any} how.actions the buttons for the selected entries
 * @param {() => void} how.changed draws the list again
 * @returns {Selection}
 */
export function selection({ noun, actions, changed }) {
  /** @type {Set<string>} */
  const ids = new Set();
  /** @type {any[]} */
  let listed = [];
  let last = '';
  const bar = h('div.row.picks', { role: 'group', 'aria-label': `Selected ${noun}s` });

  function offer(entries) {
    listed = entries;
    const known = new Set(entries.map(({ id }) => id));
    for (const id of ids) if (!known.has(id)) ids.delete(id);
    redraw();
  }

  function redraw() {
    const isAll = listed.length > 0 && ids.size === listed.length;
    draw(
      bar,
      listed.length > 0 &&
        h(
          'label.pick',
          { key: 'all' },
          h('input', {
            type: 'checkbox',
            checked: isAll,
            indeterminate: ids.size > 0 && !isAll,
            onclick: () => select(listed, !isAll),
          }),
          `Select all ${listed.length}`,
        ),
      h('span.quiet', { role: 'status', key: 'status' }, ids.size > 0 && `${count(ids.size, noun)} selected`),
      ids.size > 0 && actions(listed.filter(({ id }) => ids.has(id))),
    );
  }

  function select(entries, isOn) {
    for (const { id } of entries) {
      if (isOn) ids.add(id);
      else ids.delete(id);
    }
    redraw();
    changed();
  }

  function toggle(entry, isRange) {
    const drawn = [.../** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll('[data-pick]'))];
    const at = (id) => drawn.findIndex(({ value }) => value === id);
    const [from, to] = [at(entry.id), isRange ? at(last) : -1].sort((a, b) => a - b);
    const between = new Set(drawn.slice(from, to + 1).map(({ value }) => value));
    select(from < 0 ? [entry] : listed.filter(({ id }) => between.has(id)), !ids.has(entry.id));
    last = entry.id;
  }

  const box = (entry, name) =>
    h(
      'label.pick',
      h('input', {
        type: 'checkbox',
        value: entry.id,
        checked: ids.has(entry.id),
        'data-pick': '',
        'aria-label': `Select ${name}`,
        onclick: ({ shiftKey }) => toggle(entry, shiftKey),
      }),
    );

  /** Clear the selection. The buttons disappear, so the focus moves to the checkbox for all entries. */
  function clear() {
    const isInside = bar.contains(document.activeElement);
    const all = /** @type {HTMLInputElement | null} */ (bar.querySelector('input'));
    select(listed, false);
    if (!all || !isInside) return;
    all.checked = all.indeterminate = false; // `draw` does not change the element with the focus
    all.focus();
  }

  return { bar, offer, box, clear };
}

/**
 * Call a function for each entry, one after the other. If calls fail, throw an error with the number that succeeded.
 *
 * @template T
 * @param {T[]} entries
 * @param {string} noun of one entry
 * @param {(entry: T) => Promise<any>} call
 */
export async function forEach(entries, noun, call) {
  /** @type {any} */
  let failure = null;
  let done = 0;
  for (const entry of entries) {
    try {
      const answer = await call(entry);
      if (answer?.success === false) throw new Error(answer.message);
      done += 1;
    } catch (error) {
      failure = error;
      if (['limited', 'offline', 'unauthenticated', 'forbidden'].includes(failure.kind)) break;
    }
  }
  if (failure)
    throw new Error(`${done} of ${count(entries.length, noun)} done. ${failure.sentence ?? failure.message}`);
}
