// A chart's numbers as SVG. Nothing here listens.

import { s } from '../core/dom.js';

export const LEFT = 46;
const RIGHT = 8;
const MARKS = 18;
const AXIS = 20;
const BANDS = 16;

/** Round numbers from zero to at least `most`. */
export function ticks(most, wanted = 4) {
  if (!(most > 0)) return [0, 1];
  const rough = most / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => index * step);
}

/** Where things are: a slot of the same width for each label. */
export function layout({ labels, series, limit, forecast, marks = [], bands = [], height = 210 }, width) {
  const slots = labels.length + (forecast?.steps ?? 0);
  const values = series.flatMap((each) => each.values).filter(Number.isFinite);
  const most = Math.max(0, ...values, limit?.value ?? 0, forecast?.value ?? 0);
  const scale = ticks(most);
  const top = marks.length ? MARKS + 4 : 8;
  const bottom = height - AXIS - (bands.length ? BANDS : 0);
  const slot = Math.max(0, width - LEFT - RIGHT) / Math.max(1, slots);
  return {
    width, height, top, bottom, slot, scale,
    x: (index) => LEFT + slot * (index + 0.5),
    y: (value) => bottom - (value / scale.at(-1)) * (bottom - top),
  };
}

export function plot(props, place) {
  const { series, labels, format, limit, forecast, bands = [], warnings = [] } = props;
  const marks = legible(props.marks ?? [], place);
  return [
    place.scale.map((value) => s('g', s('line.grid-line', { x1: LEFT, x2: place.width - RIGHT, y1: place.y(value), y2: place.y(value) }),
      s('text', { x: LEFT - 8, y: place.y(value) + 4, 'text-anchor': 'end' }, format(value)))),
    s('g', bands.map((band) => drawBand(band, place))),
    marks.map((mark) => s('line.mark-line', { x1: place.x(mark.at), x2: place.x(mark.at), y1: MARKS, y2: place.bottom })),
    series.map((each) => DRAWN[each.kind](each, place)),
    warnings.map((each) => drawLimit(each, place, 'warning')),
    limit && drawLimit(limit, place),
    forecast && drawForecast(forecast, series[0], place),
    marks.map((mark) => drawMark(mark, place)),
    drawLabels(labels, place),
  ];
}

const DRAWN = {
  bar({ values, tone }, { x, y, slot, bottom }) {
    const width = Math.max(1, Math.min(34, slot * 0.72));
    return s('g', values.map((value, index) => Number.isFinite(value) && s('rect.bar', {
      class: `${tone} ${value ? '' : 'idle'}`, x: x(index) - width / 2, width, y: value ? y(value) : bottom - 2, height: value ? Math.max(1, bottom - y(value)) : 2, rx: width > 6 ? 2 : 0,
    })));
  },
  line({ values, tone }, place) {
    return s('g', s('path.line', { class: tone, d: path(values, place) }), values.length === 1 && s('circle.dot', { class: tone, cx: place.x(0), cy: place.y(values[0] ?? 0), r: 3 }));
  },
  area({ values, tone }, place) {
    const line = path(values, place);
    return s('g', line && s('path.area', { class: tone, d: `${line}V${place.bottom}H${place.x(0)}Z` }), DRAWN.line({ values, tone }, place));
  },
};

/** A line through the values; it breaks where one is missing. */
function path(values, { x, y }) {
  let isDown = false;
  return values.map((value, index) => {
    if (!Number.isFinite(value)) {
      isDown = false;
      return '';
    }
    const step = `${isDown ? 'L' : 'M'}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    isDown = true;
    return step;
  }).join('');
}

function drawLimit({ value, label }, { width, y }, kind = '') {
  return s('g', { class: kind }, s('line.limit', { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }), s('text.limit-text', { x: LEFT + 4, y: y(value) - 5 }, label));
}

function drawForecast({ steps, value }, { values, tone }, { x, y }) {
  const last = values.length - 1;
  return last >= 0 && s('path.forecast', { class: tone, d: `M${x(last)} ${y(values[last])}L${x(last + steps)} ${y(value)}` });
}

function drawBand({ from, to, label }, { x, slot, bottom }) {
  const [left, width] = [x(from) - slot / 2, (to - from + 1) * slot];
  return s('g', s('rect.band', { x: left + 1, width: Math.max(0, width - 2), y: bottom + AXIS, height: BANDS - 2, rx: 2 }),
    width > label.length * 7 + 8 && s('text', { x: left + width / 2, y: bottom + AXIS + 11, 'text-anchor': 'middle' }, label));
}

const SHAPES = { next: 'M-1.5 -3.5L2 0L-1.5 3.5', check: 'M-3.5 0L-1 2.8L3.6 -2.8', alert: 'M0 -3.5V1M0 3.6V3.8' };

/** The last mark at each place, as many as do not cover each other; the decisive ones always. */
function legible(marks, { x }) {
  let free = 0;
  return [...new Map(marks.map((mark) => [mark.at, mark])).values()].filter(({ at, shape }) => {
    const isShown = x(at) >= free || shape === 'check';
    if (isShown) free = x(at) + MARKS;
    return isShown;
  });
}

function drawMark({ at, shape, tone }, { x }) {
  return s('g.mark', { class: tone, transform: `translate(${x(at)} 10)` }, s('circle', { r: 7.5 }), s('path', { d: SHAPES[shape] }));
}

function drawLabels(labels, { x, slot, bottom }) {
  const widest = Math.max(1, ...labels.map((label) => String(label).length)) * 7 + 10;
  const every = Math.max(1, Math.ceil(widest / Math.max(slot, 0.01)));
  return s('g', labels.map((label, index) => index % every === 0 && s('text', { x: x(index), y: bottom + 15, 'text-anchor': 'middle' }, label)));
}
