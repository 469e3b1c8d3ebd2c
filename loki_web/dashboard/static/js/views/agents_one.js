// The page of an agent: its state, tasks, heartbeats, context window and log lines, and what can be done to it.

import { h } from '../core/dom.js';
import { agents, contextWindow, cost, processes, status, tasks, triggers } from '../core/store.js';
import { link } from '../core/views.js';
import { agentState, count, dateTime, duration, lookup, moment, NONE, words } from '../core/words.js';
import { copyButton } from '../extra/copy.js';
import { eventsPanel, factList, logPanel, page, spentIn } from '../extra/page.js';
import { taskState } from '../extra/tasks.js';
import { windows } from '../extra/windows.js';
import { agentActions } from '../ui/actions.js';
import { ago, empty, panel, pill, table } from '../ui/elements.js';

const MOST_BEATS = 100;
const ORDER = lookup({ in_progress: 0, review: 1, pending: 2, failed: 3, done: 4 });

export function view(ctx) {
  const [id] = ctx.route.parts;
  /** @type {number[]} the heartbeats that were seen while the page was open, oldest first */
  let beats = [];
  ctx.watch(agents, ({ data }) => {
    const at = moment(data?.find((each) => each.id === id)?.heartbeat);
    if (at !== null && at !== beats.at(-1)) beats = [...beats, at].slice(-MOST_BEATS);
  });
  return page(ctx, {
    from: { agents },
    find: ({ agents: all }) => all.find((each) => each.id === id),
    nameOf: (agent) => agent.name || agent.id,
    missing: empty('There is no such agent', 'The list has only the agents of the present session; it may have ended.'),
    head: (agent, isListed) => [
      pill(agentState(agent)),
      h('div.end', copyButton('Copy id', agent.id, 'the id'), isListed && agentActions(agent)),
    ],
    spanOf: (agent) => [moment(agent.started_at), moment(agent.completed_at)],
    parts(part, agent, [from, to]) {
      const isIts = ({ assigned_agent_id: by }) => Boolean(by) && (by === id || by === agent().name);
      return [
        h(
          'div.stack.w4.lead',
          panel(part, {
            title: 'Facts',
            from: { agents },
            also: { cost, status, tasks },
            show: (data) => showFacts(agent(), data),
          }),
          panel(part, {
            title: 'Heartbeats',
            from: { agents },
            also: { processes },
            show: () => showBeats(agent(), beats),
          }),
          panel(part, {
            title: 'Context window',
            from: { contextWindow },
            also: { triggers },
            show: ({ contextWindow: known, ...data }) =>
              windows({ ...data, contextWindow: { ...known, agents: known.agents.filter((each) => each.id === id) } }),
          }),
        ),
        h(
          'div.stack.w8',
          panel(part, { title: 'Tasks', from: { tasks }, show: (data) => showTasks(data.tasks.filter(isIts)) }),
          from !== null && eventsPanel(part, { from, to }),
          logPanel(part, { title: 'Log lines that name it', query: id }),
        ),
      ];
    },
  });
}

function showTasks(mine) {
  if (!mine.length) return empty('No tasks', 'No task in the queues was claimed by it.');
  const time = ({ started_at: begun, completed_at: ended }) => moment(ended) ?? moment(begun) ?? 0;
  return table({
    caption: 'Tasks of the agent',
    rows: mine.toSorted((a, b) => ORDER[taskState(a)] - ORDER[taskState(b)] || time(b) - time(a)),
    key: (task) => task.id,
    columns: [
      {
        label: 'Task',
        cell: (task) => h('a.strong', { href: link('tasks', task.id), 'data-row': '' }, task.title || task.id),
        sort: (task) => task.title,
      },
      { label: 'State', cell: (task) => pill(taskState(task)), sort: taskState },
      { label: 'Began', cell: (task) => dateTime(task.started_at), sort: (task) => moment(task.started_at) },
      {
        label: 'Took',
        class: 'num',
        cell: (task) => (lengthOf(task) === null ? NONE : duration(lengthOf(task))),
        sort: lengthOf,
      },
    ],
  });
}

/** How long a task took, in seconds; null if that is not known. */
function lengthOf({ started_at: begun, completed_at: ended }) {
  const [from, to] = [moment(begun), moment(ended)];
  return from === null || to === null ? null : (to - from) / 1000;
}

function showFacts(agent, data) {
  const state = agentState(agent);
  const when = (value) => value && [dateTime(value), h('span.quiet', ' (', ago(value), ')')];
  return factList([
    ['State', [pill(state), agent.raw_status !== state && h('span.quiet', ` written as ${agent.raw_status}`)]],
    ['Task', taskOf(agent, data.tasks)],
    ['Type', words(agent.type)],
    ['Model', agent.model || NONE],
    [
      'Process',
      agent.pid
        ? `${agent.pid}, ${agent.alive ? 'alive' : 'gone'}`
        : `none of its own; ${agent.alive ? 'the session is alive' : 'the session is not running'}`,
    ],
    ['Started', when(agent.started_at) || NONE],
    ['Completed', when(agent.completed_at)],
    ['Cost', spentIn(data, moment(agent.started_at), moment(agent.completed_at))],
    ['Tools used', agent.tool_count],
    ['Tool call', agent.tool_id && h('span.mono', agent.tool_id)],
    ['Id', h('span.mono', agent.id)],
  ]);
}

/** The task that an agent works on, with a link if the queues have it under its id or title. */
function taskOf({ id: by, task: name }, all = []) {
  const named = all.filter(({ id, title }) => name && (id === name || title === name));
  const task = named.find(({ assigned_agent_id: id }) => id === by) ?? named[0];
  return task ? h('a', { href: link('tasks', task.id) }, task.title || task.id) : name || NONE;
}

/** The last heartbeat, and how regular those were that came meanwhile: the files keep only the last one. */
function showBeats(agent, beats) {
  if (!agent.heartbeat) return empty('No heartbeat', 'The agent has not reported one.');
  const gaps = beats.slice(1).map((at, index) => (at - beats[index]) / 1000);
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / (gaps.length || 1);
  return factList([
    ['Heartbeat', [dateTime(agent.heartbeat), h('span.quiet', ' (', ago(agent.heartbeat), ')')]],
    [
      'Seen here',
      gaps.length
        ? `${count(beats.length, 'heartbeat')}, every ${duration(mean)}, at most ${duration(Math.max(...gaps))} apart`
        : 'None since the page was opened',
    ],
  ]);
}
