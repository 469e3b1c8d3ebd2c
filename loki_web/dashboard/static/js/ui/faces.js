// The states that anything can be in besides having something to show.

import { token } from '../core/api.js';
import { h, icon, spoken } from '../core/dom.js';
import { words } from '../core/format.js';

/** Bars in the place of what is being loaded. */
export const loading = (lines = 3) =>
  h('div', { 'aria-busy': 'true', key: 'loading' }, spoken('Loading'), Array.from({ length: lines }, () => h('div.bone')));

/** What would be here, and why it is not. */
export const empty = (headline, ...why) => h('div.face', { key: 'empty' }, h('b', headline), why.length ? h('p', why) : null);

/** What could not be loaded, why, and another try. */
export function failed(error, retry) {
  const isToken = error.kind === 'unauthenticated' || (error.kind === 'forbidden' && token.value);
  const headline = { forbidden: 'Not allowed', offline: 'No answer', missing: 'Not found', limited: 'Too many requests' }[error.kind] ?? 'This could not be loaded';
  return h('div.face', { role: 'status', key: 'failed' },
    h('b', icon('warning'), ' ', headline),
    h('p', error.sentence),
    h('div.row',
      h('button.button.small', { type: 'button', onclick: retry }, icon('retry'), 'Retry'),
      isToken && h('button.button.small', { type: 'button', onclick: askForToken }, icon('key'), 'Use another token')));
}

export const askForToken = () => import('../extra/token.js').then(({ open }) => open());

/** A state as a word with a colour; the colour is known from the word where none is given. */
export const pill = (text, tone = TONES[text] ?? '') => h('span.pill', { class: tone }, words(text));

const TONES = {
  running: 'good', alive: 'good', active: 'good', healthy: 'good', approved: 'good', complete: 'good', done: 'good', completed: 'good', success: 'good',
  paused: 'warn', silent: 'warn', warning: 'warn', high: 'warn', stale: 'warn', review: 'accent', in_progress: 'accent',
  failed: 'bad', failure: 'bad', dead: 'bad', error: 'bad', critical: 'bad', missing: 'bad', unhealthy: 'bad', terminated: 'bad', crashed: 'bad',
};

const SEVERITIES = { critical: 'bad', error: 'bad', warning: 'warn', info: 'accent' };

/** The sign of a severity: its own shape and colour, and the word for who cannot see it. */
export const sign = (severity) =>
  h('span', { class: SEVERITIES[severity] ?? 'quiet' }, icon({ bad: 'critical', warn: 'warning' }[SEVERITIES[severity]] ?? 'info'), spoken(`${words(severity)}: `));
