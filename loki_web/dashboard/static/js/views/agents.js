// The agents with what can be done to each, and their processes.

import { address, post } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import { agents, contextWindow, processes, status, triggers } from '../core/store.js';
import { link } from '../core/views.js';
import { agentState, count, isolated, isSilent, moment, NONE, words } from '../core/words.js';
import { filters } from '../extra/filters.js';
import { forEach, selection } from '../extra/selection.js';
import { windows } from '../extra/windows.js';
import { actionButton, agentTable } from '../ui/actions.js';
import { ago, empty, panel, pill, since, table } from '../ui/elements.js';

const COLUMNS = [
  { label: 'Type', cell: ({ type }) => words(type), sort: ({ type }) => type },
  { label: 'Model', cell: ({ model }) => model || h('span.quiet', NONE), sort: ({ model }) => model },
];

export function view(ctx) {
  const summary = h('span.quiet', { role: 'status' });
  const picks = selection({ noun: 'agent', actions: bulkActions, changed: () => all.redraw() });
  const pick = { label: 'Select', class: 'pick', cell: (agent) => picks.box(agent, agent.name || agent.id) };
  const all = panel(ctx, {
    title: 'Agents',
    from: { agents },
    also: { contextWindow },
    lines: 6,
    above: picks.bar,
    show: (data) => show(data),
  });
  const filter = filters(ctx, {
    label: 'Filter agents',
    placeholder: 'Filter by name, id or task',
    text: (agent) => `${agent.name ?? ''} ${agent.id} ${agent.task} ${agent.type} ${agent.model ?? ''}`,
    facets: [
      { name: 'state', label: 'State', of: agentState },
      { name: 'type', label: 'Type', of: (agent) => agent.type },
      { name: 'model', label: 'Model', of: (agent) => agent.model, word: String },
    ],
  });
  let silent = '';

  function show(data) {
    const shown = filter.fit(data.agents);
    picks.offer(shown);
    if (data.agents.length && !shown.length) return empty('No agent fits', 'Other filters would show some.');
    return agentTable({ ...data, agents: shown, first: [pick], columns: COLUMNS, isLong: true });
  }

  /** Pause, Resume and Kill, each for the selected agents to which it applies. */
  function bulkActions(selected) {
    const paused = selected.filter((agent) => agent.pause_requested);
    const awake = selected.filter((agent) => agent.alive && !agent.pause_requested);
    const killable = selected.filter((agent) => agent.alive && agent.pid);
    return [
      bulkButton('Pause', 'paused', awake),
      bulkButton('Resume', 'resumed', paused),
      bulkButton('Kill', 'killed', killable, {
        title: `Kill ${count(killable.length, 'agent')}?`,
        body: `${killable.map(({ name, id }) => isolated(name || id)).join(', ')}: what they have not written is lost.`,
        isOfSession: true,
        verb: 'Kill agents',
      }),
    ];
  }

  /** @param {import('../ui/actions.js').Action['confirm']} [confirm] */
  const bulkButton = (verb, done, fitting, confirm) =>
    actionButton({
      label: `${verb} ${fitting.length}`,
      name: `${verb} ${count(fitting.length, 'agent')}`,
      class: confirm ? 'small danger' : 'small',
      key: verb,
      off: !fitting.length && `None of the selected agents can be ${done}`,
      confirm,
      run: () =>
        forEach(fitting, 'agent', ({ id }) => post(address(['api/agents', id, verb.toLowerCase()]))).then(picks.clear),
      done: `${count(fitting.length, 'agent')} ${done}`,
      refresh: [agents, processes],
    });

  function redraw() {
    const states = (agents.data ?? []).map(agentState);
    draw(
      summary,
      [...new Set(states)]
        .map((state) => `${states.filter((each) => each === state).length} ${words(state).toLowerCase()}`)
        .join(', '),
    );
  }

  ctx.watch(agents, () => ctx.schedule(redraw));
  ctx.redraws(redraw);
  ctx.onRoute(all.redraw);
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
    filter.bar,
    filter.chips,
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
