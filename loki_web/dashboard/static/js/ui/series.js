// Charts: what they show, and the two that several views show. How they are drawn is in `chart.js`.

import { h } from '../core/dom.js';
import { link, within } from '../core/views.js';
import { compact, isRunning, moment, money, number, spend, words } from '../core/words.js';
import { empty, NOT_LOADED, toast } from './elements.js';

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {'bar' | 'line' | 'area'} kind
 * @property {(number | null)[]} values
 * @property {string} tone `t1`…`t6`, `tgood`, `twarn`, `tbad`
 * @property {(value: number) => string} [format]
 * @property {'mean' | 'most' | 'last' | 'sum'} [join] what stands for several values where there is no room for
 *   each; the mean if nothing is said
 */

/**
 * @typedef {object} ChartProps
 * @property {string} label what it shows
 * @property {string} axis the meaning of the labels, such as `Iteration`
 * @property {(string | number)[]} labels
 * @property {Series[]} series
 * @property {(value: number) => string} format of the values
 * @property {(value: number) => string} [tick] of the scale, if it is shorter
 * @property {{at: number, shape: 'next' | 'check' | 'alert', tone: string, label: string}[]} [marks] by index
 * @property {{from: number, to: number, label: string}[]} [bands] by index
 * @property {{value: number, label: string} | null} [limit]
 * @property {{value: number, label: string}[]} [warnings] lines below it
 * @property {{steps: number, value: number} | null} [forecast] of the first series
 * @property {number} [height]
 * @property {(label: any) => string} [href] the page of what a label names; a click or Enter opens it
 * @property {(number | null)[]} [times] when each of what the labels name happened, in ms; shown below the labels
 * @property {number[]} [edges] where the time of each label begins, and where the last one ends, if labels are times
 */

const HEIGHT = 210; // pixels
const AROUND = 47; // the key above and the word below

/**
 * A chart with a crosshair (pointer or arrow keys), spoken values, and its numbers as a table. Its code is loaded when
 * the first one comes into view; its place has its height before.
 *
 * @param {ChartProps} props
 */
export function chart({ height = HEIGHT, ...more }) {
  const isDrawn = customElements.get('x-chart');
  const props = { height, ...more };
  const made = h('x-chart', { props, 'aria-busy': isDrawn ? null : 'true', vars: { height: `${height + AROUND}px` } });
  if (!isDrawn) seen.observe(made);
  return made;
}

const seen = new IntersectionObserver(
  (entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    seen.disconnect();
    import('./chart.js').catch(() => toast(NOT_LOADED, { failed: true }));
  },
  { rootMargin: '50%' },
);

/**
 * The chart of the points inside the time range.
 *
 * @param {any[]} points each with a `timestamp`
 * @param {(shown: any[]) => ChartProps} propsOf
 */
export function chartWithin(points, propsOf) {
  const shown = within(points);
  return shown.length ? chart(propsOf(shown)) : empty('Nothing in this time range', 'Choose a longer one.');
}

/** When each point happened, in ms. */
export const timesOf = (points) => points.map(({ timestamp }) => moment(timestamp));

// The two charts that several views show: from API responses to the props of a chart.

const COMPLETE = /** @type {const} */ ({ shape: 'check', tone: 'tgood' });
const CONTINUE = /** @type {const} */ ({ shape: 'next', tone: 'tquiet' });

/** The link to the page of an iteration. */
export const iterationPage = (number) => link('iterations', String(number));

/**
 * Files changed and done signals in each iteration, with the council's verdicts and the phases.
 *
 * @returns {ChartProps}
 */
export function progressChart(points, verdicts = [], iterations = []) {
  const at = new Map(points.map((point, index) => [point.iteration, index]));
  const phases = new Map(iterations.map((each) => [each.iteration, each.phase]));
  const bands = runs(points.map((point) => phases.get(point.iteration)));
  return {
    label: 'Files changed and done signals in each iteration',
    axis: 'Iteration',
    href: iterationPage,
    labels: points.map((point) => point.iteration),
    times: timesOf(points),
    format: compact,
    series: [
      {
        name: 'files changed',
        kind: 'bar',
        tone: 't1',
        values: points.map((point) => point.files_changed),
        format: number,
      },
      {
        name: 'done signals',
        kind: 'line',
        tone: 't3',
        values: points.map((point) => point.done_signals),
        format: number,
      },
    ],
    marks: verdicts
      .filter(({ iteration }) => at.has(iteration))
      .map((verdict) => ({
        at: at.get(verdict.iteration),
        ...(verdict.result === 'complete' ? COMPLETE : CONTINUE),
        label: `council: ${words(verdict.result).toLowerCase()}, ${votes(verdict)}`,
      })),
    bands: bands.length > 1 ? bands : [],
  };
}

const votes = (verdict) => `${verdict.votes_complete} to ${verdict.votes_continue}`;

/** Return a band for each run of equal names. */
function runs(names) {
  const found = [];
  names.forEach((name, index) => {
    const last = found.at(-1);
    if (last && last.name === name) last.to = index;
    else found.push({ name, label: name ? words(name) : '', from: index, to: index });
  });
  return found;
}

/**
 * The spend so far and the budget; if the last iteration is shown, with a forecast at the current rate.
 *
 * @returns {ChartProps}
 */
export function spendChart(cost, status, points = cost.by_iteration) {
  const { limit, left, used } = spend(cost);
  const last = cost.by_iteration.at(-1);
  const before = used - last.cumulative; // what the session has spent besides these iterations
  const recent = cost.by_iteration.slice(-8);
  const step = recent.reduce((sum, each) => sum + each.cost_usd, 0) / recent.length;
  const steps =
    isRunning(status) && points.at(-1) === last && left !== null && left > 0 && step > 0
      ? Math.max(1, Math.min(Math.ceil(left / step), Math.ceil(points.length / 3) + 2))
      : 0;
  return {
    label: 'Spent so far, by iteration',
    axis: 'Iteration',
    href: iterationPage,
    labels: points.map((each) => each.iteration),
    times: timesOf(points),
    format: money,
    tick: (value) => (value >= 10 ? `$${compact(value)}` : money(value)),
    series: [
      {
        name: 'spent',
        kind: 'area',
        tone: 't1',
        join: 'last',
        values: points.map((each) => Math.max(0, before + each.cumulative)),
      },
    ],
    limit: limit === null ? null : { value: limit, label: `Budget ${money(limit)}` },
    forecast: steps ? { steps, value: Math.min(limit, used + steps * step) } : null,
  };
}
