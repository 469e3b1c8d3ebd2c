import { address, post } from '../core/api.js';
import { h } from '../core/dom.js';
import { NONE, percent } from '../core/format.js';
import { link } from '../core/router.js';
import { agentState, silence } from '../core/situation.js';
import * as slices from '../core/slices.js';
import { actionButton } from './action.js';
import { ago } from './ago.js';
import { empty, pill } from './faces.js';
import { meter } from './meter.js';
import { table } from './table.js';

const WORST_FIRST = ['failed', 'silent', 'running', 'paused'];

/** The agents with what can be done to each. */
export function agentTable({ agents, contextWindow, columns = [] }) {
  if (!agents.length) return empty('No agents', 'Agents appear when the session starts them.');
  const windows = new Map((contextWindow?.agents ?? []).map((each) => [each.id, each.usage_percent]));
  const rank = (agent) => (WORST_FIRST.indexOf(agentState(agent)) + 1) || 9;
  return table({
    caption: 'Agents', key: (agent) => agent.id, rows: [...agents].sort((a, b) => rank(a) - rank(b)),
    columns: [
      { label: 'Agent', cell: (agent) => h('a.strong', { href: link('agents', agent.id), 'data-row': '' }, agent.name || agent.id), sort: (agent) => agent.name || agent.id },
      { label: 'State', cell: (agent) => pill(agentState(agent)), sort: agentState },
      { label: 'Task', cell: (agent) => agent.task || h('span.quiet', NONE), sort: (agent) => agent.task },
      ...(agents.some(({ id }) => windows.has(id)) ? [{ label: 'Context', cell: (agent) => drawWindow(agent, windows), sort: (agent) => windows.get(agent.id) }] : []),
      { label: 'Heartbeat', cell: (agent) => h('span.quiet.nowrap', ago(agent.heartbeat)), sort: silence },
      ...columns,
      { label: '', class: 'acts', cell: agentActions },
    ],
  });
}

function drawWindow(agent, windows) {
  const used = windows.get(agent.id);
  return used === undefined ? h('span.quiet', NONE) : [meter(used, `Context window of ${agent.id}`), h('small.quiet', percent(used))];
}

/** Pause or resume, and kill. */
export function agentActions(agent) {
  const refresh = [slices.agents, slices.processes];
  const call = (verb) => () => post(address(['api/agents', agent.id, verb]));
  const name = agent.name || agent.id;
  const off = agent.alive ? null : 'Its process is not running';
  const noProcess = agent.pid ? off : 'It has no process of its own';
  const resume = { label: 'Resume', run: call('resume'), refresh };
  return [
    agent.pause_requested ? actionButton({ ...resume, class: 'small', key: 'resume', name: `Resume ${name}` })
      : actionButton({ label: 'Pause', class: 'small', key: 'pause', name: `Pause ${name}`, off, run: call('pause'), undo: resume, refresh }),
    actionButton({ label: 'Kill', class: 'small danger', key: 'kill', name: `Kill ${name}`, off: noProcess, run: call('kill'), refresh,
      confirm: { title: `Kill ${name}?`, body: `The process ${agent.pid} is ended at once. What it has not written is lost${agent.task ? `, and “${agent.task}” stays unfinished` : ''}.`, verb: 'Kill agent' } }),
  ];
}
