// The session on one axis of time: iterations, phases, cost, agents with their tasks, and what happened when.

import { h } from '../core/dom.js';
import { agents, checkpoints, cost, enterprise, notifications, slice, status, tasks, verdicts } from '../core/store.js';
import { chooseTime, timeRange } from '../core/views.js';
import { clock, count, dateTime, duration, shortDate, time } from '../core/words.js';
import { happenings, lanesOf, logAt } from '../extra/lanes.js';
import { ranges } from '../extra/range.js';
import { onDrag } from '../ui/drag.js';
import { empty, panel } from '../ui/elements.js';

const HOUR = 3_600_000;
const LEAST_SHARE = 0.3; // percent of the width; what is nearer to each other is drawn as one
const STEPS = [1, 5, 15, 30, 60, 180, 360, 720, 1440, 10_080].map((minutes) => minutes * 60_000);
const TICKS = 7;
const LEAST_TIME = 1000; // ms
const EDGE = 4; // percent of the width without a label, which would not fit
const pauses = slice('api/enterprise/audit?resource_type=session&limit=500', { every: 60 });

export function view(ctx) {
  let watchesPauses = false;
  const also = { agents, tasks, verdicts, checkpoints, notifications };
  const main = panel(ctx, {
    title: 'What happened when',
    lines: 14,
    from: { status, cost },
    also,
    show: (data) => showTimeline({ ...data, pauses: pauses.data }),
  });
  // only where everybody may read the audit log: a refusal would be of no use
  ctx.watch(enterprise, ({ data }) => {
    if (data?.audit_enabled && !data.auth_enabled && !watchesPauses) {
      watchesPauses = true;
      ctx.watch(pauses, main.redraw);
    }
  });
  selected = null;
  onDrag(main, {
    canBegin: ({ target }) => Boolean(target.closest('.track, .axis')),
    move: (...ends) => select(main, ends.map(placeIn(main))),
    end: (isDone) => (isDone ? choose(main) : select(main, null)),
  });
  return [h('div.head', h('h1', 'Timeline'), ranges(ctx)), main];
}

// A part of the time is selected by dragging, or with Shift and the arrow keys; it is a share of the axis, in percent.

/** @type {{from: number, to: number}} what the axis shows, in ms */
let shownTime = { from: 0, to: 0 };
/** @type {[number, number] | null} */
let selected = null;

/** The place on the axis of a place in the window. */
const placeIn = (main) => (x) => {
  const { left, width } = main.querySelector('.axis').getBoundingClientRect();
  return Math.min(100, Math.max(0, ((x - left) / width) * 100));
};

function select(main, ends) {
  selected = ends && [Math.min(...ends), Math.max(...ends)];
  const style = main.querySelector('.timeline')?.style;
  style?.setProperty('--from', selected ? selected[0] : 0);
  style?.setProperty('--part', selected ? selected[1] - selected[0] : 0);
}

/** Show only the selected time, in all charts of the page. */
function choose(main) {
  const { from, to } = shownTime;
  const [first, last] = (selected ?? [0, 0]).map((part) => from + ((to - from) * part) / 100);
  select(main, null);
  if (last - first >= LEAST_TIME) chooseTime(first, last);
}

function showTimeline(data) {
  const lanes = lanesOf(data);
  const all = lanes.flatMap(({ items }) => items);
  if (!all.length) return empty('Nothing has happened yet', 'Iterations, tasks, votes and alerts appear here in time.');
  const [from, to] = span(lanes, all);
  shownTime = { from, to };
  const shown = lanes
    .map((lane) => ({ ...lane, items: lane.items.filter((item) => item.to >= from && item.from <= to) }))
    .filter(({ items }) => items.length);
  const place = (at) => ((Math.min(to, Math.max(from, at)) - from) / (to - from)) * 100;
  const count = shown.reduce((sum, { items }) => sum + items.length, 0);
  if (!count) return empty('Nothing happened in this time', 'Choose a longer time.');
  return [
    h(
      'div.timeline',
      {
        role: 'group',
        'aria-label':
          'Timeline; arrow keys go from item to item, Enter opens the log; Shift and arrow keys select a time',
        onkeydown: press,
      },
      h(
        'div.lane',
        h('span'),
        h(
          'div.axis',
          { 'aria-hidden': 'true' },
          ticks(from, to)
            .filter((at) => place(at) > EDGE && place(at) < 100 - EDGE)
            .map((at) => tick(at, place(at), to - from)),
        ),
      ),
      shown.map((lane) => drawLane(lane, place)),
    ),
    h('details', { key: 'table' }, h('summary', 'As a table'), happenings(shown)),
  ];
}

/** The time that is shown: of the session, or the last hours. */
function span(lanes, all) {
  const chosen = timeRange();
  if (chosen) return [chosen.from, chosen.to];
  const own = lanes.find(({ name }) => name === 'Iterations').items;
  const items = own.length ? own : all;
  const from = Math.min(...items.map((item) => item.from));
  const to = Math.max(...items.map((item) => item.to));
  return [from, Math.max(to, from + 60_000)];
}

