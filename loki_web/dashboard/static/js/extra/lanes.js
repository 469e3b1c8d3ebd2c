// What happened when, from all that has a time: iterations, phases, votes, checkpoints, alerts, pauses, tasks.

import { now } from '../core/api.js';
import { h } from '../core/dom.js';
import { link } from '../core/views.js';
import { dateTime, duration, isPaused, isRunning, lookup, moment, money, words } from '../core/words.js';
import { table } from '../ui/elements.js';

const MOST_LANES = 30; // of agents
const TONES = lookup({ done: 'tgood', failed: 'tbad', review: 't4', in_progress: 't1' });

/**
 * @typedef {object} Item
 * @property {number} from in milliseconds
 * @property {number} to the same as `from` for a mark
 * @property {string} text
 * @property {string} tone
 * @property {number} [height] of a bar, as a share of its lane
 * @property {string} [href] the page of what it is
 * @property {number} [joined] how many items it stands for
 */

/** @typedef {{name: string, kind: 'bars' | 'marks', items: Item[]}} Lane */

export const iso = (at) => new Date(at).toISOString();

/** The link to the log at a moment. */
export const logAt = (at) => link('logs', [], { time: iso(at) });

/**
 * What happened when, by kind; and for each agent its tasks.
 *
 * @returns {Lane[]}
 */
export function lanesOf({ status: session, cost: spent, agents: known = [], tasks: all = [], ...more }) {
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
        href: link('iterations', number),
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
          href: link('iterations', number),
        })),
    },
    marks('Council', more.verdicts?.verdicts, 'timestamp', (each) => ({
      text: `Council, iteration ${each.iteration}: ${each.result}`,
      tone: each.result === 'complete' ? 'tgood' : 'tquiet',
      href: link('iterations', each.iteration),
    })),
    marks('Checkpoints', more.checkpoints, 'created_at', (each) => ({
      text: `Checkpoint: ${each.message || each.id}`,
      tone: 't3',
      href: link('checkpoints', each.id),
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
export function iterationsOf(ended, session, all) {
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
      { from, to: Math.max(from, to), text: task.title || task.id, tone, href: link('tasks', task.id) },
    ]);
  }
  const newest = (items) => Math.max(...items.map((item) => item.to));
  return [...byAgent]
    .map(([name, items]) => ({ name, items }))
    .sort((a, b) => newest(b.items) - newest(a.items))
    .slice(0, MOST_LANES);
}

/** What happened, newest first, as a table with links to what it was and to the log. */
export function happenings(lanes, caption = 'Timeline') {
  return table({
    caption,
    isPassing: true,
    key: (row) => `${row.name} ${row.from} ${row.text}`,
    rows: lanes.flatMap(({ name, items }) => items.map((item) => ({ ...item, name }))).sort((a, b) => b.from - a.from),
    columns: [
      {
        label: 'When',
        cell: ({ from }) => h('a', { href: logAt(from) }, h('time', { datetime: iso(from) }, dateTime(from))),
        sort: ({ from }) => from,
      },
      { label: 'Kind', cell: ({ name }) => name, sort: ({ name }) => name },
      { label: 'What', cell: ({ text, href }) => (href ? h('a', { href }, text) : text), sort: ({ text }) => text },
      {
        label: 'Took',
        class: 'num',
        cell: ({ from, to }) => (to > from ? duration((to - from) / 1000) : ''),
        sort: ({ from, to }) => (to - from) / 1000,
      },
    ],
  });
}
