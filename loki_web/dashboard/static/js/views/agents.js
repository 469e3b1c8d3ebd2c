// The agents with what can be done to each, their processes, and one of them in a drawer.

import { draw, h } from '../core/dom.js';
import { agents, contextWindow, processes, status, triggers } from '../core/store.js';
import { go, link } from '../core/views.js';
import { agentState, dateTime, isSilent, moment, NONE, words } from '../core/words.js';
import { windows } from '../extra/windows.js';
import { agentActions, agentTable, drawer } from '../ui/actions.js';
import { ago, empty, panel, pill, since, table } from '../ui/elements.js';

const COLUMNS = [
  { label: 'Type', cell: ({ type }) => words(type), sort: ({ type }) => type },
  { label: 'Model', cell: ({ model }) => model || h('span.quiet', NONE), sort: ({ model }) => model },
];

export function view(ctx) {
  const summary = h('span.quiet', { role: 'status' });
  const pane = drawer(ctx, () => go('agents'));
  const all = panel(ctx, {
    title: 'Agents',
    from: { agents },
    also: { contextWindow },
    lines: 6,
    show: (data) => agentTable({ ...data, columns: COLUMNS }),
  });
  let shown;
  let silent = '';

  function redraw() {
    const states = (agents.data ?? []).map(agentState);
    draw(
      summary,
      [...new Set(states)]
        .map((state) => `${states.filter((each) => each === state).length} ${words(state).toLowerCase()}`)
        .join(', '),
    );
    open();
  }

  function open() {
    const [id] = ctx.route.parts;
    if (!id || !agents.data) return pane.hide();
    const found = agents.data.find((each) => each.id === id);
    if (found || shown?.id !== id) shown = found;
    if (!shown)
      return pane.show(
        id,
        empty('There is no such agent', 'The list has only the agents of the present session; it may have ended.'),
      );
    return pane.show(
      shown.name || id,
      found
        ? h('div.row', agentActions(found))
        : h('p.warn', 'It is no longer in the list. This is what was last known.'),
      details(shown),
    );
  }

  ctx.watch(agents, () => ctx.schedule(redraw));
  ctx.redraws(redraw);
  ctx.onRoute(open);
  ctx.everySecond(() => {
    const now =
      agents.data
        ?.filter(isSilent)
        .map(({ id }) => id)
        .join() ?? '';
    if (now === silent) return;
    silent = now;
    all.redraw();
    ctx.schedule(redraw);
  });
  return [
    h('div.head', h('h1', 'Agents'), summary),
    h(
      'div.grid',
      all,
      panel(ctx, {
        title: 'Processes',
        class: 'w8',
        from: { processes },
        also: { agents, status },
        lines: 5,
        tools: supervision,
        show: showProcesses,
      }),
      panel(ctx, { title: 'Context windows', class: 'w4', from: { contextWindow }, also: { triggers }, show: windows }),
    ),
  ];
}

function details(agent) {
  const state = agentState(agent);
  const when = (value) => (value ? [dateTime(value), h('span.quiet', ' (', ago(value), ')')] : NONE);
  return [
    h(
      'dl.dl',
      [
        ['State', [pill(state), agent.raw_status !== state && h('span.quiet', ` written as ${agent.raw_status}`)]],
        ['Task', agent.task || NONE],
        ['Type', words(agent.type)],
        ['Model', agent.model || NONE],
        [
          'Process',
          agent.pid
            ? `${agent.pid}, ${agent.alive ? 'alive' : 'gone'}`
            : `none of its own; ${agent.alive ? 'the session is alive' : 'the session is not running'}`,
        ],
        ['Started', when(agent.started_at)],
        ['Heartbeat', when(agent.heartbeat)],
        ['Completed', when(agent.completed_at)],
        ['Tools used', agent.tool_count],
        ['Tool call', agent.tool_id ? h('span.mono', agent.tool_id) : NONE],
        ['Id', h('span.mono', agent.id)],
      ].map(([name, value]) => [h('dt', name), h('dd', value)]),
    ),
    h(
      'p.row',
      h('a', { href: link('tasks', [], { q: agent.id }) }, 'Its tasks'),
      h('a', { href: link('logs', [], { q: agent.id }) }, 'Log lines that name it'),
    ),
  ];
}

const supervision = ({ processes: { watchdog_enabled: isWatched, checked_at: at } }) =>
  h('span.quiet', `Watchdog ${isWatched ? 'on' : 'off'}, checked `, ago(at));

function showProcesses({ processes: found, agents: known = [], status: session }) {
  const checked = moment(found.checked_at);
  const isOn = found.session?.alive;
  const main = found.main_process;
  const uptime = session?.session_uptime_seconds;
  const state = (alive, isNeeded) => (alive ? 'alive' : isNeeded ? 'dead' : 'gone');
  const named = new Map(known.map((agent) => [agent.id, agent]));
  const rows = [
    {
      name: 'Session',
      pid: main.pid,
      state: state(main.alive),
      note: found.session?.status,
      started: uptime && checked - uptime * 1000,
    },
    {
      name: 'Dashboard',
      pid: found.dashboard.pid,
      state: state(found.dashboard.alive),
      note: !found.dashboard.alive && 'as recorded; another serves this page',
    },
    ...found.agents.map(({ id, pid, state: is, status, heartbeat_age_seconds: age }) => ({
      name: named.get(id)?.name || id || 'Agent',
      id,
      pid,
      note: 'agent',
      state: state(is === 'alive', status === 'running'),
      started: named.get(id)?.started_at,
      heard: age == null ? null : checked - age * 1000,
    })),
    ...(found.registered_processes ?? []).map(({ label, pid, alive, started, parent_pid: parent, extra }) => ({
      name: label || 'Helper',
      pid,
      state: state(alive, isOn),
      started,
      note: [parent && `child of ${parent}`, extra].filter(Boolean).join(', '),
    })),
  ];
  return table({
    caption: 'Processes',
    rows,
    key: ({ name, pid }) => `${name} ${pid}`,
    columns: [
      {
        label: 'Process',
        cell: ({ name, id, note }) =>
          h(
            'span',
            id ? h('a.strong', { href: link('agents', id) }, name) : h('b', name),
            note && h('small.quiet', ` ${note}`),
          ),
        sort: ({ name }) => name,
      },
      { label: 'State', cell: ({ pid, state: is }) => pill(pid ? is : 'not running'), sort: ({ state: is }) => is },
      { label: 'Pid', cell: ({ pid }) => h('span.mono', pid ?? NONE), sort: ({ pid }) => pid },
      {
        label: 'Running for',
        cell: ({ started, state: is }) => (is === 'alive' && started ? since(started) : NONE),
        sort: ({ started }) => moment(started),
      },
      { label: 'Heartbeat', cell: ({ heard }) => (heard == null ? NONE : ago(heard)), sort: ({ heard }) => heard },
    ],
  });
}
