// Building blocks of views: states, times, meters, panels, tables, messages.

import { asOf, credential, everySecond, now } from '../core/api.js';
import { byId, Component, draw, h, icon, s, spoken } from '../core/dom.js';
import { keep, route } from '../core/views.js';
import { compact, count, dateTime, duration, lookup, moment, NONE, percent, time, words } from '../core/words.js';

/**
 * Bars in the place of what is being loaded; after a while it says for how long.
 *
 * @param {number} [lines]
 * @param {number} [began] by the clock of this device: the server's is known from the first answer on
 */
export const loading = (lines = 3, began = Date.now()) =>
  h(
    'div.waiting',
    { 'aria-busy': 'true', key: 'loading' },
    spoken('Loading'),
    Array.from({ length: lines }, () => h('div.bone')),
    h('p.small.quiet', ticking('wait', began, '')),
  );

/** An empty state: what is missing, and why. */
export const empty = (headline, ...why) =>
  h('div.face', { key: 'empty' }, h('b', headline), why.length ? h('p', why) : null);

/** An error state: what could not be loaded, why, and a button to retry. */
export function failed(error, retry) {
  const isToken = error.kind === 'unauthenticated' || (error.kind === 'forbidden' && credential.value);
  const headline =
    { forbidden: 'Not allowed', offline: 'No answer', missing: 'Not found', limited: 'Too many requests' }[
      error.kind
    ] ?? 'This could not be loaded';
  return h(
    'div.face',
    { role: 'status', key: 'failed' },
    h('b', icon('warning'), ' ', headline),
    h('p', error.sentence),
    h(
      'div.row',
      h('button.button.small', { type: 'button', onclick: retry }, icon('retry'), 'Retry'),
      isToken && h('button.button.small', { type: 'button', onclick: askForToken }, icon('key'), 'Use another token'),
    ),
  );
}

export const askForToken = () => openLater(() => import('../extra/token.js'));

/** A button that is on or off, in a row of others. */
export const chip = (label, isOn, onclick, title = '') =>
  h('button.chip', { type: 'button', key: label, title: title || null, 'aria-pressed': String(isOn), onclick }, label);

/** A state as a colored word; by default the word determines the color. */
export const pill = (text, tone = TONES[text] ?? '') => h('span.pill', { class: tone }, words(text));

const TONES = lookup({
  running: 'good',
  alive: 'good',
  active: 'good',
  healthy: 'good',
  approved: 'good',
  complete: 'good',
  success: 'good',
  paused: 'warn',
  silent: 'warn',
  warning: 'warn',
  high: 'warn',
  stale: 'warn',
  review: 'accent',
  in_progress: 'accent',
  failed: 'bad',
  failure: 'bad',
  dead: 'bad',
  error: 'bad',
  critical: 'bad',
  missing: 'bad',
  unhealthy: 'bad',
  terminated: 'bad',
  crashed: 'bad',
});

const SEVERITIES = lookup({ critical: 'bad', error: 'bad', warning: 'warn', info: 'accent' });

/** The icon of a severity, with its word for screen readers. */
export const sign = (severity) =>
  h(
    'span',
    { class: SEVERITIES[severity] ?? 'quiet' },
    icon({ bad: 'critical', warn: 'warning' }[SEVERITIES[severity]] ?? 'info'),
    spoken(`${words(severity)}: `),
  );

/** The time since a moment ("3m ago"), updated each second. */
export const ago = (value, after = ' ago') => ticking('ago', value, after);
/** How long it has been going on since a moment, as far as is known. */
export const since = (value) => ticking('since', value, '');
/** How long it is until a moment. */
export const until = (value) => ticking('until', value, '');

const PATIENCE = 2; // seconds without a word
const NO_WORD = '\u00a0'; // keeps the height of the line
const WHY_SO_LONG = 'The first look at a large session takes some seconds.';

