// The session on one axis of time: iterations, phases, cost, agents with their tasks, and what happened when.

import { now } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import { agents, checkpoints, cost, enterprise, notifications, slice, status, tasks, verdicts } from '../core/store.js';
import { link, replace } from '../core/views.js';
import {
  count,
  dateTime,
  duration,
  isPaused,
  isRunning,
  lookup,
  moment,
  money,
  shortDate,
  time,
  words,
  zone,
} from '../core/words.js';
import { empty, panel, table } from '../ui/elements.js';

const HOUR = 3_600_000;
const RANGES = { session: 'Session', '1h': 'Hour', '6h': '6 hours', '24h': 'Day' };
const HOURS = lookup({ '1h': 1, '6h': 6, '24h': 24 });
const LEAST_SHARE = 0.3; // percent of the width; what is nearer to each other is drawn as one
const MOST_LANES = 30; // of agents
const STEPS = [1, 5, 15, 30, 60, 180, 360, 720, 1440, 10_080].map((minutes) => minutes * 60_000);
const TICKS = 7;
const EDGE = 4; // percent of the width without a label, which would not fit
const TONES = lookup({ done: 'tgood', failed: 'tbad', review: 't4', in_progress: 't1' });
const pauses = slice('api/enterprise/audit?resource_type=session&limit=500', { every: 60 });

/**
 * @typedef {object} Item
 * @property {number} from in milliseconds
 * @property {number} to the same as `from` for a mark
 * @property {string} text
 * @property {string} tone
 * @property {number} [height] of a bar, as a share of its lane
 * @property {number} [joined] how many items it stands for
 */

/** @typedef {{name: string, kind: 'bars' | 'marks', items: Item[]}} Lane */

export function view(ctx) {
  let watchesPauses = false;
  const head = h('div.head');
  const also = { agents, tasks, verdicts, checkpoints, notifications };
  const chosen = () => ctx.route.query.get('range') ?? 'session';
  const drawHead = () =>
    draw(
      head,
      h('h1', 'Timeline'),
      h(
        'div.tabs',
        { role: 'group', 'aria-label': 'Time range' },
        Object.entries(RANGES).map(([range, label]) =>
          h(
            'button.chip',
            {
              type: 'button',
              'aria-pressed': String(range === chosen()),
              onclick: () => replace('timeline', [], { range: range === 'session' ? '' : range }),
            },
            label,
          ),
        ),
      ),
      h('span.quiet.end', zone()),
    );
  const main = panel(ctx, {
    title: 'What happened when',
    lines: 14,
    from: { status, cost },
    also,
    show: (data) => showTimeline({ ...data, pauses: pauses.data }, chosen()),
  });
  ctx.onRoute(() => {
    drawHead();
    main.redraw();
  });
  // only where everybody may read the audit log: a refusal would be of no use
  ctx.watch(enterprise, ({ data }) => {
    if (data?.audit_enabled && !data.auth_enabled && !watchesPauses) {
      watchesPauses = true;
      ctx.watch(pauses, main.redraw);
    }
  });
  drawHead();
  return [head, main];
}

function showTimeline(data, range) {
  const lanes = lanesOf(data);
  const all = lanes.flatMap(({ items }) => items);
  if (!all.length) return empty('Nothing has happened yet', 'Iterations, tasks, votes and alerts appear here in time.');
  const [from, to] = span(lanes, all, range);
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
        'aria-label': 'Timeline; arrow keys go from item to item, Enter opens the log',
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
    h('details', { key: 'table' }, h('summary', 'As a table'), asTable(shown)),
  ];
}

/** The time that is shown: of the session, or the last hours. */
function span(lanes, all, range) {
  if (HOURS[range]) return [now() - HOURS[range] * HOUR, now()];
  const own = lanes.find(({ name }) => name === 'Iterations').items;
  const items = own.length ? own : all;
  const from = Math.min(...items.map((item) => item.from));
  const to = Math.max(...items.map((item) => item.to));
  return [from, Math.max(to, from + 60_000)];
}

function lanesOf({ status: session, cost: spent, agents: known = [], tasks: all = [], ...more }) {
  const iterations = iterationsOf(spent.by_iteration ?? [], session, all);
  const most = Math.max(...iterations.map((each) => each.cost ?? 0)) || 1;
  return [
    {
      name: 'Iterations',
      items: iterations.map(({ from, to, number, cost: paid }) => ({
        from,
        to,
        text: `Iteration ${number}${paid === undefined ? ', running' : ''}`,
        tone: number % 2 ? 't1' : 't1 even',
      })),
    },
    { name: 'Phases', items: phasesOf(iterations) },
    {
      name: 'Cost',
      items: iterations
        .filter((each) => each.cost !== undefined)
        .map(({ from, to, number, cost: paid }) => ({
          from,
          to,
          text: `Iteration ${number}: ${money(paid)}`,
          tone: 't2',
          height: paid / most,
        })),
    },
    marks('Council', more.verdicts?.verdicts, 'timestamp', (each) => ({
      text: `Council, iteration ${each.iteration}: ${each.result}`,
      tone: each.result === 'complete' ? 'tgood' : 'tquiet',
    })),
    marks('Checkpoints', more.checkpoints, 'created_at', (each) => ({
      text: `Checkpoint: ${each.message || each.id}`,
      tone: 't3',
    })),
    marks('Alerts', more.notifications, 'timestamp', (each) => ({
      text: `${words(each.severity)}: ${each.message}`,
      tone: { critical: 'tbad', warning: 'twarn' }[each.severity] ?? 't1',
    })),
    { name: 'Pauses', items: pausesOf(more.pauses ?? [], session) },
    ...agentLanes(known, all, isRunning(session) || isPaused(session)),
  ].map((lane) => ({ kind: 'bars', ...lane }));
}