/** Items that would be too near to each other, as one. */
function condensed(items, place) {
  const found = [];
  for (const item of items.toSorted((a, b) => a.from - b.from)) {
    const left = place(item.from);
    const last = found.at(-1);
    const isSmall = place(item.to) - left < LEAST_SHARE;
    if (last?.isSmall && isSmall && left - last.left < LEAST_SHARE) {
      last.to = Math.max(last.to, item.to);
      last.joined += 1;
      last.height = Math.max(last.height ?? 0, item.height ?? 0) || undefined;
      if (item.tone === 'tbad') last.tone = 'tbad';
    } else found.push({ ...item, left, isSmall, joined: 1 });
  }
  return found;
}

function drawLane({ name, kind, items }, place) {
  return h(
    'div.lane',
    { key: `lane ${name}`, role: 'group', 'aria-label': `${name}, ${count(items.length, 'item')}` },
    h('span.lane-name', { title: name }, name),
    h(
      'div.track',
      condensed(items, place).map((item, index) => drawItem(item, kind, place, index)),
    ),
  );
}

function drawItem({ from, to, text, tone, height, joined, left }, kind, place, index) {
  const said = joined > 1 ? `${text}, and ${count(joined - 1, 'more', 'more')}` : text;
  const when = to > from ? `${dateTime(from)}, ${duration((to - from) / 1000)}` : dateTime(from);
  return h('a', {
    key: String(index),
    class: `${kind === 'marks' ? 'mark' : 'bar'} ${tone}`,
    tabindex: index ? '-1' : '0',
    href: logAt(from),
    title: `${said}\n${when}`,
    'aria-label': `${said}, ${when}`,
    vars: {
      left: `${left}%`,
      width: `${Math.max(0, place(to) - left)}%`,
      height: height === undefined ? '100%' : `${height * 100}%`,
    },
  });
}

/** @type {{item: any, at: number}} the item that was reached last from another lane, and the place of the first one */
let reached = { item: null, at: 0 };
/** @type {any} the item where a selection by keys began */
let anchor = null;

/**
 * Arrow keys go from item to item, and from lane to lane to what happened at that time; with Shift, they select the
 * time from the first item to the last, and Enter shows only that.
 */
function press(event) {
  const { target, key, shiftKey, currentTarget } = event;
  const track = target.closest?.('.track');
  const main = currentTarget.closest('section');
  if (!track) return undefined;
  if (selected && (key === 'Enter' || key === 'Escape')) {
    event.preventDefault();
    if (key === 'Enter') choose(main);
    else select(main, null);
    return undefined;
  }
  if (!key.startsWith('Arrow')) return;
  event.preventDefault();
  if (key === 'ArrowRight') target.nextElementSibling?.focus();
  else if (key === 'ArrowLeft') target.previousElementSibling?.focus();
  else {
    const lanes = [...currentTarget.querySelectorAll('.track')];
    const lane = lanes[lanes.indexOf(track) + (key === 'ArrowUp' ? -1 : 1)];
    const at = reached.item === target ? reached.at : part(target, 'left');
    const item = lane && [...lane.children].reduce((best, each) => (away(each, at) < away(best, at) ? each : best));
    reached = { item, at };
    item?.focus();
  }
  if (!shiftKey) return select(main, null);
  if (!selected) anchor = target;
  return select(main, [anchor, document.activeElement].flatMap(endsOf));
}

/** Where an item begins and ends. */
const endsOf = (item) => [part(item, 'left'), part(item, 'left') + part(item, 'width')];

const part = (item, name) => Number.parseFloat(item.style.getPropertyValue(`--${name}`));

/** How far an item is from a place, from its beginning or, after it, from its end. */
function away(item, at) {
  const left = part(item, 'left');
  return Math.max(left - at, at - left - part(item, 'width') + 0.01, 0);
}

/** The times of the axis, on whole hours or minutes where the page's zone has them. */
function ticks(from, to) {
  const step = STEPS.find((each) => (to - from) / each <= TICKS) ?? 7 * 24 * HOUR;
  const shift = (at) => (clock.value === 'utc' ? 0 : new Date(at).getTimezoneOffset() * 60_000);
  const first = Math.ceil((from - shift(from)) / step) * step + shift(from);
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 2) }, (_, index) => {
    const at = first + index * step;
    const moved = at + ((shift(at) - shift(from)) % step); // clocks may have changed since
    return shift(moved) === shift(at) ? moved : at; // a day may begin at one o'clock
  });
}

const tick = (at, left, length) =>
  h('span', { vars: { left: `${left}%` } }, length > 12 * HOUR ? shortDate(at) : time(at).slice(0, 5));
