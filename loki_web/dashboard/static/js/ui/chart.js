import { cell } from '../core/api.js';
import { Component, draw, h, s } from '../core/dom.js';
import { link, within } from '../core/views.js';
import { compact, isRunning, money, NONE, number, spend, words } from '../core/words.js';
import { empty, table } from './elements.js';

// Charts: the custom element, the SVG, and the two charts that several views show.

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
 */

/**
 * A chart with a crosshair (pointer or arrow keys), spoken values, and its numbers as a table.
 *
 * @param {ChartProps} props
 */
export const chart = (props) => h('x-chart', { props });

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

/** Where the crosshair of all charts with the same axis stands: the chart that moved it, and the index of its label. */
const crosshair = cell(/** @type {{chart: any, axis: string, label: any} | null} */ (null));

class Chart extends Component {
  /** @type {any} the index of the crosshair; null without one */
  #at = null;
  /** @type {any} of `layout` */
  #place = null;
  /** @type {ReturnType<typeof condense> | null} what is drawn; the table has every value */
  #shown = null;
  #end = () => {};
  /** Where the crosshair stood when a press began. */
  #from = null;
  #key = h('p.chart-key', { 'aria-live': 'polite' });
  #svg = s('svg', { tabindex: 0, role: 'img' });
  #table = h('details', { ontoggle: () => this.#drawTable() });
  #figure = h('figure', this.#svg);
  #resized = new ResizeObserver(() => this.#drawPlot());

  connected() {
    const point = ({ offsetX }) => this.#move(Math.floor((offsetX - this.#place.left) / this.#place.slot));
    this.#svg.onpointermove = point;
    this.#svg.onpointerdown = () => {
      this.#from = this.#at;
    };
    this.#svg.onpointerleave = ({ pointerType }) => pointerType === 'mouse' && this.#move(null);
    this.#svg.onclick = (event) => {
      point(event);
      if (this.#at === this.#from) this.#open(); // the first tap of a finger shows the value
    };
    this.#svg.onblur = () => this.#move(null);
    this.#svg.onkeydown = (event) => this.#press(event);
    draw(this, this.#key, this.#figure, this.#table);
    this.#resized.observe(this.#figure);
    this.#end = crosshair.watch((place) => this.#follow(place));
  }

  disconnected() {
    this.#resized.disconnect();
    this.#end();
    if (crosshair.value?.chart === this) crosshair.set(null);
  }

