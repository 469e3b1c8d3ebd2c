// What was spent against the budget, on what, for how many tokens, and how full the windows are.

import { h } from '../core/dom.js';
import { contextWindow, cost, slice, status, triggers } from '../core/store.js';
import {
  compact,
  count,
  date,
  duration,
  isRunning,
  moment,
  money,
  NONE,
  percent,
  RATE_OVER,
  spend,
  time,
  words,
} from '../core/words.js';
import { meanwhilePanel } from '../extra/meanwhile.js';
import { ranges } from '../extra/range.js';
import { thresholds, windows } from '../extra/windows.js';
import { startOfDay } from '../extra/zone.js';
import { ago, empty, panel, pill, shares, table } from '../ui/elements.js';
import { chartWithin, iterationPage, spendChart, timesOf } from '../ui/series.js';

const budget = slice('api/budget', { channels: ['cost'], every: 10 });
const CENT = 0.01;
const DAY = 86_400_000;
const MOST_DAYS = 400; // between which days without an iteration are shown
const LEAST_ERROR = 0.02; // of a forecast; less is not worth saying
const pricing = slice('api/pricing', { every: 300 });

export function view(ctx) {
  let isCacheShown = false;
  const tokens = panel(ctx, {
    title: 'Tokens in each iteration',
    from: { cost },
    also: { contextWindow },
    lines: 10,
    show: (data) => showTokens(data, isCacheShown),
    tools: (data) =>
      data.contextWindow?.per_iteration.length > 0 &&
      h(
        'button.chip',
        {
          type: 'button',
          'aria-pressed': String(isCacheShown),
          onclick: () => {
            isCacheShown = !isCacheShown;
            tokens.redraw();
          },
        },
        'Cached tokens',
      ),
  });
  return [
    h('div.head', h('h1', 'Cost and context'), ranges(ctx)),
    h(
      'div.grid',
      h(
        'div.stack.w8',
        panel(ctx, {
          title: 'Budget burn',
          from: { cost },
          also: { budget, status, triggers },
          lines: 14,
          tools: showShare,
          show: showBurn,
        }),
        tokens,
        panel(ctx, { title: 'By day', from: { cost }, lines: 10, show: (data) => showDays(data.cost) }),
      ),
      h(
        'div.stack.w4.pairs',
        panel(ctx, {
          title: 'By phase',
          from: { cost },
          show: (data) => showParts(data.cost, data.cost.by_phase, words),
        }),
        panel(ctx, {
          title: 'By model',
          from: { cost },
          also: { pricing },
          show: (data) =>
            showParts(data.cost, data.cost.by_model, (name) => data.pricing?.models[name]?.label ?? name, true),
        }),
        panel(ctx, {
          title: 'Context windows',
          from: { contextWindow },
          also: { triggers },
          tools: ({ contextWindow: { updated_at: at } }) => at && h('span.quiet', ago(at)),
          show: windows,
        }),
        panel(ctx, { title: 'What fills it', from: { contextWindow }, show: showContents }),
      ),
      panel(ctx, {
        title: 'Prices',
        from: { pricing },
        also: { cost },
        tools: ({ pricing: { updated } }) => h('span.quiet', updated ? `as of ${updated}` : NONE),
        show: showPrices,
      }),
      meanwhilePanel(ctx),
    ),
  ];
}

function showShare({ cost: spent, budget: known }) {
  const { share, tone } = spend(spent);
  if (known?.budget_exceeded)
    return pill(known.exceeded_at ? `exceeded at ${time(known.exceeded_at)}` : 'exceeded', 'bad');
  return share !== null && pill(`${percent(Math.round(share))} used`, tone);
}

