// Keys: the palette, `g` and a letter for views, `/` to search, `j` and `k` through rows.

import { keptCell } from '../core/cell.js';
import { go } from '../core/router.js';
import { VIEWS } from '../views.js';

/** `off` where single keys do nothing, for people who speak to their computer. */
export const singleKeys = keptCell('keys', 'on');
const SECOND_KEY = 1500;

let offered = {};
let isAfterG = 0;

export const openPalette = () => import('../extra/palette.js').then(({ open }) => open(offered));
export const openHelp = () => import('../extra/help.js').then(({ open }) => open());

/** @param {object} commands further ones for the palette */
export function listenToKeys(commands) {
  offered = commands;
  addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      openPalette();
    } else if (isPlain(event) && pressed(event.key)) event.preventDefault();
  });
}

function isPlain({ ctrlKey, metaKey, altKey, target, defaultPrevented }) {
  const isTyping = target.closest?.('input, textarea, select, [contenteditable]');
  return !ctrlKey && !metaKey && !altKey && !isTyping && !defaultPrevented && singleKeys.value === 'on' && !document.querySelector('dialog:modal');
}

/** True where the key meant something. */
function pressed(key) {
  const isSecond = Date.now() - isAfterG < SECOND_KEY;
  isAfterG = 0;
  if (isSecond) {
    const found = Object.entries(VIEWS).find(([, view]) => view.key === key);
    if (found) go(found[0]);
    return Boolean(found);
  }
  return KEYS[key]?.() ?? false;
}

const KEYS = {
  g() {
    isAfterG = Date.now();
    return true;
  },
  '?'() {
    openHelp();
    return true;
  },
  '/'() {
    const field = document.querySelector('#main [data-search]');
    if (field) field.focus();
    else openPalette();
    return true;
  },
  j: () => step(1),
  k: () => step(-1),
};

/** To the next thing in the view that opens something. */
function step(by) {
  const all = [...document.querySelectorAll('#main [data-row]')].filter((each) => each.offsetParent);
  const aim = all[all.indexOf(document.activeElement) + by] ?? (document.activeElement.matches('[data-row]') ? null : all[0]);
  aim?.focus();
  aim?.scrollIntoView({ block: 'nearest' });
  return Boolean(all.length);
}
