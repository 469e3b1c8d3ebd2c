import { now } from '../core/api.js';
import { h } from '../core/dom.js';
import { clock, offset } from '../core/words.js';

/** The zone in which the page writes times, as `Europe/Berlin (UTC+1)`. */
export function zone() {
  const short = offset(now());
  if (clock.value === 'utc') return short;
  const { timeZone: name } = Intl.DateTimeFormat().resolvedOptions();
  return !name || name === short ? short : `${name} (${short})`;
}

export const clockLabel = clock.value === 'utc' ? 'Show times in the zone of this browser' : 'Show times in UTC';

/** Write times in UTC, or again in the zone of the browser; those that are shown are written anew. */
export function switchClock() {
  clock.set(clock.value === 'utc' ? '' : 'utc');
  location.reload();
}

/** The zone, and the switch to UTC and back unless that is the same. */
export function zoneSwitch() {
  const name = zone();
  if (name === 'UTC' && clock.value !== 'utc') return h('span.quiet', name);
  const said = `${name}. ${clockLabel}`;
  return h('button.link', { type: 'button', title: clockLabel, 'aria-label': said, onclick: switchClock }, name);
}

/** The beginning of the day of a moment, in the zone of the page. */
export function startOfDay(at) {
  const day = new Date(at);
  return clock.value === 'utc' ? day.setUTCHours(0, 0, 0, 0) : day.setHours(0, 0, 0, 0);
}