  /** Stand where the crosshair of another chart stands, if both have the same axis. */
  #follow(place) {
    if (place?.chart === this) return;
    const at = place?.axis === this.props.axis ? indexOf(this.props.labels, place.label) : -1;
    this.#key.setAttribute('aria-live', 'off'); // one chart speaks
    this.#stand(at < 0 ? null : Math.floor(at / (this.#shown?.size ?? 1)));
  }

  update() {
    const { label, href, axis } = this.props;
    const opens = href ? `, Enter opens the ${axis.toLowerCase()}` : '';
    this.#svg.setAttribute('aria-label', `${label}. Arrow keys read it point by point${opens}; a table follows.`);
    this.#svg.classList.toggle('opens', Boolean(href));
    this.#drawPlot();
    this.#drawTable();
  }

  /** Open the page of what the crosshair stands on. */
  #open() {
    const { href } = this.props;
    if (href && this.#at !== null) location.hash = href(this.#shown?.labels[this.#at]);
  }

  #press(event) {
    if (event.key === 'Enter') return this.#open();
    const last = this.#last;
    const at = this.#at ?? last;
    const aim = {
      ArrowLeft: this.#at === null ? last : at - 1,
      ArrowRight: this.#at === null ? last : at + 1,
      Home: 0,
      End: last,
      Escape: null,
    }[/** @type {string} */ (event.key)];
    if (aim === undefined) return undefined;
    event.preventDefault();
    return this.#move(aim);
  }

  get #last() {
    return (this.#shown ?? this.props).labels.length - 1;
  }

  #move(/** @type {number | null} */ at) {
    const last = this.#last;
    const next = at === null || last < 0 ? null : Math.min(last, Math.max(0, at));
    if (next === this.#at) return;
    this.#key.setAttribute('aria-live', 'polite');
    this.#stand(next);
    const { axis } = this.props;
    crosshair.set(next === null ? null : { chart: this, axis, label: this.#shown?.labels[next] });
  }

  #stand(/** @type {number | null} */ at) {
    if (at === this.#at || !this.#place) return;
    this.#at = at;
    this.#drawKey();
    this.#drawCursor();
  }

  #drawPlot() {
    const width = this.#figure.clientWidth;
    if (!width) return;
    this.#shown = condense(this.props, width);
    this.#place = layout(this.#shown, width);
    if (this.#at !== null) this.#at = Math.min(this.#at, this.#last);
    const { height } = this.#place;
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#svg.setAttribute('height', height);
    draw(this.#svg, plot(this.#shown, this.#place), s('g.cursors', { key: 'cursor' }));
    this.#drawKey();
    this.#drawCursor();
  }

  #drawCursor() {
    const group = this.#svg.lastElementChild;
    if (this.#at === null) return draw(group);
    const { x, y, top, bottom } = this.#place;
    const at = x(this.#at);
    return draw(
      group,
      s('line.cursor', { x1: at, x2: at, y1: top, y2: bottom }),
      this.#shown?.series.map(
        ({ values, tone }) =>
          Number.isFinite(values[this.#at]) && s('circle.dot', { class: tone, cx: at, cy: y(values[this.#at]), r: 4 }),
      ),
    );
  }

  #drawKey() {
    const { names, series, axis, format, marks } = this.#shown ?? condense(this.props, Infinity);
    const at = this.#at ?? names.length - 1;
    const here = marks.filter((mark) => mark.at === at);
    draw(
      this.#key,
      h('b', at < 0 ? NONE : `${axis} ${names[at]}`),
      series.map((each) =>
        h('span', { class: each.tone }, h('i.swatch'), each.name, ' ', h('b', read(each, at, format)), each.note),
      ),
      here.map((mark) => h('span', mark.label)),
    );
  }

  #drawTable() {
    const { labels, series, axis, format, label, href, marks = [] } = this.props;
    if (!this.#table.open) return draw(this.#table, h('summary', 'Table'));
    const columns = [
      { label: axis, cell: (index) => (href ? h('a', { href: href(labels[index]) }, labels[index]) : labels[index]) },
      ...series.map((each) => ({
        label: each.name,
        class: 'num',
        cell: (index) => read(each, index, format),
        sort: (index) => each.values[index],
      })),
      ...(marks.length
        ? [
            {
              label: 'Event',
              cell: (index) =>
                marks
                  .filter((mark) => mark.at === index)
                  .map((mark) => mark.label)
                  .join(', ') || NONE,
            },
          ]
        : []),
    ];
    return draw(
      this.#table,
      h('summary', 'Table'),
      h(
        'div.scroll',
        { tabindex: 0, role: 'region', 'aria-label': `${label}: table` },
        table({ caption: label, isPassing: true, columns, rows: labels.map((_, index) => index), key: String }),
      ),
    );
  }
}

/** The index of a label, or of the last one before it where labels are numbers. */
function indexOf(labels, label) {
  const at = labels.indexOf(label);
  return at < 0 && typeof label === 'number' ? labels.findLastIndex((each) => each < label) : at;
}

const read = (/** @type {any} */ { values, format: own }, at, format) =>
  Number.isFinite(values[at]) ? (own ?? format)(values[at]) : NONE;

customElements.define('x-chart', Chart);

// Draw a chart as SVG, without event listeners.

const LETTER = 7; // pixels
const RIGHT = 8;
const MARKS = 18;
const AXIS = 20;
const BANDS = 16;
const LEAST_BAND = 16;

/** Round numbers from zero to at least `most`. */
function ticks(most, wanted = 4) {
  if (!(most > 0)) return [0, 1];
  const rough = most / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factors = power < 1 ? [1, 2, 5] : [1, 2, 2.5, 5]; // 0.25 would read as 0.3
  const step = power * (factors.find((factor) => factor * power >= rough * 0.999) ?? 10);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => index * step);
}

const LEAST_SLOT = { bar: 6, line: 3, area: 2 }; // pixels
const SIZES = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000];
const JOINED = {
  mean: { note: ' on average', of: (values) => values.reduce((sum, value) => sum + value, 0) / values.length },
  most: { note: ' at most', of: (values) => Math.max(...values) },
  last: { note: '', of: (values) => values.at(-1) },
  sum: { note: '', of: (values) => values.reduce((sum, value) => sum + value, 0) },
};

/** As many values as the width has room for: neighbors are joined, so that ten thousand read as well as ten. */
function condense(/** @type {ChartProps} */ props, width) {
  const { labels, series, marks = [], bands = [], forecast } = props;
  const slots = labels.length + (forecast?.steps ?? 0);
  const room = (width - 60) / Math.max(...series.map(({ kind }) => LEAST_SLOT[kind]));
  const size = SIZES.find((each) => slots / each <= room) ?? Math.ceil(slots / Math.max(1, room));
  const group = (list) =>
    Array.from({ length: Math.ceil(list.length / size) }, (_, at) => list.slice(at * size, (at + 1) * size));
  const at = (index) => Math.floor(index / size);
  return {
    ...props,
    size,
    labels: group(labels).map((each) => each[0]),
    names: group(labels).map((each) => (each.length > 1 ? `${each[0]} to ${each.at(-1)}` : each[0])),
    series: series.map((each) => {
      const { note, of } = JOINED[each.join ?? 'mean'];
      const joined = (values) => {
        const known = values.filter(Number.isFinite);
        return known.length ? of(known) : null;
      };
      return { ...each, note: size > 1 ? note : '', values: group(each.values).map(joined) };
    }),
    marks: marks.map((mark) => ({ ...mark, at: at(mark.at) })),
    bands: bands.map((band) => ({ ...band, from: at(band.from), to: at(band.to) })),
    forecast: forecast && { ...forecast, steps: Math.max(1, Math.round(forecast.steps / size)) },
  };
}

/** Where things are: a slot of the same width for each label. */
function layout(/** @type {ReturnType<typeof condense>} */ props, width) {
  const { labels, series, limit, forecast, marks, bands, format, tick = format, height = 210 } = props;
  const slots = labels.length + (forecast?.steps ?? 0);
  const values = series.flatMap((each) => each.values).filter((value) => typeof value === 'number');
  const most = Math.max(0, ...values, limit?.value ?? 0, forecast?.value ?? 0);
  const scale = ticks(most);
  const left = Math.max(30, ...scale.map((value) => tick(value).length * LETTER + 12));
  const top = marks.length ? MARKS + 4 : 8;
  const bottom = height - AXIS - (bands.length ? BANDS : 0);
  const slot = Math.max(0, width - left - RIGHT) / Math.max(1, slots);
  return {
    left,
    width,
    height,
    top,
    bottom,
    slot,
    scale,
    x: (index) => left + slot * (index + 0.5),
    y: (value) => bottom - (value / scale[scale.length - 1]) * (bottom - top),
  };
}

function plot(props, place) {
  const { series, labels, format, tick = format, limit, forecast, warnings = [] } = props;
  const marks = legible(props.marks, place);
  const bands = props.bands.length * LEAST_BAND < place.width ? props.bands : [];
  return [
    place.scale.map((value) =>
      s(
        'g',
        s('line.grid-line', { x1: place.left, x2: place.width - RIGHT, y1: place.y(value), y2: place.y(value) }),
        s('text', { x: place.left - 8, y: place.y(value) + 4, 'text-anchor': 'end' }, tick(value)),
      ),
    ),
    s(
      'g',
      bands.map((band) => drawBand(band, place)),
    ),
    marks.map((mark) =>
      s('line.mark-line', { x1: place.x(mark.at), x2: place.x(mark.at), y1: MARKS, y2: place.bottom }),
    ),
    series.map((each) => DRAWN[each.kind](each, place)),
    warnings.map((each) => drawLimit(each, place, 'warning')),
    limit && drawLimit(limit, place),
    forecast && drawForecast(forecast, series[0], place),
    marks.map((mark) => drawMark(mark, place)),
    drawLabels(labels, place),
  ];
}

const isKnown = Number.isFinite;
const DRAWN = {
  bar({ values, tone }, { x, y, slot, bottom }) {
    const width = Math.max(1, Math.min(34, slot * 0.72));
    return s(
      'g',
      values.map(
        (value, index) =>
          Number.isFinite(value) &&
          s('rect.bar', {
            class: `${tone} ${value ? '' : 'idle'}`,
            x: x(index) - width / 2,
            width,
            y: value ? y(value) : bottom - 2,
            height: value ? Math.max(1, bottom - y(value)) : 2,
            rx: width > 6 ? 2 : 0,
          }),
      ),
    );
  },
  line({ values, tone }, place) {
    return s(
      'g',
      s('path.line', { class: tone, d: path(values, place) }),
      values.map(
        (value, at) =>
          isKnown(value) &&
          !isKnown(values[at - 1]) &&
          !isKnown(values[at + 1]) &&
          s('circle.dot', { class: tone, cx: place.x(at), cy: place.y(value), r: 3 }),
      ),
    );
  },
  area({ values, tone }, place) {
    const line = path(values, place);
    return s(
      'g',
      line && s('path.area', { class: tone, d: `${line}V${place.bottom}H${place.x(0)}Z` }),
      DRAWN.line({ values, tone }, place),
    );
  },
};

/** A line through the values, interrupted at missing ones. */
function path(values, { x, y }) {
  let isDown = false;
  return values
    .map((value, index) => {
      if (!Number.isFinite(value)) {
        isDown = false;
        return '';
      }
      const step = `${isDown ? 'L' : 'M'}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
      isDown = true;
      return step;
    })
    .join('');
}

function drawLimit({ value, label }, { left, width, top, y }, kind = '') {
  const above = y(value) - 5;
  return s(
    'g',
    { class: kind },
    s('line.limit', { x1: left, x2: width - RIGHT, y1: y(value), y2: y(value) }),
    s('text.limit-text', { x: left + 4, y: above > top + 8 ? above : y(value) + 14 }, label),
  );
}

function drawForecast({ steps, value }, { values, tone }, { x, y }) {
  const last = values.length - 1;
  return (
    last >= 0 && s('path.forecast', { class: tone, d: `M${x(last)} ${y(values[last])}L${x(last + steps)} ${y(value)}` })
  );
}

function drawBand({ from, to, label }, { x, slot, bottom }) {
  const [left, width] = [x(from) - slot / 2, (to - from + 1) * slot];
  return s(
    'g',
    s('rect.band', { x: left + 1, width: Math.max(0, width - 2), y: bottom + AXIS, height: BANDS - 2, rx: 2 }),
    width > label.length * 7 + 8 &&
      s('text', { x: left + width / 2, y: bottom + AXIS + 11, 'text-anchor': 'middle' }, label),
  );
}

const SHAPES = { next: 'M-1.5 -3.5L2 0L-1.5 3.5', check: 'M-3.5 0L-1 2.8L3.6 -2.8', alert: 'M0 -3.5V1M0 3.6V3.8' };

/** The last mark at each place, as many as do not cover each other: the decisive ones first. */
function legible(marks, { x }) {
  const shown = [];
  const all = [...new Map(marks.map((mark) => [mark.at, mark])).values()];
  const isDecisive = ({ shape }) => shape === 'check';
  for (const mark of [...all.filter(isDecisive).reverse(), ...all.filter((each) => !isDecisive(each))])
    if (shown.every(({ at }) => Math.abs(x(at) - x(mark.at)) >= MARKS)) shown.push(mark);
  return shown;
}

function drawMark({ at, shape, tone }, { x }) {
  return s(
    'g.mark',
    { class: tone, transform: `translate(${x(at)} 10)` },
    s('circle', { r: 7.5 }),
    s('path', { d: SHAPES[shape] }),
  );
}

/** As many labels as fit beside each other, from the first that does not stand below the scale. */
function drawLabels(labels, { x, slot, bottom, left, width }) {
  const half = (label) => (String(label).length * LETTER) / 2;
  const widest = Math.max(1, ...labels.map(half)) * 2 + 10;
  const every = Math.max(1, Math.ceil(widest / Math.max(slot, 0.01)));
  const first = Math.max(
    0,
    labels.findIndex((label, index) => x(index) - half(label) >= left - 6),
  );
  return s(
    'g',
    labels.map(
      (label, index) =>
        index >= first &&
        (index - first) % every === 0 &&
        (index === first || x(index) + half(label) <= width) &&
        s('text', { x: x(index), y: bottom + 15, 'text-anchor': 'middle' }, label),
    ),
  );
}

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
 * The spend so far and the budget, with a forecast at the current rate.
 *
 * @returns {ChartProps}
 */
export function spendChart(cost, status, points = cost.by_iteration) {
  const { limit, left, used } = spend(cost);
  const before = used - points.at(-1).cumulative; // what the session has spent besides these iterations
  const recent = points.slice(-8);
  const step = recent.reduce((sum, each) => sum + each.cost_usd, 0) / recent.length;
  const steps =
    isRunning(status) && left !== null && left > 0 && step > 0
      ? Math.max(1, Math.min(Math.ceil(left / step), Math.ceil(points.length / 3) + 2))
      : 0;
  return {
    label: 'Spent so far, by iteration',
    axis: 'Iteration',
    href: iterationPage,
    labels: points.map((each) => each.iteration),
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