function showBurn({ cost: spent, status: state, triggers: known }) {
  const { used, limit, left, rate, secondsLeft } = spend(spent);
  const isOn = isRunning(state);
  const lines = limit ? thresholds(known, 'budget').filter((at) => at < 100) : [];
  const isUsedUp = left !== null && left <= 0;
  const lasts = isUsedUp ? 'Reached' : isOn && secondsLeft !== null ? `In ${duration(secondsLeft)}` : NONE;
  return [
    h(
      'dl.figures',
      [
        ['Spent', money(used), limit === null ? 'no budget is set' : `of ${money(limit)}`],
        ...(limit === null
          ? []
          : [
              [
                'Left',
                money(left === null ? null : Math.max(0, left)),
                lines.length ? `alerts at ${lines.map(percent).join(' and ')}` : 'no alert is set',
              ],
            ]),
        [
          'Rate',
          rate === null ? NONE : `${money(rate)} an hour`,
          rate === null ? 'needs two iterations' : isOn ? 'of the last iterations' : 'when it last ran',
        ],
        ...(limit === null
          ? []
          : [
              [
                'Limit reached',
                lasts,
                isUsedUp
                  ? 'nothing is left'
                  : !isOn
                    ? 'nothing is running'
                    : secondsLeft === null
                      ? 'not known yet'
                      : `at this rate${between(spent, secondsLeft)}`,
              ],
            ]),
        ['Tokens', `${compact(spent.total_input_tokens)} in`, `${compact(spent.total_output_tokens)} out`],
      ].map(([name, value, note]) =>
        h('div', { key: name }, h('dt', name), h('dd', h('b', value), h('small.quiet', note))),
      ),
    ),
    spent.by_iteration?.length
      ? chartWithin(spent.by_iteration, (points) => ({
          ...spendChart(spent, state, points),
          warnings: lines.map((at) => ({ value: (limit * at) / 100, label: `Alert at ${percent(at)}` })),
        }))
      : empty('Nothing was spent yet', 'The cost of each iteration appears when it ends.'),
  ];
}

/** How much sooner or later the limit may be reached: twice the standard error of the cost of the last iterations. */
function between({ by_iteration: all }, seconds) {
  const costs = all
    .slice(1)
    .slice(1 - RATE_OVER)
    .map((each) => each.cost_usd);
  const mean = costs.reduce((sum, each) => sum + each, 0) / costs.length;
  const variance = costs.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (costs.length - 1);
  const error = (2 * Math.sqrt(variance / costs.length)) / mean;
  if (!(error > LEAST_ERROR)) return ''; // also NaN: fewer than two iterations, or no cost
  const first = duration(seconds / (1 + error));
  return error < 1 ? `; ${first} to ${duration(seconds / (1 - error))}` : `; ${first} or more`;
}

function showDays({ by_iteration: all = [] }) {
  const timed = all.filter(({ timestamp }) => moment(timestamp) !== null);
  return timed.length
    ? chartWithin(timed, daysChart)
    : empty('Nothing was spent yet', 'Each day with an iteration appears here.');
}

/**
 * What was spent on each day of the page's zone, from the first to the last.
 *
 * @returns {import('../ui/series.js').ChartProps}
 */
function daysChart(points) {
  const spent = points.map((each) => ({ ...each, at: moment(each.timestamp) })).sort((a, b) => a.at - b.at);
  const days = new Map();
  const [from, to] = [spent[0].at, spent.at(-1).at];
  // half days: a day of 23 hours is not left out
  if (to - from < MOST_DAYS * DAY) for (let at = from; at < to; at += DAY / 2) days.set(startOfDay(at), null);
  for (const { at, cost_usd: usd } of spent) days.set(startOfDay(at), (days.get(startOfDay(at)) ?? 0) + usd);
  const begun = [...days.keys()];
  return {
    label: 'Spent each day',
    axis: 'Day',
    labels: begun.map(date),
    edges: [...begun, startOfDay(begun[begun.length - 1] + 1.5 * DAY)],
    format: money,
    height: 150,
    series: [{ name: 'spent', kind: 'bar', tone: 't2', join: 'sum', values: [...days.values()] }],
  };
}

function showParts(spent, parts, nameOf, areModels = false) {
  const known = Object.entries(parts).sort(([, a], [, b]) => b.cost_usd - a.cost_usd);
  const unknown = spent.unknown_models ?? [];
  const rest = spend(spent).used - known.reduce((sum, [, { cost_usd: usd }]) => sum + usd, 0);
  if (!known.length) return empty('Nothing was spent yet', 'The spend is divided when the first iteration has ended.');
  return [
    shares(
      [
        ...known.map(([name, use]) => ({
          label: nameOf(name),
          value: use.cost_usd,
          note: `${compact(use.input_tokens)} in, ${compact(use.output_tokens)} out`,
        })),
        ...(rest >= CENT ? [{ label: 'Not told apart', value: rest, tone: 'tquiet' }] : []),
      ],
      money,
    ),
    areModels &&
      unknown.length > 0 &&
      h('p.small.warn', `No price is known for ${unknown.join(', ')}; counted as ${spent.unknown_models_priced_as}.`),
  ];
}

