// Whatever an object holds, in words: for entries whose writers have fields of their own.

import { h } from '../core/dom.js';
import { dateTime, duration, moment, number, percent, words } from '../core/words.js';

const DEEPEST = 3;
const AT_MOST = 200;
const SECONDS = 1e11; // smaller numbers are no milliseconds
/** @type {[RegExp, (value: any) => any][]} */
const READ_AS = [
  [/(_at|last_used|_accessed|_updated|timestamp)$/, whenOr],
  [/(^|_)seconds$/, (value) => duration(Number(value))],
  [/_ms$/, (value) => `${number(value)} ms`],
  [/(percent|_pct)$/, percent],
  [/(confidence|_rate|_score|efficiency)$/, (value) => (value <= 1 ? percent(value * 100) : number(value))],
];

/** A time, also in seconds since 1970, as Python writes it; else the value itself. */
function whenOr(value) {
  const at = typeof value === 'number' && Math.abs(value) < SECONDS ? value * 1000 : value;
  return moment(at) === null ? String(value) : dateTime(at);
}

const snake = (name) => name.replace(/([a-z\d])([A-Z])/g, '$1_$2').toLowerCase();
const isBlank = (value) => value == null || value === '' || (typeof value === 'object' && !Object.keys(value).length);

/** The name of a field, however it is spelled, in words. */
export const labelOf = (name) =>
  words(
    snake(name)
      .replace(/^context\./, '')
      .replace(/_(seconds|ms|percent|pct)$/, ''),
  );

/**
 * A list of what an object holds, without what is blank, and each name once, however it is spelled.
 *
 * @param {Record<string, any>} entry
 * @param {string[]} [skip] names, in snake case, of what is shown elsewhere
 * @param {Map<string, (value: any) => any>} [as] how to show some, by their names in snake case
 */
export function facts(entry, skip = [], as = new Map(), depth = 0) {
  const named = new Map(Object.entries(entry).map(([name, value]) => [snake(name), value]));
  const shown = [...named].filter(([name, value]) => !skip.includes(name) && !isBlank(value)).slice(0, AT_MOST);
  return (
    shown.length > 0 &&
    h(
      'dl.dl.facts',
      shown.map(([name, value]) => [
        h('dt', { key: `${name}-name` }, labelOf(name)),
        h('dd', { key: name }, as.get(name)?.(value) ?? inWords(value, name, depth)),
      ]),
    )
  );
}

/** A value of any kind. */
export function inWords(value, name = '', depth = 0) {
  if (value == null || value === '') return '–';
  if (typeof value === 'boolean') return value ? 'Yes' : 'No';
  if (typeof value === 'object') {
    if (depth >= DEEPEST) return h('code', JSON.stringify(value));
    return Array.isArray(value)
      ? h(
          'ul',
          value.slice(0, AT_MOST).map((each) => h('li', inWords(each, name, depth + 1))),
        )
      : facts(value, [], new Map(), depth + 1) || '–';
  }
  const [, read] = READ_AS.find(([pattern]) => pattern.test(name)) ?? [];
  if (read && (typeof value === 'number' || read === READ_AS[0][1])) return read(value);
  if (typeof value === 'number') return Math.abs(value) < 1 ? String(Number(value.toPrecision(3))) : number(value);
  return h('span.keep', String(value));
}
