import { now } from '../core/api.js';
import { clock } from '../core/words.js';

/** The zone in which the page writes times, as `Europe/Berlin (UTC+1)`. */
export function zone() {
  if (clock.value === 'utc') return 'UTC';
  const parts = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'shortOffset' }).formatToParts(now());
  const offset = parts.find(({ type }) => type === 'timeZoneName')?.value.replace('GMT', 'UTC');
  const { timeZone: name } = Intl.DateTimeFormat().resolvedOptions();
  return !name || name === offset ? `${offset}` : `${name} (${offset})`;
}