/** Iterations with their beginnings: an iteration begins when the one before it has ended. */
function iterationsOf(ended, session, all) {
  const known = ended
    .map((each) => ({ number: each.iteration, to: moment(each.timestamp), cost: each.cost_usd, phase: each.phase }))
    .filter(({ to }) => to !== null)
    .sort((a, b) => a.to - b.to);
  const length = known.length > 1 ? (known.at(-1).to - known[0].to) / (known.length - 1) : 60_000;
  const begun = all.map((task) => moment(task.started_at)).filter((at) => at !== null && at < (known[0]?.to ?? 0));
  let from = known.length ? Math.max(known[0].to - 3 * length, Math.min(known[0].to - length, ...begun)) : 0;
  const spans = known.map((each) => {
    const whole = { ...each, from };
    from = each.to;
    return whole;
  });
  if (known.length && (isRunning(session) || isPaused(session)))
    spans.push({ number: known.at(-1).number + 1, from, to: now(), phase: session.phase, cost: undefined });
  return spans;
}

/** Iterations of the same phase in a row, as one. */
function phasesOf(iterations) {
  /** @type {any[]} */
  const found = [];
  for (const { from, to, phase } of iterations) {
    const last = found.at(-1);
    if (!phase) continue;
    if (last?.phase === phase && last.to === from) last.to = to;
    else found.push({ phase, from, to, text: words(phase), tone: found.length % 2 ? 't5 even' : 't5' });
  }
  return found;
}

function marks(name, entries = [], field, show) {
  const items = (entries ?? [])
    .map((each) => ({ from: moment(each[field]), ...show(each) }))
    .filter(({ from }) => from !== null);
  return { name, kind: 'marks', items: items.map((item) => ({ ...item, to: item.from })) };
}

/** Pauses that were made through this server, from Pause to Resume or Stop. */
function pausesOf(entries, session) {
  const found = [];
  let from = null;
  for (const { action, timestamp, success } of [...entries].reverse()) {
    if (!success) continue;
    if (action === 'pause') from ??= moment(timestamp);
    else if (from !== null) {
      found.push({ from, to: moment(timestamp), text: 'Paused', tone: 'twarn' });
      from = null;
    }
  }
  if (from !== null && isPaused(session)) found.push({ from, to: now(), text: 'Paused', tone: 'twarn' });
  return found;
}

/** A lane for each agent that has had a task; the ones whose last task is newest come first. */
function agentLanes(known, all, isOn) {
  const names = new Map(known.map((agent) => [agent.id, agent.name || agent.id]));
  const byAgent = new Map();
  for (const task of all) {
    const from = moment(task.started_at);
    const to = moment(task.completed_at) ?? (isOn && task.status === 'in_progress' ? now() : from);
    if (from === null || to === null || task.type === 'iteration') continue;
    const name = names.get(task.assigned_agent_id) ?? (task.assigned_agent_id || 'No agent');
    const tone = TONES[task.failed ? 'failed' : task.status] ?? 'tquiet';
    byAgent.set(name, [
      ...(byAgent.get(name) ?? []),
      { from, to: Math.max(from, to), text: task.title || task.id, tone },
    ]);
  }
  const newest = (items) => Math.max(...items.map((item) => item.to));
  return [...byAgent]
    .map(([name, items]) => ({ name, items }))
    .sort((a, b) => newest(b.items) - newest(a.items))
    .slice(0, MOST_LANES);
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

const iso = (at) => new Date(at).toISOString();
const logAt = (at) => link('logs', [], { time: iso(at) });

/** @type {{item: any, at: number}} the item that was reached last from another lane, and the place of the first one */
let reached = { item: null, at: 0 };

/** Arrow keys go from item to item, and from lane to lane to what happened at that time. */
function press(event) {
  const { target, key, currentTarget } = event;
  const track = target.closest?.('.track');
  if (!track || !key.startsWith('Arrow')) return;
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
}

const part = (item, name) => Number.parseFloat(item.style.getPropertyValue(`--${name}`));

/** How far an item is from a place, from its beginning or, after it, from its end. */
function away(item, at) {
  const left = part(item, 'left');
  return Math.max(left - at, at - left - part(item, 'width') + 0.01, 0);
}

/** The times of the axis, on whole hours or minutes where the page's zone has them. */
function ticks(from, to) {
  const step = STEPS.find((each) => (to - from) / each <= TICKS) ?? 7 * 24 * HOUR;
  const shift = new Date(from).getTimezoneOffset() * 60_000;
  const first = Math.ceil((from - shift) / step) * step + shift;
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, index) => first + index * step);
}

const tick = (at, left, length) =>
  h('span', { vars: { left: `${left}%` } }, length > 12 * HOUR ? shortDate(at) : time(at).slice(0, 5));

function asTable(lanes) {
  return table({
    caption: 'Timeline',
    isPassing: true,
    key: (row) => `${row.name} ${row.from} ${row.text}`,
    rows: lanes.flatMap(({ name, items }) => items.map((item) => ({ ...item, name }))).sort((a, b) => b.from - a.from),
    columns: [
      {
        label: 'When',
        cell: ({ from }) => h('a', { href: logAt(from) }, h('time', { datetime: iso(from) }, dateTime(from))),
        sort: ({ from }) => from,
      },
      { label: 'Lane', cell: ({ name }) => name, sort: ({ name }) => name },
      { label: 'What', cell: ({ text }) => text, sort: ({ text }) => text },
      {
        label: 'Took',
        class: 'num',
        cell: ({ from, to }) => (to > from ? duration((to - from) / 1000) : ''),
        sort: ({ from, to }) => (to - from) / 1000,
      },
    ],
  });
}