function ticking(kind, value, after) {
  const at = moment(value);
  if (at === null) return NONE;
  return h(
    'time',
    {
      datetime: new Date(at).toISOString(),
      title: dateTime(at),
      'data-tick': kind,
      'data-at': at,
      'data-after': after,
    },
    text(kind, at, after),
  );
}

function text(kind, at, after) {
  const seconds = { ago: now() - at, wait: Date.now() - at, since: asOf() - at, until: at - now() }[kind] / 1000;
  if (kind === 'wait') return seconds < PATIENCE ? NO_WORD : `Still reading, for ${duration(seconds)}. ${WHY_SO_LONG}`;
  if (kind === 'ago' && after && seconds < 1.5) return 'just now';
  return duration(seconds) + after;
}

everySecond(() => {
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('time[data-tick]'))) {
    const { tick, at, after } = element.dataset;
    const { firstChild } = element;
    const current = text(tick, Number(at), after);
    if (firstChild && firstChild.nodeValue !== current) firstChild.nodeValue = current;
  }
});

const SHARE_TONES = ['t1', 't2', 't3', 't4', 't5', 't6'];

/** A meter of a percentage: `meter(84, 'Context of agent-1', {warn: 75, bad: 90})`. */
export function meter(value, label, { warn = 75, bad = 90 } = {}) {
  const share = Math.min(100, Math.max(0, Number(value) || 0));
  const tone = share >= bad ? 'tbad' : share >= warn ? 'twarn' : 't1';
  return h(
    'span.meter',
    {
      class: tone,
      role: 'meter',
      'aria-label': label,
      'aria-valuenow': Math.round(share),
      'aria-valuemin': 0,
      'aria-valuemax': 100,
      'aria-valuetext': percent(value),
    },
    h('i', { vars: { share: `${share}%` } }),
  );
}

/**
 * A stacked bar of the parts of a whole, with a legend.
 *
 * @param {{label: string, value: number, tone?: string, note?: string}[]} parts
 * @param {(value: number) => string} format
 */
export function shares(parts, format = compact) {
  const toned = parts.map((part, index) => ({ ...part, tone: part.tone ?? SHARE_TONES[index % SHARE_TONES.length] }));
  const whole = toned.reduce((sum, { value }) => sum + value, 0);
  return [
    h(
      'div.share',
      { 'aria-hidden': 'true' },
      toned
        .filter(({ value }) => value > 0)
        .map(({ value, tone }) => h('i', { class: tone, vars: { share: (value / whole) * 100 } })),
    ),
    h(
      'ul.legend',
      toned.map(({ label, value, tone, note }) =>
        h(
          'li',
          { key: label },
          h('span.swatch', { class: tone }),
          h('span', label, note && h('small.quiet', ` ${note}`)),
          h('b', format(value)),
        ),
      ),
    ),
  ];
}

/** A sparkline. It is decoration: write its message beside it. */
export function spark(values, tone = 't1') {
  if (values.length < 2) return null;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const at = (value, index) =>
    `${((index / (values.length - 1)) * 92).toFixed(1)},${(28 - ((value - low) / (high - low || 1)) * 26).toFixed(1)}`;
  return s(
    'svg.spark',
    { class: tone, viewBox: '0 0 92 30', 'aria-hidden': 'true' },
    s('path', { d: `M${values.map(at).join('L')}` }),
  );
}

const SHORT = lookup({ warning: 'warn', critical: 'error' });
const LEVELS = lookup({ critical: 'error', error: 'error', warn: 'warning', warning: 'warning' });

/** The CSS class of a log level: for errors and warnings, else empty. */
export const levelClass = (level) => LEVELS[level] ?? '';

/**
 * A line of the log; `marked` are the places of what was searched for. A line without a time has that of another.
 *
 * @param {any} line
 * @param {any} [marked]
 * @param {string | null} [href] the link to the line
 */
