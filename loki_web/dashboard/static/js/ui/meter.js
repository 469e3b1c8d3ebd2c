import { h, s } from '../core/dom.js';
import { compact, percent } from '../core/format.js';

const TONES = ['t1', 't2', 't3', 't4', 't5', 't6'];

/** How full something is: `meter(84, 'Context of agent-1', {warn: 75, bad: 90})`, of one hundred. */
export function meter(value, label, { warn = 75, bad = 90 } = {}) {
  const share = Math.min(100, Math.max(0, Number(value) || 0));
  const tone = share >= bad ? 'tbad' : share >= warn ? 'twarn' : 't1';
  return h('span.meter', { class: tone, role: 'meter', 'aria-label': label, 'aria-valuenow': Math.round(share), 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuetext': percent(value) }, h('i', { vars: { share: `${share}%` } }));
}

/**
 * The parts of a whole as one bar with a legend.
 *
 * @param {{label: string, value: number, tone?: string, note?: string}[]} parts
 * @param {function(number): string} format
 */
export function shares(parts, format = compact) {
  const toned = parts.map((part, index) => ({ ...part, tone: part.tone ?? TONES[index % TONES.length] }));
  const whole = toned.reduce((sum, { value }) => sum + value, 0);
  return [
    h('div.share', { 'aria-hidden': 'true' }, toned.filter(({ value }) => value > 0).map(({ value, tone }) => h('i', { class: tone, vars: { share: (value / whole) * 100 } }))),
    h('ul.legend', toned.map(({ label, value, tone, note }) => h('li', { key: label }, h('span.swatch', { class: tone }), h('span', label, note && h('small.quiet', ` ${note}`)), h('b', format(value))))),
  ];
}

/** A line the size of a word; what it says has to stand beside it in words. */
export function spark(values, tone = 't1') {
  if (values.length < 2) return null;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const at = (value, index) => `${((index / (values.length - 1)) * 92).toFixed(1)},${(28 - ((value - low) / (high - low || 1)) * 26).toFixed(1)}`;
  return s('svg.spark', { class: tone, viewBox: '0 0 92 30', 'aria-hidden': 'true' }, s('path', { d: `M${values.map(at).join('L')}` }));
}