function showTokens({ cost: spent, contextWindow: known }, isCacheShown) {
  const merged = new Map();
  for (const each of [...(known?.per_iteration ?? []), ...(spent.by_iteration ?? [])])
    merged.set(each.iteration, { ...merged.get(each.iteration), ...each });
  const all = [...merged.values()].sort((a, b) => a.iteration - b.iteration);
  if (!all.length) return empty('No tokens yet', 'They are counted when an iteration ends.');
  return chartWithin(all, (points) => tokensChart(points, known, isCacheShown));
}

/** @returns {import('../ui/series.js').ChartProps} */
function tokensChart(points, known, isCacheShown) {
  const series = (name, key, kind, tone) => ({ name, kind, tone, values: points.map((point) => point[key]) });
  return {
    label: 'Tokens in each iteration',
    axis: 'Iteration',
    href: iterationPage,
    format: compact,
    height: 190,
    labels: points.map(({ iteration }) => iteration),
    times: timesOf(points),
    series: [
      series('input', 'input_tokens', 'bar', 't1'),
      series('output', 'output_tokens', 'line', 't2'),
      ...(isCacheShown
        ? [
            series('read from cache', 'cache_read_tokens', 'line', 't3'),
            series('written to cache', 'cache_creation_tokens', 'line', 't4'),
          ]
        : []),
    ],
    marks: points.flatMap(({ iteration, compacted }, at) => {
      const found = (known?.compactions ?? []).filter((each) => each.at_iteration === iteration);
      if (!found.length && !compacted) return [];
      const before = Math.max(0, ...found.map((each) => each.tokens_before));
      const times = found.length > 1 ? ` ${found.length} times` : '';
      const size = before ? ` at ${compact(before)} tokens` : '';
      return {
        at,
        shape: 'alert',
        tone: 'tquiet',
        label: `compacted${times}${size}`,
      };
    }),
  };
}

function showContents({
  contextWindow: { breakdown, total_used: used, total_capacity: capacity, usage_percent: share, totals },
}) {
  if (!used) return empty('The window is empty', 'What fills it is told when an iteration has ended.');
  const parts = Object.entries(breakdown).map(([name, value]) => ({ label: words(name), value }));
  const rest = used - parts.reduce((sum, { value }) => sum + value, 0);
  return [
    shares(rest > 0 ? [...parts, { label: 'Not told apart', value: rest, tone: 'tquiet' }] : parts, compact),
    h(
      'p.small.quiet',
      `${percent(share)} of ${compact(capacity)} tokens. `,
      totals && `${count(totals.compaction_count, 'compaction')} in ${count(totals.iterations_tracked, 'iteration')}.`,
    ),
  ];
}

function showPrices({ pricing: { models, provider, source }, cost: spent }) {
  const rows = Object.entries(models).map(([key, price]) => ({ key, ...price, spent: spent?.by_model[key]?.cost_usd }));
  const column = (label, key, format) => ({
    label,
    class: 'num',
    cell: (row) => format(row[key]),
    sort: (row) => row[key],
  });
  if (!rows.length) return empty('No prices', 'Without them, costs are only those that the session wrote down.');
  return [
    table({
      caption: 'Prices in dollars per million tokens',
      rows,
      key: ({ key }) => key,
      columns: [
        {
          label: 'Model',
          cell: ({ label, key }) => h('span', h('b', label), h('small.quiet.mono', ` ${key}`)),
          sort: ({ label }) => label,
        },
        { label: 'Provider', cell: (row) => row.provider || NONE, sort: (row) => row.provider },
        column('Input', 'input', money),
        column('Output', 'output', money),
        column('Spent here', 'spent', money),
      ],
    }),
    h('p.small.quiet', `Dollars per million tokens. Provider of this session: ${provider || NONE}; prices: ${source}.`),
  ];
}