export const logLine = ({ message, level, timestamp, timestamp_estimated: isGuess }, marked = message, href = null) =>
  h(
    'div.log-line',
    { class: levelClass(level) },
    h(
      href ? 'a' : 'span',
      { href, title: isGuess ? `No time of its own; about ${dateTime(timestamp)}` : dateTime(timestamp) },
      isGuess ? NONE : time(timestamp),
    ),
    h('span', SHORT[level] ?? level),
    h('span', marked),
  );

let ids = 0;

/**
 * A card that shows slices: a skeleton while they load, an error state when they fail, else the nodes
 * that `show` returns. It is drawn again whenever a slice changes.
 *
 * @param {import('../core/views.js').ViewContext} ctx
 * @param {object} how
 * @param {string} how.title
 * @param {Record<string, any>} [how.from] required slices, by name
 * @param {Record<string, any>} [how.also] optional slices: their data may be undefined
 * @param {(data: any) => any} how.show gets `{name: data}`, returns nodes
 * @param {(data: any) => any} [how.tools] the same for the right end of the head; data may be undefined
 * @param {Node} [how.above] a node that is always shown above the data, such as a form with filters
 * @param {string} [how.class] more classes, such as `w8` for the width in a `.grid`
 * @param {number} [how.lines] of the skeleton
 * @returns {HTMLElement & {redraw: () => void}}
 */
export function panel(ctx, { title, from = {}, also = {}, show, tools, above, class: more = '', lines = 3 }) {
  const id = `panel-${++ids}`;
  const began = Date.now();
  const head = h('header');
  const body = h('div.card-body');
  const section = h('section.card', { class: more, 'aria-labelledby': id }, head, above, body);

  function redraw() {
    const data = {};
    for (const [name, slice] of [...Object.entries(from), ...Object.entries(also)]) data[name] = slice.data;
    const needed = Object.values(from);
    const broken = needed.filter((slice) => slice.error);
    const retry = () => Promise.all(broken.map((slice) => slice.refresh()));
    const isThere = needed.every((slice) => slice.data !== undefined);
    draw(
      head,
      h('h2', { id }, title),
      h(
        'div.end',
        tools &&
          isThere &&
          attempt(
            () => tools(data),
            () => null,
          ),
        isThere &&
          broken.length > 0 &&
          h(
            'button.button.small',
            { type: 'button', title: broken[0].error.sentence, onclick: retry },
            'Not up to date: retry',
          ),
      ),
    );
    if (!isThere) draw(body, broken.length ? failed(broken[0].error, retry) : loading(lines, began));
    else
      draw(
        body,
        attempt(
          () => show(data),
          (error) =>
            failed({ kind: 'failed', sentence: `What the server sent cannot be shown (${error.message})` }, redraw),
        ),
      );
  }

  section.redraw = () => ctx.schedule(redraw);
  ctx.redraws(redraw);
  redraw();
  for (const slice of [...Object.values(from), ...Object.values(also)]) ctx.watch(slice, section.redraw);
  return section;
}

function attempt(make, otherwise) {
  try {
    return make();
  } catch (error) {
    return otherwise(error);
  }
}

const NARROW = matchMedia('(max-width: 760px)');
const atOnce = () => (NARROW.matches ? 5 : 100); // rows of a table
const MORE = 20; // rows at least for a click
const LONG = 100; // rows from which a long table draws only those near the screen
const SPARE_ROWS = 20; // drawn above and below the screen

/**
 * A table: sortable where a column says how, which is kept in the address; some rows at a time, cards on a phone.
 *
 * @param {object} props
 * @param {string} props.caption for screen readers
 * @param {boolean} [props.isPassing] whether the order is not kept
 * @param {boolean} [props.isLong] whether all rows can be scrolled through: only those near the screen are drawn, all
 *   of the same height
 * @param {{label: string, cell: (row: any) => any, sort?: (row: any) => any, class?: string}[]} props.columns
 *   `class` may be `num` or `acts`
 * @param {any[]} props.rows
 * @param {(item: any) => string} props.key of a row; rows with equal keys are identified by their order
 */
