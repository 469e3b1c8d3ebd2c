// What was spent while tasks ran, for each task and each agent. The files say what an iteration cost, not who worked
// in it: tasks that ran at once count the same money.

import { now } from '../core/api.js';
import { h } from '../core/dom.js';
import { agents, cost, status, tasks } from '../core/store.js';
import { link, timeRange } from '../core/views.js';
import { duration, moment, money, NONE, number } from '../core/words.js';
import { chip, panel, table } from '../ui/elements.js';
import { iterationsOf } from './lanes.js';

/** @typedef {{from: number, to: number}} Span in ms */

/** The panel; it is there if a task has a beginning and an end. */
export function meanwhilePanel(ctx) {
  let isByAgent = true;
  const place = h('div', { hidden: true });
  const choice = (label, value) =>
    chip(label, isByAgent === value, () => {
      isByAgent = value;
      section.redraw();
    });
  const section = panel(ctx, {
    title: 'While tasks ran',
    from: { cost, tasks },
    also: { agents, status },
    tools: () => [choice('By agent', true), choice('By task', false)],
    show(data) {
      const ran = tasksThatRan(data);
      place.hidden = !ran.length;
      return [
        isByAgent ? showAgents(ran, data) : showTasks(ran, data),
        h(
          'p.small.quiet',
          'What iterations cost in that time. Tasks that ran at once count the same money, so rows can add up to more.',
        ),
      ];
    },
  });
  place.append(section);
  return place;
}

/** The tasks that ran in the time range, each with the part of its time that is in it. */
function tasksThatRan({ tasks: all }) {
  const shown = timeRange() ?? { from: 0, to: now() };
  return all
    .filter(({ type }) => type !== 'iteration')
    .map((task) => ({
      ...task,
      from: Math.max(shown.from, moment(task.started_at) ?? Infinity),
      to: Math.min(shown.to, moment(task.completed_at) ?? (task.status === 'in_progress' ? now() : 0)),
    }))
    .filter(({ from, to }) => from < to);
}

/** What was spent in times that do not overlap, by the part of each iteration in them; null after the last end. */
function spentIn({ cost: spent, status: session, tasks: all }) {
  const ended = iterationsOf(spent.by_iteration ?? [], session, all).filter((each) => each.cost !== undefined);
  const sums = [0];
  for (const each of ended) sums.push(sums[sums.length - 1] + each.cost);
  const until = (at) => {
    let [low, high] = [0, ended.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ended[middle].to > at) high = middle;
      else low = middle + 1;
    }
    const part = low < ended.length ? (at - ended[low].from) / (ended[low].to - ended[low].from) : 0;
    return sums[low] + Math.max(0, part) * (ended[low]?.cost ?? 0);
  };
  const last = ended.at(-1)?.to ?? 0;
  return (/** @type {Span[]} */ spans) =>
    spans[0].from < last ? spans.reduce((sum, { from, to }) => sum + until(to) - until(from), 0) : null;
}

/** The same times without overlaps. */
function united(/** @type {Span[]} */ spans) {
  /** @type {Span[]} */
  const found = [];
  for (const { from, to } of spans.toSorted((a, b) => a.from - b.from)) {
    const last = found.at(-1);
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else found.push({ from, to });
  }
  return found;
}

const lengthOf = (spans) => spans.reduce((sum, { from, to }) => sum + (to - from), 0) / 1000;
const costliestFirst = (rows) => rows.sort((a, b) => (b.usd ?? 0) - (a.usd ?? 0));

function showTasks(ran, data) {
  const spent = spentIn(data);
  const nameOf = agentNames(data);
  const rows = ran.map((task) => ({ ...task, spans: [task], usd: spent([task]) }));
  return table({
    caption: 'Cost while tasks ran',
    rows: costliestFirst(rows),
    key: ({ id }) => id,
    columns: [
      {
        label: 'Task',
        cell: ({ id, title }) => h('a', { href: link('tasks', id) }, title || id),
        sort: ({ title, id }) => title || id,
      },
      { label: 'Agent', cell: (row) => nameOf(row.assigned_agent_id), sort: (row) => nameOf(row.assigned_agent_id) },
      ...FIGURES,
    ],
  });
}

function showAgents(ran, data) {
  const spent = spentIn(data);
  const nameOf = agentNames(data);
  const rows = [...Map.groupBy(ran, (task) => task.assigned_agent_id || '')].map(([id, own]) => {
    const spans = united(own);
    return { id, name: nameOf(id), count: own.length, spans, usd: spent(spans) };
  });
  return table({
    caption: 'Cost while agents had tasks',
    rows: costliestFirst(rows),
    key: ({ id }) => id,
    columns: [
      {
        label: 'Agent',
        cell: ({ id, name }) => (id ? h('a', { href: link('agents', id) }, name) : name),
        sort: ({ name }) => name,
      },
      { label: 'Tasks', class: 'num', cell: (row) => number(row.count), sort: (row) => row.count },
      ...FIGURES,
    ],
  });
}

const agentNames = ({ agents: known = [] }) => {
  const names = new Map(known.map(({ id, name }) => [id, name || id]));
  return (id) => names.get(id) ?? (id || NONE);
};

const FIGURES = [
  {
    label: 'Ran',
    class: 'num',
    cell: ({ spans }) => duration(lengthOf(spans)),
    sort: ({ spans }) => lengthOf(spans),
  },
  { label: 'Spent meanwhile', class: 'num', cell: ({ usd }) => money(usd), sort: ({ usd }) => usd },
];
