// Format values and states for people. A missing value is a dash, which is not the same as zero.

import { acting, BASE, contact, keptCell, now } from './api.js';

/**
 * A table for names that come from data: unlike an object literal, it has no `constructor` and no `__proto__`.
 *
 * @template T
 * @param {Record<string, T>} entries
 * @returns {Record<string, T>}
 */
export const lookup = (entries) => Object.assign(Object.create(null), entries);

export const NONE = '–';

const plain = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 1 });
const [sums, smallSums] = [2, 4].map(
  (digits) => new Intl.NumberFormat('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
/** `utc` if times are written in UTC, else they are in the zone of the browser; read when the page is loaded. */
export const clock = keptCell('clock', '');
const zoned = clock.value === 'utc' ? { timeZone: 'UTC' } : {};
/** @type {(how: Intl.DateTimeFormatOptions) => Intl.DateTimeFormat} a format in the zone of the page */
export const dates = (how) => new Intl.DateTimeFormat('en-GB', { ...how, ...zoned });
const clockTime = dates({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
const whole = dates({ dateStyle: 'medium', timeStyle: 'medium' });
const day = dates({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

export const number = (value) => (isNumber(value) ? plain.format(value) : NONE);

/** 950, 12.4k, 3.1M: tokens and other large counts. */
export function compact(value) {
  if (!isNumber(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 999_500) return `${round(value / 1e6)}M`;
  return size >= 1000 ? `${round(value / 1000)}k` : plain.format(value);
}

const round = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, ''));

/** US dollars; small sums with more digits. */
export function money(value) {
  if (!isNumber(value)) return NONE;
  const isSmall = value !== 0 && Math.abs(value) < 0.1;
  return `${value < 0 ? '−' : ''}$${(isSmall ? smallSums : sums).format(Math.abs(value))}`;
}

/** A percentage. */
export const percent = (value) => (isNumber(value) ? `${plain.format(value)}%` : NONE);

/** Seconds: 4s, 3m 04s, 2h 52m, 3d 4h. */
export function duration(seconds) {
  if (!isNumber(seconds)) return NONE;
  const all = Math.max(0, Math.round(seconds));
  const [d, hours, minutes, rest] = [
    Math.floor(all / 86400),
    Math.floor(all / 3600) % 24,
    Math.floor(all / 60) % 60,
    all % 60,
  ];
  if (d) return `${d}d ${hours}h`;
  if (hours) return `${hours}h ${two(minutes)}m`;
  return minutes ? `${minutes}m ${two(rest)}s` : `${rest}s`;
}

const two = (value) => String(value).padStart(2, '0');

const LATEST = 8.64e15; // ms; what a Date can be

/** Milliseconds of a moment in any form that the API gives, or null; without a zone it is UTC. */
export function moment(value) {
  const text = /T[\d:.]+$/.test(value) ? `${value}Z` : value;
  const parsed = isNumber(value) ? value : Date.parse(text);
  return Math.abs(parsed) <= LATEST ? parsed : null;
}

const by = (formatter) => (value) => {
  const at = moment(value);
  return at === null ? NONE : formatter.format(at);
};
export const time = by(clockTime);
export const dateTime = by(whole);
export const shortDate = by(day);
/** Two moments in ms, as 24 Nov, 10:03 – 10:40. */
export const span = (from, to) => day.formatRange(from, to);
/** The day of a moment, as 24 Nov 2026. */
export const date = by(dates({ dateStyle: 'medium' }));
const offsets = dates({ timeZoneName: 'shortOffset' });
/** The zone of the page at a moment, as UTC+1. */
export const offset = (at) =>
  `${offsets.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value}`
    .replace('GMT', 'UTC')
    .replace(/\+0$/, '');

/** `in_progress` → In progress; `QA` stays. */
export function words(value) {
  const text = String(value ?? '')
    .replace(/[_-]+/g, ' ')
    .trim();
  if (!text) return NONE;
  const calm = text.length > 3 && text === text.toUpperCase() ? text.toLowerCase() : text;
  return calm[0].toUpperCase() + calm.slice(1);
}

const BIDI = /[\u202a-\u202e\u2066-\u2069]/;
/** A name for a title or sentence: its bidi controls do not reach what follows it. */
export const isolated = (name) => (BIDI.test(name) ? `\u2068${name.replace(/[\u2066-\u2069]/g, '')}\u2069` : name);

/** 1 task, 3 tasks. */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

// What states and numbers mean: is it alive, is it progressing, what does it cost, what needs me?

/** @typedef {Record<string, any>} Data what slices hold, by the name of the slice */

const SILENT_SECONDS = 60;
const STALLED = 3; // iterations without a change
export const RATE_OVER = 8; // iterations
const RUNNING = new Set(['running', 'autonomous']);

export const isRunning = (status) => RUNNING.has(status?.status);
export const isPaused = (status) => status?.status === 'paused';
export const isAtWork = (agent) => agent.alive && agent.status === 'running';

/** Whether this project has never had a session. */
export const isBlank = (/** @type {Data} */ { status, tasks, convergence }) =>
  Boolean(status) &&
  status.status === 'stopped' &&
  !status.iteration &&
  !tasks?.length &&
  !convergence?.dataPoints.length;

/** Seconds since an agent's last heartbeat, or null. */
export function silence(agent) {
  const heard = moment(agent.heartbeat);
  return heard === null ? null : Math.max(0, (now() - heard) / 1000);
}

export const isSilent = (agent) => isAtWork(agent) && (silence(agent) ?? 0) > SILENT_SECONDS;

/** An agent's state in one word, `silent` included. */
export function agentState(agent) {
  if (agent.pause_requested) return 'paused';
  return isSilent(agent) ? 'silent' : agent.status;
}

/** When the session last reported anything (ms), or null. */
export function lastSign(/** @type {Data} */ { agents = [], contextWindow, convergence }) {
  const moments = [
    ...agents.map((agent) => agent.heartbeat),
    contextWindow?.updated_at,
    convergence?.dataPoints.at(-1)?.timestamp,
  ];
  const known = moments.map(moment).filter((each) => each !== null);
  return known.length ? Math.min(now(), Math.max(...known)) : null;
}

export function alive(/** @type {Data} */ { status, agents = [] }) {
  const atWork = agents.filter(isAtWork);
  const silent = atWork.filter(isSilent).length;
  const living = agents.filter((agent) => agent.alive).length;
  if (contact.value.lost)
    return { tone: 'quiet', headline: 'Not known', note: `No contact; it was ${stateWord(status).toLowerCase()}` };
  if (isPaused(status)) return { tone: 'warn', headline: 'Paused', note: `${count(living, 'agent')} waiting` };
  if (!isRunning(status))
    return {
      tone: living ? 'warn' : 'quiet',
      headline: 'Not running',
      note: living
        ? `but ${count(living, 'agent process', 'agent processes')} still there`
        : 'No process of the session is alive',
    };
  const waiting = living - atWork.length;
  const note = [
    `${count(atWork.length, 'agent')} at work`,
    silent && `${silent} silent`,
    waiting > 0 && `${waiting} waiting`,
  ]
    .filter(Boolean)
    .join(', ');
  return { tone: silent ? 'warn' : 'good', headline: 'Yes', note };
}

export function progress(/** @type {Data} */ { status, convergence, verdicts }) {
  const points = convergence?.dataPoints ?? [];
  const last = points.at(-1);
  if (!last)
    return {
      tone: 'quiet',
      headline: isRunning(status) ? 'Just begun' : 'Nothing yet',
      note: 'No iteration has ended',
      values: [],
    };
  const signals = count(last.done_signals, 'done signal');
  const note = `${count(last.files_changed, 'file')} in iteration ${last.iteration}, ${signals}`;
  const values = points.slice(-30).map((point) => point.files_changed);
  const verdict = verdicts?.verdicts.reduce((a, b) => (b.iteration >= a.iteration ? b : a), { iteration: -1 });
  const say = (tone, headline) => ({ tone, headline, note, values });
  if (verdict?.result === 'complete' && verdict.iteration >= last.iteration - 1)
    return say('good', 'Done, says the council');
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

/** The forecast of the spend, in words. */
export function spendNote({ limit, left, rate, secondsLeft }, status) {
  if (left !== null && left <= 0) return 'The budget is used up';
  const pace = rate && isRunning(status) ? `about ${money(rate)} an hour` : '';
  if (limit === null) return pace || 'No budget is set';
  if (pace && secondsLeft !== null) return `${pace}, limit in ${duration(secondsLeft)}`;
  return `${money(left)} left`;
}

export const spendHeadline = ({ used, share }) =>
  share === null ? money(used) : `${money(used)} · ${percent(Math.round(share))}`;

// Alerts that are snoozed. The API has no such state, so a snooze is kept in this browser: other people still see them.

/** When snoozes end, in ms, as JSON by what `keyOf` returns; it changes when one begins and when one ends. */
export const snoozes = keptCell('snoozed', '');
const LONGEST_TIMER = 2 ** 31 - 1; // ms
/** @type {Record<string, number>} */
let snoozeEnds = {};
let snoozeTimer = 0;

/** Forget snoozes that have ended, and wait for the end of the next one. */
function followSnoozes() {
  clearTimeout(snoozeTimer);
  snoozeEnds = readSnoozes();
  const left = Object.values(snoozeEnds);
  if (left.some((end) => end <= now())) snooze([], 0);
  else if (left.length) snoozeTimer = setTimeout(followSnoozes, Math.min(LONGEST_TIMER, Math.min(...left) - now() + 1));
}

function readSnoozes() {
  try {
    return JSON.parse(snoozes.value || '{}');
  } catch {
    return {};
  }
}

/** The same for an alert and its repeats, whose ids and numbers differ: “Context window at 92.2% capacity”. */
const keyOf = ({ severity, trigger, trigger_id: id, message }) =>
  [BASE.pathname + acting.value, severity, id ?? trigger, String(message).replace(/\d+(\.\d+)?/g, '#')].join('\n');

/** When the snooze of an alert ends, in ms; 0 if it is not snoozed. */
export const snoozedUntil = (alert) => (snoozes.value && snoozeEnds[keyOf(alert)]) || 0;

/** Snooze alerts and their repeats until a moment in ms; 0 ends that. */
export function snooze(/** @type {any[]} */ alerts, end) {
  const all = { ...snoozeEnds, ...Object.fromEntries(alerts.map((each) => [keyOf(each), end])) };
  const left = Object.entries(all).filter(([, until]) => until > now());
  snoozes.set(left.length ? JSON.stringify(Object.fromEntries(left)) : '');
}

snoozes.watch(followSnoozes);

/** Whether nobody has acknowledged an alert, and it is not snoozed. */
export const isOpen = (alert) => !alert.acknowledged && !snoozedUntil(alert);

const WORST_FIRST = ['critical', 'warning', 'info'];

/**
 * @typedef {object} Need
 * @property {string} key
 * @property {string} severity
 * @property {string} text
 * @property {number | null} at in milliseconds
 * @property {string} [view] where to look, and the `id` in that view
 * @property {string} [id]
 * @property {any} [notification] that can be acknowledged
 * @property {boolean} [resume] whether the session can be resumed
 */

/**
 * Return what needs attention, most severe first.
 *
 * @returns {Need[]}
 */
export function needs(/** @type {Data} */ { status, agents = [], cost, tasks = [], notifications = [], convergence }) {
  const found = notifications
    .filter((each) => isOpen(each) && each.severity !== 'info')
    .map((each) => ({
      key: `n-${each.id}`,
      severity: each.severity,
      text: each.message,
      at: moment(each.timestamp),
      notification: each,
    }));
  const add = (key, severity, text, more) => found.push({ key, severity, text, at: null, ...more });
  const { left, limit, share, secondsLeft } = spend(cost);
  const lasts = secondsLeft === null ? '' : `; at this rate it lasts about ${duration(secondsLeft)}`;
  if (isPaused(status)) add('paused', 'warning', 'The session is paused', { resume: true });
  if (left !== null && left <= 0)
    add('budget', 'critical', `The budget of ${money(limit)} is used up`, { view: 'cost' });
  else if (share !== null && share >= 70 && isRunning(status))
    add('budget', 'warning', `${money(left)} of the budget is left${lasts}`, { view: 'cost' });
  if (isRunning(status)) {
    // without contact nobody is heard of
    for (const agent of contact.value.lost ? [] : agents.filter(isSilent))
      add(
        `s-${agent.id}`,
        'warning',
        `${isolated(agent.name || agent.id)} has been silent for ${duration(silence(agent))}`,
        {
          view: 'agents',
          id: agent.id,
          at: moment(agent.heartbeat),
        },
      );
    for (const agent of agents.filter((each) => !each.alive && each.status === 'running'))
      add(
        `d-${agent.id}`,
        'critical',
        `${isolated(agent.name || agent.id)} should be running, but its process is gone`,
        {
          view: 'agents',
          id: agent.id,
        },
      );
  }
  const broken = tasks.filter((task) => task.failed);
  if (broken.length)
    add(
      'failed',
      'warning',
      broken.length === 1 ? `Task failed: ${broken[0].title || broken[0].id}` : `${broken.length} tasks failed`,
      { view: 'tasks', id: broken.length === 1 ? broken[0].id : undefined },
    );
  const streak = convergence?.dataPoints.at(-1)?.no_change_streak ?? 0;
  if (isRunning(status) && streak >= STALLED)
    add('stalled', 'warning', `Nothing changed in ${streak} iterations`, { view: 'council' });
  return found.sort(
    (a, b) => WORST_FIRST.indexOf(a.severity) - WORST_FIRST.indexOf(b.severity) || (b.at ?? 0) - (a.at ?? 0),
  );
}

/** The state of the session for the strip: the kind of the lamp, and a word. */
export function stateOf(status, error) {
  if (contact.value.lost) return { kind: 'lost', word: 'No contact' };
  if (!status) return { kind: 'loading', word: error ? 'Unknown' : 'Loading' };
  const kind = isPaused(status) ? 'paused' : isRunning(status) ? 'running' : 'stopped';
  return { kind, word: stateWord(status) };
}

function stateWord(status) {
  if (isPaused(status)) return 'Paused';
  if (isRunning(status)) return 'Running';
  if (status && !status.database_connected) return 'State folder gone';
  if (status?.stale) return 'Silent';
  return status?.iteration ? 'Stopped' : 'No session';
}

export const phaseOf = (status) => (status?.phase ? words(status.phase) : NONE);
