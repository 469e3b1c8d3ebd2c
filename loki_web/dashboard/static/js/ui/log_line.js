import { h } from '../core/dom.js';
import { time } from '../core/format.js';

const SHORT = { warning: 'warn', critical: 'error' };

/** The class of a level: error, warning or none. */
export const levelClass = (level) => ({ critical: 'error', error: 'error', warn: 'warning', warning: 'warning' }[level] ?? '');

/** A line of the log; `marked` are the places of what was searched for. */
export const logLine = ({ message, level, timestamp }, marked = message) =>
  h('div.log-line', { class: levelClass(level) }, h('span', time(timestamp)), h('span', SHORT[level] ?? level), h('span', marked));