export const table = (props) => h('x-table', { props });

class Table extends Component {
  #order = ''; // a label, after a minus if it is descending
  #shown = atOnce();
  #end = () => {};
  /** @type {any[]} */
  #sortedRows = [];
  #first = 0;
  #height = 30; // of a row
  #frame = 0;
  #scrolled = () => {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#isVirtual && Math.abs(this.#window()[0] - this.#first) > SPARE_ROWS / 2) this.#draw();
    });
  };

  connected() {
    addEventListener('scroll', this.#scrolled, { passive: true });
    this.#end = route.watch(({ query }) => {
      const order = query.get(this.#name) ?? '';
      if (this.props.isPassing || order === this.#order) return;
      this.#order = order;
      this.update();
    });
  }

  disconnected() {
    this.#end();
    removeEventListener('scroll', this.#scrolled);
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  get #isVirtual() {
    return Boolean(this.props.isLong) && this.#sortedRows.length > LONG;
  }

  /** The indices of the rows that are drawn. */
  #window() {
    const { length } = this.#sortedRows;
    if (!this.#isVirtual) return [0, this.props.isLong ? length : Math.min(length, this.#shown)];
    const top = this.querySelector('tbody')?.getBoundingClientRect().top ?? 0;
    const fitting = Math.ceil(innerHeight / this.#height) + 2 * SPARE_ROWS;
    const first = Math.max(0, Math.min(length - fitting, Math.floor(-top / this.#height) - SPARE_ROWS));
    return [first, Math.min(length, first + fitting)];
  }

  get #name() {
    return `sort.${this.props.caption.toLowerCase().replaceAll(' ', '-')}`;
  }

  get #isDown() {
    return this.#order.startsWith('-');
  }

  update() {
    const { columns, rows } = this.props;
    this.#sortedRows = this.#sorted(rows, columns.find(({ label }) => label && label === this.#label)?.sort);
    this.#draw();
  }

  #draw() {
    const { caption, columns, rows, key } = this.props;
    const sorted = this.#sortedRows;
    const isVirtual = this.#isVirtual;
    const [first, end] = this.#window();
    const room = (name, count) =>
      isVirtual &&
      count > 0 &&
      h('tr.room', { key: name, 'aria-hidden': 'true', vars: { room: `${count * this.#height}px` } }, h('td'));
    this.#first = first;
    draw(
      this,
      h(
        'table.stacks',
        { class: isVirtual ? 'long' : null, 'aria-rowcount': isVirtual ? sorted.length + 1 : null },
        h('caption.spoken', caption),
        h(
          'thead',
          h(
            'tr',
            columns.map((column) => this.#head(column)),
          ),
        ),
        h(
          'tbody',
          room('above', first),
          sorted.slice(first, end).map((row, index) =>
            h(
              'tr',
              { key: `row ${key(row)}`, 'aria-rowindex': isVirtual ? first + index + 2 : null },
              columns.map(({ cell, label, class: more }) =>
                h('td', { key: label, class: more, 'data-label': label }, cell(row)),
              ),
            ),
          ),
          room('below', sorted.length - end),
        ),
      ),
      sorted.length > end &&
        !isVirtual &&
        h(
          'p.row',
          h('button.button.small', { type: 'button', onclick: () => this.#more() }, 'Show more'),
          h('span.quiet', `${this.#shown} of ${count(sorted.length, 'row')}`),
        ),
      rows.length > 0 &&
        h(
          'div.export',
          { role: 'group', 'aria-label': `Export ${caption}`, key: 'export' },
          ['csv', 'json'].map((kind) =>
            h(
              'button.link',
              { type: 'button', onclick: () => openLater(() => import('../extra/save.js'), kind, this.props, sorted) },
              kind.toUpperCase(),
            ),
          ),
        ),
    );
    if (isVirtual) this.#measure();
  }

  /** Draw again if rows are of another height than was thought. */
  #measure() {
    const height = this.querySelector('tbody tr:not(.room)')?.getBoundingClientRect().height;
    if (!height || Math.abs(height - this.#height) < 0.5) return;
    this.#height = height;
    this.#draw();
  }

  get #label() {
    return this.#order.replace(/^-/, '');
  }

  #head({ label, sort, class: more }) {
    if (!sort) return h('th', { key: label, scope: 'col', class: more }, label || h('span.spoken', 'Actions'));
    const order = this.#label !== label ? 'none' : this.#isDown ? 'descending' : 'ascending';
    return h(
      'th',
      { key: label, scope: 'col', class: more, 'aria-sort': order },
      h('button', { type: 'button', onclick: () => this.#sort(label) }, label),
    );
  }

  #sort(label) {
    this.#order = this.#order === label ? `-${label}` : label;
    if (!this.props.isPassing) keep(this.#name, this.#order);
    this.update();
  }

  #more() {
    this.#shown += Math.max(atOnce(), MORE);
    this.update();
  }

  #sorted(rows, value) {
    if (!value) return rows;
    const sign = this.#isDown ? -1 : 1;
    return rows
      .map((row) => [value(row), row])
      .sort(([a], [b]) => (isMissing(a) || isMissing(b) ? isMissing(a) - isMissing(b) : sign * compare(a, b)))
      .map(([, row]) => row);
  }
}

const collator = new Intl.Collator('en', { numeric: true }); // each localeCompare would make one

/** 1 for what stands last in either order, else 0. */
const isMissing = (value) => Number(value == null || Number.isNaN(value));

function compare(a, b) {
  return typeof a === 'number' && typeof b === 'number' ? a - b : collator.compare(String(a), String(b));
}

customElements.define('x-table', Table);

const SHOWN = 8000; // ms

/** @typedef {{source: {watch: (watcher: () => void) => () => void}, test: () => boolean}} Holds what a message says */

/**
 * Say that something was done, or that it failed; failures stay until they are put away. A message
 * that no longer holds goes, with the action that it offers.
 *
 * @param {string} text
 * @param {{failed?: boolean, action?: {label: string, run: () => any}, holds?: Holds}} [how]
 */
export function toast(text, { failed = false, action, holds } = {}) {
  const region = byId('toasts');
  const shown = h(
    'div.toast',
    { class: failed ? 'failed' : '' },
    h('p', failed && 'Failed: ', text),
    action &&
      h(
        'button.button.small',
        {
          type: 'button',
          onclick: () => {
            end();
            action.run();
          },
        },
        action.label,
      ),
    h('button.button.small.plain', { type: 'button', 'aria-label': 'Put away', onclick: end }, icon('close')),
  );
  if (region.matches(':popover-open')) region.hidePopover();
  region.showPopover();
  byId(failed ? 'warned' : 'said').append(shown);
  if (!failed) setTimeout(leave, SHOWN);
  let hasHeld = false;
  const unwatch = holds?.source.watch(() => {
    const isHolding = holds.test();
    if (hasHeld && !isHolding) end();
    hasHeld ||= isHolding;
  });

  function leave() {
    if (shown.matches(':hover, :focus-within')) setTimeout(leave, 2000);
    else end();
  }

  function end() {
    shown.remove();
    unwatch?.();
    if (!region.querySelector('.toast') && region.matches(':popover-open')) region.hidePopover();
  }
}

/**
 * Load a module on demand and call its `open`; show a message if it cannot be loaded.
 *
 * @param {() => Promise<{open: (...parameters: any[]) => void}>} load
 * @param {...any} parameters
 */
export async function openLater(load, ...parameters) {
  const loaded = await load().catch(() => null);
  if (loaded) loaded.open(...parameters);
  else toast(NOT_LOADED, { failed: true });
}

/** Return why a module cannot be loaded: the server has only the files of its own version. */
export const NOT_LOADED = 'The server does not answer, or it has been updated. Reload the page.';
