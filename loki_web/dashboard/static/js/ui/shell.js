// The frame: session strip, menu counts, banner, title. It is there on every view.

import { contact } from '../core/api.js';
import { draw, h, icon } from '../core/dom.js';
import { NONE, count, money, number } from '../core/format.js';
import * as live from '../core/live.js';
import { isAtWork, isRunning, lastSign, needs, phaseOf, spend, stateOf } from '../core/situation.js';
import * as slices from '../core/slices.js';
import { ago, since, until } from './ago.js';
import { meter } from './meter.js';
import { sessionButtons } from './session.js';

const element = (id) => document.getElementById(id);

/** @param {import('../core/view.js').ViewContext} ctx one that is never left */
export function shell(ctx) {
  const { status, tasks, agents, cost, notifications, contextWindow, convergence } = slices;
  const all = { status, tasks, agents, cost, notifications, contextWindow, convergence };
  const redraw = () => {
    const data = Object.fromEntries(Object.entries(all).map(([name, slice]) => [name, slice.data]));
    drawStrip(data);
    drawBadges(data);
    drawTitle(data);
  };
  const later = () => ctx.schedule(redraw);
  ctx.redraws(redraw);
  for (const slice of Object.values(all)) ctx.watch(slice, later);
  for (const source of [live.state, live.nextTry, contact]) ctx.watch(source, () => ctx.schedule(drawBanner));
  ctx.watch(live.state, later);
  ctx.watch(contact, ({ lost }) => { document.documentElement.dataset.contact = lost ? 'lost' : 'there'; });
}

function drawStrip(data) {
  const { status, cost } = data;
  const state = stateOf(slices, status);
  draw(element('strip'),
    h('span.state', { 'data-state': state.kind }, h('span.lamp'), state.word),
    h('dl.facts', status && facts(data, spend(cost))),
    h('div.strip-end', linkState(), sessionButtons(status)));
}

function facts(data, { used, limit, share }) {
  const { status } = data;
  const sign = lastSign(data);
  const started = Date.now() - status.session_uptime_seconds * 1000 - (Date.now() - slices.status.at);
  return [
    fact('Last activity', sign === null ? NONE : ago(sign)),
    fact('Elapsed', isRunning(status) && status.session_uptime_seconds ? since(started) : NONE),
    fact('Iteration', status.iteration ? number(status.iteration) : NONE),
    fact('Phase', phaseOf(status)),
    fact('Cost', [used === null ? NONE : money(used), limit !== null && ` of ${money(limit)}`, limit !== null && meter(share, 'Budget used')]),
    fact('Working on', status.current_task || NONE, 'extra'),
  ];
}

const fact = (label, value, more) => h('div.fact', { class: more, key: label }, h('dt', label), h('dd', value));

const WORDS = { connecting: 'Connecting', live: 'Live', polling: 'Polling', offline: 'Offline', locked: 'No access' };

function linkState() {
  const state = live.state.value;
  const title = { live: 'Changes are shown as they happen', polling: 'No live connection: asking the server every few seconds', offline: 'The server does not answer' }[state];
  return h('span.link-state', { 'data-link': state, title, role: 'status' }, WORDS[state],
    slices.status.at > 0 && state !== 'live' && h('span', { 'aria-hidden': 'true' }, ago(slices.status.at)));
}

function drawBanner() {
  const { at, lost } = contact.value;
  const next = live.nextTry.value;
  draw(element('banner'), lost && [
    icon('warning'),
    h('span', 'The server does not answer. ', at ? ['Last contact ', ago(at), '; what is shown is from then.'] : 'Nothing could be loaded yet.'),
    next > Date.now() && h('span.quiet', { 'aria-hidden': 'true' }, 'Next try in ', until(next)),
    h('button.button.small', { type: 'button', onclick: () => slices.status.refresh().then(live.tryNow) }, icon('retry'), 'Try now'),
  ]);
}

function drawBadges({ tasks, agents, notifications }) {
  const open = tasks?.filter((task) => task.status !== 'done').length;
  badge('tasks', open, `${count(open ?? 0, 'task')} open`);
  const working = agents?.filter(isAtWork).length;
  badge('agents', working, `${count(working ?? 0, 'agent')} at work`);
  const waiting = notifications?.filter((each) => !each.acknowledged).length;
  badge('alerts', waiting, `${count(waiting ?? 0, 'alert')} not acknowledged`, true);
}

function badge(view, value, title, isAlarm) {
  const shown = document.querySelector(`[data-badge="${view}"]`);
  draw(shown, value ? [h('span', { 'aria-hidden': 'true' }, number(value)), h('span.spoken', ` (${title})`)] : null);
  shown.title = title;
  shown.classList.toggle('alarm', Boolean(isAlarm && value));
}

let view = '';

/** The view that the title names. */
export function setTitle(name) {
  view = name;
  drawTitle(Object.fromEntries(Object.entries(slices).map(([key, slice]) => [key, slice.data])));
}

function drawTitle(data) {
  const { word } = stateOf(slices, data.status);
  const waiting = needs(data).length;
  document.title = `${waiting ? `(${waiting}) ` : ''}${word} · ${view} · ${data.status?.project || 'Loki Web'}`;
  draw(element('brand-name'), data.status?.project || 'Loki Web');
  draw(element('brand-note'), data.status ? [data.status.version && `v${data.status.version}`, data.status.provider].filter(Boolean).join(' · ') : ' ');
}
