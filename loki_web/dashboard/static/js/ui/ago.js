import { everySecond, now } from '../core/clock.js';
import { h } from '../core/dom.js';
import { NONE, dateTime, duration, moment } from '../core/format.js';

/** How long ago a moment was, going on by itself. */
export const ago = (value, after = ' ago') => ticking('ago', value, after);
/** How long it has been going on since a moment. */
export const since = (value) => ticking('ago', value, '');
/** How long it is until a moment. */
export const until = (value) => ticking('until', value, '');

function ticking(kind, value, after) {
  const at = moment(value);
  if (at === null) return NONE;
  return h('time', { datetime: new Date(at).toISOString(), title: dateTime(at), 'data-tick': kind, 'data-at': at, 'data-after': after }, text(kind, at, after));
}

function text(kind, at, after) {
  const seconds = (kind === 'ago' ? now() - at : at - now()) / 1000;
  if (kind === 'ago' && after && seconds < 1.5) return 'just now';
  return duration(seconds) + after;
}

everySecond(() => {
  for (const element of document.querySelectorAll('time[data-tick]')) {
    const { tick, at, after } = element.dataset;
    const said = text(tick, Number(at), after);
    if (element.firstChild?.data !== said) element.firstChild.data = said;
  }
});
