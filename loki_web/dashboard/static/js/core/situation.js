// What the numbers mean: is it alive, is it progressing, what does it cost, what needs me?

import { now } from './clock.js';
import { NONE, count, duration, money, moment, number, percent, words } from './format.js';

export const SILENT_SECONDS = 60;
const STALLED = 3; // iterations without a change
const RATE_OVER = 8; // iterations
const RUNNING = new Set(['running', 'autonomous']);

export const isRunning = (status) => RUNNING.has(status?.status);
export const isPaused = (status) => status?.status === 'paused';
export const isAtWork = (agent) => agent.alive && agent.status === 'running';

/** True where no session was ever seen. */
export const isBlank = ({ status, tasks, convergence }) =>
  Boolean(status) && status.status === 'stopped' && !status.iteration && !tasks?.length && !convergence?.dataPoints.length;

/** Seconds since an agent last said something, or null. */
export function silence(agent) {
  const heard = moment(agent.heartbeat);
  return heard === null ? null : Math.max(0, (now() - heard) / 1000);
}

export const isSilent = (agent) => isAtWork(agent) && silence(agent) > SILENT_SECONDS;

/** An agent's state in one word, silence included. */
export function agentState(agent) {
  if (agent.pause_requested) return 'paused';
  return isSilent(agent) ? 'silent' : agent.status;
}

/** When something was last heard of the session (ms), or null. */
export function lastSign({ agents = [], contextWindow, convergence }) {
  const moments = [...agents.map((agent) => agent.heartbeat), contextWindow?.updated_at, convergence?.dataPoints.at(-1)?.timestamp];
  const known = moments.map(moment).filter((each) => each !== null);
  return known.length ? Math.min(now(), Math.max(...known)) : null;
}

export function alive({ status, agents = [] }) {
  const atWork = agents.filter(isAtWork);
  const silent = atWork.filter(isSilent).length;
  const living = agents.filter((agent) => agent.alive).length;
  if (isPaused(status)) return { tone: 'warn', headline: 'Paused', note: `${count(living, 'agent')} waiting` };
  if (!isRunning(status)) return { tone: living ? 'warn' : 'quiet', headline: 'Not running', note: living ? `but ${count(living, 'agent process', 'agent processes')} still there` : 'No process of the session is alive' };
  const note = `${count(atWork.length, 'agent')} at work${silent ? `, ${silent} silent` : ''}${living > atWork.length ? `, ${living - atWork.length} waiting` : ''}`;
  return { tone: silent ? 'warn' : 'good', headline: 'Yes', note };
}

export function progress({ status, convergence, verdicts }) {
  const points = convergence?.dataPoints ?? [];
  const last = points.at(-1);
  if (!last) return { tone: 'quiet', headline: isRunning(status) ? 'Just begun' : 'Nothing yet', note: 'No iteration has ended', values: [] };
  const note = `${count(last.files_changed, 'file')} in iteration ${last.iteration}, ${count(last.done_signals, 'done signal')}`;
  const values = points.slice(-30).map((point) => point.files_changed);
  const verdict = verdicts?.verdicts.reduce((a, b) => (b.iteration > a.iteration ? b : a), { iteration: -1 });
  const say = (tone, headline) => ({ tone, headline, note, values });
  if (verdict?.result === 'complete' && verdict.iteration >= last.iteration - 1) return say('good', 'Done, says the council');
  if (last.no_change_streak >= STALLED) return say('bad', `Stalled for ${count(last.no_change_streak, 'iteration')}`);
  if (!isRunning(status)) return say('quiet', `Stands at iteration ${number(last.iteration)}`);
  const mean = (list) => list.reduce((sum, value) => sum + value, 0) / (list.length || 1);
  const isCalming = values.length >= 6 && mean(values.slice(-3)) < mean(values.slice(0, -3)) * 0.7;
  return say('good', isCalming ? 'Converging' : 'Working');
}

/** Spend against the budget: dollars, dollars an hour, seconds until the limit. Unknown is null. */
export function spend(cost) {
  const used = cost?.budget_used ?? cost?.estimated_cost_usd ?? null;
  const limit = cost?.budget_limit ?? null;
  const rate = hourly(cost?.by_iteration ?? []);
  const left = limit === null || used === null ? null : limit - used;
  const secondsLeft = left !== null && rate ? Math.max(0, (left / rate) * 3600) : null;
  const share = limit && used !== null ? (used / limit) * 100 : null;
  const tone = share === null ? 'quiet' : share >= 90 ? 'bad' : share >= 70 ? 'warn' : 'good';
  return { used, limit, left, rate, secondsLeft, share, tone };
}

