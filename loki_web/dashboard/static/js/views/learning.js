// What the session's signals teach: how many there are, what they say together, and they themselves.

import { address, now, post } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import { slice } from '../core/store.js';
import { link, replace, timeRange } from '../core/views.js';
import { compact, count, dates, duration, number, percent, span, words } from '../core/words.js';
import { inWords } from '../extra/facts.js';
import { stage } from '../extra/stage.js';
import { startOfDay, zoneSwitch } from '../extra/zone.js';
import { actionButton } from '../ui/actions.js';
import { ago, chip, empty, meter, panel, table } from '../ui/elements.js';
import { chart } from '../ui/series.js';
import { signalsPanel } from './learning_signals.js';

const HOUR = 3_600_000;
const MOST_HOURS = 200;
const MOST_DAYS = 400; // older and future ones get their slots, but not what lies between
const LEAST = 12;
const MOST_PERIOD = 9999; // hours that the server counts
const hourly = dates({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const daily = dates({ day: 'numeric', month: 'short' });
const RANGES = { '1h': 'Hour', '6h': '6 hours', '24h': 'Day', '7d': 'Week', '30d': 'Month', '365d': 'Year' };
const latest = slice('api/learning/aggregation', { every: 60 });

/** The time that was dragged on a chart, unless another one was chosen here. */
const draggedTime = (/** @type {Record<string, string>} */ { timeRange: here }) => {
  const shown = timeRange();
  return shown?.isFixed && !here ? shown : null;
};

/** A period up to now that has all of a time: the server knows no other. */
const periodOf = (time) => time && `${Math.min(MOST_PERIOD, Math.max(1, Math.ceil((now() - time.from) / HOUR)))}h`;

export function view(ctx) {
  /** @returns {Record<string, string>} */
  const chosen = () => {
    const given = Object.fromEntries(ctx.route.query);
    return { timeRange: periodOf(draggedTime(given)) ?? (given.range || '7d'), ...given };
  };
  const dragged = () => draggedTime(Object.fromEntries(ctx.route.query));
  const bar = h('div.head');
  const body = stage(ctx);

  const choose = (change) =>
    replace('learning', ctx.route.parts, { ...Object.fromEntries(ctx.route.query), ...change });

  function show() {
    const { timeRange, type, source } = chosen();
    const filter = { timeRange, signalType: type, source };
    body.show(JSON.stringify(filter), (part) => {
      const all = slice(address('api/learning/metrics', { timeRange }));
      const metrics = slice(address('api/learning/metrics', filter));
      const drawBar = () =>
        draw(
          bar,
          h('h1', 'Learning'),
          ranges(timeRange),
          select('Type', 'type', all.data?.signalsByType),
          select('Source', 'source', all.data?.signalsBySource),
        );
      part.redraws(drawBar);
      part.watch(all, drawBar);
      return h(
        'div.grid',
        panel(part, {
          title: 'Trend',
          class: 'w8 tall',
          from: { trends: slice(address('api/learning/trends', filter)), metrics },
          lines: 14,
          show: (data) => showTrend(data, dragged()),
          tools: ({ metrics: { totalSignals, avgConfidence } }) => [
            h(
              'span.quiet',
              `${count(totalSignals, 'signal')}${avgConfidence ? `, ${share(avgConfidence)} sure on average` : ''}`,
            ),
            zoneSwitch(),
          ],
        }),
        h(
          'div.stack.w4',
          parts(part, metrics, 'type', 'signalsByType', 5),
          parts(part, metrics, 'source', 'signalsBySource', 3),
        ),
        lessons(part, metrics),
        signalsPanel(part, filter),
      );
    });
  }

  function toggle(name, value) {
    choose({ [name]: chosen()[name] === value ? '' : value });
    bar.querySelector(`[name=${name}]`).focus();
  }

  const ranges = (current) => {
    const shown = dragged();
    const choice = (label, isOn, range, title = '') => chip(label, isOn, () => choose({ timeRange: range }), title);
    return [
      h(
        'div.tabs',
        { role: 'group', 'aria-label': 'Time range' },
        Object.entries(RANGES).map(([range, label]) => choice(label, !shown && range === current, range)),
        shown && choice(span(shown.from, shown.to), true, '7d', 'Show the last week'),
      ),
      shown && h('span.small.quiet', 'The trend shows this time; all else counts from its beginning until now'),
    ];
  };

  function select(label, name, counts = {}) {
    const current = chosen()[name] ?? '';
    const names = Object.keys(current ? { [current]: 0, ...counts } : counts);
    return h(
      'select.input',
      {
        key: name,
        name,
        'aria-label': label,
        value: current,
        onchange: ({ target }) => choose({ [name]: target.value }),
      },
      h('option', { value: '' }, `Every ${label.toLowerCase()}`),
      names.map((each) => h('option', { key: each, value: each }, `${words(each)} (${number(counts[each] ?? 0)})`)),
    );
  }

  function parts(part, metrics, name, field, lines) {
    return panel(part, {
      title: `By ${name}`,
      lines,
      from: { metrics },
      show: ({ metrics: data }) => {
        const found = Object.entries(data[field]);
        if (!found.length) return h('p.quiet', 'None');
        return h(
          'ul.parts',
          found.map(([each, value]) =>
            h(
              'li',
              { key: each },
              h(
                'button',
                {
                  type: 'button',
                  'data-row': '',
                  'aria-pressed': String(chosen()[name] === each),
                  onclick: () => toggle(name, each),
                },
                words(each),
              ),
              meter((value / data.totalSignals) * 100, words(each), { warn: 101, bad: 101 }),
              h('b.num', number(value)),
            ),
          ),
        );
      },
    });
  }

  ctx.onRoute(show);
  show();
  return [bar, body];
}

const aggregate = (metrics) =>
  actionButton({
    label: 'Aggregate',
    run: () => post('api/learning/aggregate', {}),
    refresh: [latest, metrics],
    done: (made) => `Aggregated: ${listed(({ name }) => made[name].length)}`,
  });

function showTrend({ trends }, dragged) {
  if (!trends.dataPoints.length)
    return empty(
      'No signals in this time',
      'Signals and events are counted here by the hour. Choose a longer time, or another type or source.',
    );
  return h('div.trend', chart(trendChart(trends.dataPoints, dragged)));
}

const share = (value) => percent(value * 100);
const column = (label, name, format = number) => ({
  label,
  class: 'num',
  cell: (row) => format(row[name]),
  sort: (row) => row[name],
});
const subject = (label, name) => ({ label, cell: (row) => h('b', row[name]), sort: (row) => row[name] });
const times = column('Times', 'frequency');
const sure = column('Sure', 'confidence', share);
const LESSONS = [
  {
    title: 'Errors',
    name: 'error_patterns',
    kind: 'errors',
    counts: 'error_patterns',
    said: ['error', 'errors'],
    columns: [subject('Error', 'error_type'), column('Resolved', 'resolution_rate', share), times, sure],
  },
  {
    title: 'Successes',
    name: 'success_patterns',
    kind: 'success',
    counts: 'success_patterns',
    said: ['success', 'successes'],
    columns: [subject('Pattern', 'pattern_name'), column('Takes', 'avg_duration_seconds', duration), times, sure],
  },
  {
    title: 'Preferences',
    name: 'preferences',
    kind: 'preferences',
    counts: 'user_preferences',
    said: ['preference', 'preferences'],
    columns: [
      subject('Preference', 'preference_key'),
      { label: 'Preferred', cell: (row) => inWords(row.preferred_value) },
      times,
      sure,
    ],
  },
  {
    title: 'Tools',
    name: 'tool_efficiencies',
    kind: 'tools',
    counts: 'tool_efficiency',
    said: ['tool', 'tools'],
    columns: [
      subject('Tool', 'tool_name'),
      column('Score', 'efficiency_score', share),
      column('Succeeds', 'success_rate', share),
      column('Takes', 'avg_execution_time_ms', (ms) => duration(ms / 1000)),
      column('Uses', 'usage_count'),
      column('Tokens', 'total_tokens_used', compact),
      sure,
    ],
  },
];

const listed = (value) => LESSONS.map((each) => count(value(each), ...each.said)).join(', ');

/** The four tables, of what is chosen or as they were put together last. */
function lessons(part, metrics) {
  let isStored = false;
  const source = (from) => (isStored ? from.latest : from.metrics.aggregation);
  const tables = LESSONS.map(({ title, name, kind, columns }) =>
    panel(part, {
      title,
      class: 'w6 lesson flows',
      from: { metrics, latest },
      tools: (from) =>
        source(from)[name].length > 0 &&
        h('a', { href: link('learning', kind, Object.fromEntries(part.route.query)) }, 'Single signals'),
      show: (from) =>
        source(from)[name].length
          ? table({ caption: title, columns, rows: source(from)[name], key: columns[0].sort })
          : h('p.quiet', isStored ? 'None when it was put together' : 'None in this time'),
    }),
  );
  const choice = (label, value) =>
    chip(label, isStored === value, () => {
      isStored = value;
      for (const each of [bar, ...tables]) each.redraw();
    });
  const bar = panel(part, {
    title: 'What they say together',
    class: 'flows',
    from: { latest },
    lines: 1,
    tools: () => aggregate(metrics),
    show: ({ latest: { aggregated_at: at, signal_counts: counts } }) =>
      h(
        'div.row',
        choice('What is chosen above', false),
        choice('The latest aggregation', true),
        h(
          'span.quiet',
          at ? ['Aggregated ', ago(at)] : 'Never aggregated',
          ` · signals: ${listed((each) => counts[each.counts])}`,
        ),
      ),
  });
  return [bar, ...tables];
}

/**
 * By the hour from the first one to now, or in the time that was dragged; by the day where that is long.
 *
 * @returns {import('../ui/series.js').ChartProps}
 */
function trendChart(points, dragged) {
  const counted = points.map(({ label, count }) => [Date.parse(`${label}:00Z`), count]).filter(([at]) => at > 0);
  const { from, to } = dragged ?? { from: counted[0][0], to: now() };
  const isHourly = (to - from) / HOUR <= MOST_HOURS;
  const start = isHourly ? (at) => Math.floor(at / HOUR) * HOUR : startOfDay;
  const next = (at) => start(at + HOUR * (isHourly ? 1.5 : 36));
  const slots = new Map();
  const least = now() - (LEAST - 1) * HOUR * (isHourly ? 1 : 24);
  const first = dragged ? from : Math.max(now() - MOST_DAYS * 24 * HOUR, Math.min(from, least));
  for (let at = start(first); at < to; at = next(at)) slots.set(at, 0);
  for (const [at, count] of counted)
    if (!dragged || slots.has(start(at))) slots.set(start(at), (slots.get(start(at)) ?? 0) + count);
  const times = [...slots.keys()].sort((a, b) => a - b);
  return {
    height: 300,
    label: `Signals by the ${isHourly ? 'hour' : 'day'}`,
    axis: isHourly ? 'Hour from' : 'Day',
    format: number,
    labels: times.map((at) => (isHourly ? hourly : daily).format(at)),
    edges: [...times, next(times[times.length - 1])],
    series: [{ name: 'signals', kind: 'bar', tone: 't1', join: 'sum', values: times.map((at) => slots.get(at)) }],
  };
}
