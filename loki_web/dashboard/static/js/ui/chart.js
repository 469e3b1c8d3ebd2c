// Draws charts: the custom element and the SVG. What they show is in `series.js`.

import { cell } from '../core/api.js';
import { Component, draw, h, s } from '../core/dom.js';
import { chooseTime } from '../core/views.js';
import { dateTime, NONE, offset, shortDate, span, time } from '../core/words.js';
import { onDrag } from './drag.js';
import { table } from './elements.js';

/** @typedef {import('./series.js').ChartProps} ChartProps */

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
  /** @type {number | null} where a selection began that reaches to the crosshair */
  #anchor = null;
  #key = h('p.chart-key', { 'aria-live': 'polite' });
  #svg = s('svg', { tabindex: 0, role: 'img' });
  #table = h('details', { ontoggle: () => this.#drawTable() });
  #figure = h('figure', this.#svg);
  #width = 0; // of the plot, in pixels
  #resized = new ResizeObserver(() => this.#fit());

  constructor() {
    super();
    onDrag(this.#svg, {
      canBegin: () => this.#last >= 0 && hasTimes(this.props),
      move: (from, to) => this.#select(this.#slotAt(from), this.#slotAt(to)),
      end: (isDone) => (isDone ? this.#choose() : this.#select(null, this.#at)),
    });
  }

  connected() {
    this.removeAttribute('aria-busy');
    const svg = this.#svg;
    svg.onpointermove = ({ clientX }) => this.#move(this.#slotAt(clientX));
    svg.onpointerdown = () => {
      this.#from = this.#at;
    };
    svg.onpointerleave = ({ pointerType }) => pointerType === 'mouse' && this.#move(null);
    svg.onclick = ({ clientX }) => {
      this.#move(this.#slotAt(clientX));
      if (this.#at === this.#from) this.#open(); // the first tap of a finger shows the value
    };
    svg.onblur = () => {
      this.#anchor = null;
      this.#move(null);
    };
    svg.onkeydown = (event) => this.#press(event);
    draw(this, this.#key, this.#figure, this.#table);
    this.#width = this.#figure.clientWidth;
    this.#resized.observe(this.#figure);
    this.#end = crosshair.watch((place) => this.#follow(place));
  }

  /** The slot at a place in the window. */
  #slotAt(/** @type {number} */ clientX) {
    const at = Math.floor((clientX - this.#svg.getBoundingClientRect().left - this.#place.left) / this.#place.slot);
    return Math.min(this.#last, Math.max(0, at));
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
    const selects = hasTimes(this.props) ? ' Shift and arrow keys select a time, Enter shows only it;' : '';
    this.#svg.setAttribute(
      'aria-label',
      `${label}. Arrow keys read it point by point${opens};${selects} a table follows.`,
    );
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
    const isSelecting = this.#anchor !== null;
    if (event.key === 'Enter') return isSelecting ? this.#choose() : this.#open();
    const last = this.#last;
    const at = this.#at ?? last;
    const aim = {
      ArrowLeft: this.#at === null ? last : at - 1,
      ArrowRight: this.#at === null ? last : at + 1,
      Home: 0,
      End: last,
      Escape: isSelecting ? at : null,
    }[/** @type {string} */ (event.key)];
    if (aim === undefined) return undefined;
    event.preventDefault();
    const isExtending = event.shiftKey && event.key !== 'Escape' && hasTimes(this.props);
    return this.#select(isExtending ? (this.#anchor ?? at) : null, aim);
  }

  /** Select from a slot to the crosshair, which moves; `null` selects nothing. */
  #select(anchor, at) {
    this.#anchor = anchor;
    this.#move(at);
    this.#drawKey();
    this.#drawCursor();
  }

  /** The first and the last slot of the selection. */
  get #span() {
    return this.#anchor === null || this.#at === null ? null : [this.#anchor, this.#at].sort((a, b) => a - b);
  }

  /** Show only the selected time, in all charts of the page. */
  #choose() {
    const chosen = this.#span;
    const size = this.#shown?.size ?? 1;
    this.#select(null, null);
    const [from, to] = chosen ? timeOf(this.props, chosen[0] * size, (chosen[1] + 1) * size - 1) : [];
    if (from < to) chooseTime(from, to);
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

  /** Draw again if there is more or less room. */
  #fit() {
    const width = this.#figure.clientWidth;
    if (width === this.#width) return;
    this.#width = width;
    this.#drawPlot();
  }

  #drawPlot() {
    const width = this.#width;
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
    const { x, y, top, bottom, slot } = this.#place;
    const at = x(this.#at);
    const chosen = this.#span;
    return draw(
      group,
      chosen &&
        s('rect.selection', {
          x: x(chosen[0]) - slot / 2,
          width: (chosen[1] - chosen[0] + 1) * slot,
          y: top,
          height: bottom - top,
        }),
      s('line.cursor', { x1: at, x2: at, y1: top, y2: bottom }),
      this.#shown?.series.map(
        ({ values, tone }) =>
          Number.isFinite(values[this.#at]) && s('circle.dot', { class: tone, cx: at, cy: y(values[this.#at]), r: 4 }),
      ),
    );
  }

  #drawKey() {
    const { labels, ends, times, series, axis, format, marks } = this.#shown ?? condense(this.props, Infinity);
    const at = this.#at ?? labels.length - 1;
    const here = marks.filter((mark) => mark.at === at);
    const [from, to] = this.#span ?? [at, at];
    const name = labels[from] === ends[to] ? labels[from] : `${labels[from]} to ${ends[to]}`;
    const [begun, ended] = [times[from]?.[0], times[to]?.at(-1)];
    draw(
      this.#key,
      h('b', at < 0 ? NONE : `${axis} ${name}`),
      begun <= ended && h('span', { key: 'when' }, span(begun, ended)),
      this.#span
        ? h('span', 'Enter or letting go shows only this time')
        : series.map((each) =>
            h('span', { class: each.tone }, h('i.swatch'), each.name, ' ', h('b', read(each, at, format)), each.note),
          ),
      !this.#span && here.map((mark) => h('span', mark.label)),
    );
  }

  #drawTable() {
    const { labels, series, axis, format, label, href, times, marks = [] } = this.props;
    if (!this.#table.open) return draw(this.#table, h('summary', 'Table'));
    const columns = [
      { label: axis, cell: (index) => (href ? h('a', { href: href(labels[index]) }, labels[index]) : labels[index]) },
      ...(times ? [{ label: 'When', cell: (index) => drawTime(times[index]), sort: (index) => times[index] }] : []),
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

const isKnown = Number.isFinite;

/** Whether it is known when something of what the labels name happened. */
const hasTimes = ({ times, edges }) => Boolean(edges?.length || times?.some(isKnown));

/** When the labels from one to another happened, with half the way to their neighbors. */
function timeOf({ times = [], edges }, first, last) {
  if (edges) return [edges[first], edges[Math.min(last + 1, edges.length - 1)]];
  const known = times.filter(isKnown);
  const chosen = times.slice(first, last + 1).filter(isKnown);
  const [from, to] = [Math.min(...chosen), Math.max(...chosen)];
  const apart = known.length > 1 ? Math.abs(known[known.length - 1] - known[0]) / (known.length - 1) : 60_000;
  const before = times.slice(0, first).findLast(isKnown) ?? from - apart;
  const after = times.slice(last + 1).find(isKnown) ?? to + apart;
  // another session may have been later: its iterations begin at 1 again
  return [before < from ? (before + from) / 2 : from, after > to ? (to + after) / 2 : to];
}

/** A moment, which is exported with its zone. */
const drawTime = (at) => (isKnown(at) ? h('time', { datetime: new Date(at).toISOString() }, dateTime(at)) : NONE);

const read = (/** @type {any} */ { values, format: own }, at, format) =>
  Number.isFinite(values[at]) ? (own ?? format)(values[at]) : NONE;

// Draw a chart as SVG, without event listeners.

const LETTER = 7; // pixels
const RIGHT = 8;
const MARKS = 18;
const AXIS = 20;
const TIMES = 15;
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
  const { labels, series, times = [], marks = [], bands = [], forecast } = props;
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
    times: group(times).map((each) => each.filter(isKnown)),
    ends: group(labels).map((each) => each.at(-1)),
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
  const { labels, series, limit, forecast, marks, bands, times, format, tick = format, height = 0 } = props;
  const slots = labels.length + (forecast?.steps ?? 0);
  const values = series.flatMap((each) => each.values).filter((value) => typeof value === 'number');
  const most = Math.max(0, ...values, limit?.value ?? 0, forecast?.value ?? 0);
  const scale = ticks(most);
  const [last] = times.findLast(({ length }) => length) ?? [];
  const zone = last === undefined ? '' : offset(last);
  const left = Math.max(30, ...[...scale.map(tick), zone].map((text) => text.length * LETTER + 12));
  const top = marks.length ? MARKS + 4 : 8;
  const axis = AXIS + (zone ? TIMES : 0);
  const bottom = height - axis - (bands.length ? BANDS : 0);
  const slot = Math.max(0, width - left - RIGHT) / Math.max(1, slots);
  return {
    left,
    width,
    height,
    top,
    bottom,
    bandTop: bottom + axis,
    slot,
    scale,
    zone,
    x: (index) => left + slot * (index + 0.5),
    y: (value) => bottom - (value / scale[scale.length - 1]) * (bottom - top),
  };
}

function plot(props, place) {
  const { series, format, tick = format, limit, forecast, warnings = [] } = props;
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
    drawLabels(props, place),
  ];
}

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

function drawBand({ from, to, label }, { x, slot, bandTop }) {
  const [left, width] = [x(from) - slot / 2, (to - from + 1) * slot];
  return s(
    'g',
    s('rect.band', { x: left + 1, width: Math.max(0, width - 2), y: bandTop, height: BANDS - 2, rx: 2 }),
    width > label.length * 7 + 8 && s('text', { x: left + width / 2, y: bandTop + 11, 'text-anchor': 'middle' }, label),
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

/** As many labels as fit beside each other, from the first that does not stand below the scale; below them, when. */
function drawLabels({ labels, times }, { x, slot, bottom, left, width, zone }) {
  const whenOf = clockOf(times);
  const half = (label) => (String(label).length * LETTER) / 2;
  const widest = Math.max(1, ...labels.map(half), half(zone && LONGEST_WHEN)) * 2 + 10;
  const every = Math.max(1, Math.ceil(widest / Math.max(slot, 0.01)));
  const middle = widest / 2 - 5;
  const first = Math.max(
    0,
    labels.findIndex((_, index) => x(index) - middle >= left - (zone ? 0 : 6)),
  );
  const at = { 'text-anchor': 'middle' };
  const y = bottom + (zone ? 14 : 15);
  return s(
    'g',
    zone && s('text', { x: left - 8, y: y + TIMES, 'text-anchor': 'end' }, zone),
    labels.map(
      (label, index) =>
        index >= first &&
        (index - first) % every === 0 &&
        (index === first || x(index) + middle <= width) && [
          s('text', { ...at, x: x(index), y }, label),
          zone && s('text.when', { ...at, x: x(index), y: y + TIMES }, whenOf(times[index]?.[0])),
        ],
    ),
  );
}

const LONGEST_WHEN = '24 Nov';

/** What stands below the labels, one after another: the time, or the date where another day has begun. */
function clockOf(times) {
  const [dayOf, clockTimeOf] = [(at) => shortDate(at).split(',')[0], (at) => time(at).slice(0, 5)];
  const all = times.flat();
  let day = all.length && dayOf(all[0]) === dayOf(all.at(-1)) ? dayOf(all[0]) : '';
  return (at) => {
    if (at === undefined) return '';
    const isSame = dayOf(at) === day;
    day = dayOf(at);
    return isSame ? clockTimeOf(at) : day;
  };
}

customElements.define('x-chart', Chart); // the last statement: it draws those that wait on the page