function hourly(iterations) {
  const recent = iterations.slice(-RATE_OVER);
  const [from, to] = [moment(recent[0]?.timestamp), moment(recent.at(-1)?.timestamp)];
  if (recent.length < 2 || from === null || to === null || to <= from) return null;
  const spent = recent.slice(1).reduce((sum, each) => sum + each.cost_usd, 0);
  return spent > 0 ? (spent / (to - from)) * 3_600_000 : null;
}

/** Its forecast in words. */
export function spendNote({ limit, left, rate, secondsLeft }, status) {
  if (left !== null && left <= 0) return 'The budget is used up';
  const pace = rate && isRunning(status) ? `about ${money(rate)} an hour` : '';
  if (limit === null) return pace || 'No budget is set';
  if (pace && secondsLeft !== null) return `${pace}, limit in ${duration(secondsLeft)}`;
  return `${money(left)} left`;
}

export const spendHeadline = ({ used, share }) => (share === null ? money(used) : `${money(used)} · ${percent(Math.round(share))}`);

const WORST_FIRST = ['critical', 'warning', 'info'];

/**
 * What waits for somebody, worst first.
 *
 * @returns {{key: string, severity: string, text: string, at: ?number, view?: string, id?: string, notification?: object, resume?: boolean}[]}
 */
export function needs({ status, agents = [], cost, tasks = [], notifications = [], convergence }) {
  const found = notifications
    .filter((each) => !each.acknowledged && each.severity !== 'info')
    .map((each) => ({ key: `n-${each.id}`, severity: each.severity, text: each.message, at: moment(each.timestamp), notification: each }));
  const add = (key, severity, text, more) => found.push({ key, severity, text, at: null, ...more });
  const money_ = spend(cost);
  if (isPaused(status)) add('paused', 'warning', 'The session is paused', { resume: true });
  if (money_.left !== null && money_.left <= 0) add('budget', 'critical', `The budget of ${money(money_.limit)} is used up`, { view: 'cost' });
  else if (money_.share >= 70 && isRunning(status)) add('budget', 'warning', `${money(money_.left)} of the budget is left${money_.secondsLeft === null ? '' : `; at this rate it lasts about ${duration(money_.secondsLeft)}`}`, { view: 'cost' });
  if (isRunning(status)) {
    for (const agent of agents.filter(isSilent)) add(`s-${agent.id}`, 'warning', `${agent.name || agent.id} has been silent for ${duration(silence(agent))}`, { view: 'agents', id: agent.id, at: moment(agent.heartbeat) });
    for (const agent of agents.filter((each) => !each.alive && each.status === 'running')) add(`d-${agent.id}`, 'critical', `${agent.name || agent.id} should be running, but its process is gone`, { view: 'agents', id: agent.id });
  }
  const broken = tasks.filter((task) => task.failed);
  if (broken.length) add('failed', 'warning', broken.length === 1 ? `Task failed: ${broken[0].title || broken[0].id}` : `${broken.length} tasks failed`, { view: 'tasks', id: broken.length === 1 ? broken[0].id : undefined });
  const streak = convergence?.dataPoints.at(-1)?.no_change_streak ?? 0;
  if (isRunning(status) && streak >= STALLED) add('stalled', 'warning', `Nothing changed in ${streak} iterations`, { view: 'council' });
  return found.sort((a, b) => WORST_FIRST.indexOf(a.severity) - WORST_FIRST.indexOf(b.severity) || (b.at ?? 0) - (a.at ?? 0));
}

/** The state of the session for the strip: a kind for the lamp and a word. */
export function stateOf(slices, status) {
  if (!status) return { kind: 'loading', word: slices.status.error ? 'Unknown' : 'Loading' };
  if (isPaused(status)) return { kind: 'paused', word: 'Paused' };
  if (isRunning(status)) return { kind: 'running', word: 'Running' };
  if (!status.database_connected) return { kind: 'stopped', word: 'State folder gone' };
  if (status.stale) return { kind: 'stopped', word: 'Silent' };
  return { kind: 'stopped', word: status.iteration ? 'Stopped' : 'No session' };
}

export const phaseOf = (status) => (status?.phase ? words(status.phase) : NONE);
