// The frame around every view: session strip, menu counts, banner, title.

import { acting, contact, keptCell } from '../core/api.js';
import { byId, draw, h, icon } from '../core/dom.js';
import * as live from '../core/live.js';
import {
  agents,
  contextWindow,
  convergence,
  cost,
  notifications,
  projects,
  someRecords,
  status,
  tasks,
} from '../core/store.js';
import { go, VIEWS } from '../core/views.js';
import {
  count,
  isAtWork,
  isOpen,
  isolated,
  isRunning,
  lastSign,
  money,
  NONE,
  needs,
  number,
  phaseOf,
  snoozes,
  spend,
  stateOf,
} from '../core/words.js';
import { sessionButtons } from './actions.js';
import { ago, meter, openLater, since, until } from './elements.js';

const SHOWN = { status, tasks, agents, cost, notifications, contextWindow, convergence };
/** Whether the session keeps records of its work, as newer ones do. */
export const hasRecords = () => Object.values(someRecords.data ?? {}).some((each) => each.length);
/** Whether there is another project to show. */
export function hasOthers() {
  const shown = status.data?.project_path;
  return status.data?.is_server_project === false || Boolean(projects.data?.some(({ path }) => path !== shown));
}
const read = () => Object.fromEntries(Object.entries(SHOWN).map(([name, slice]) => [name, slice.data]));

/** @param {import('../core/views.js').ViewContext} ctx a context that never ends */
export function shell(ctx) {
  const redraw = () => {
    const data = read();
    acting.set(data.status?.is_server_project === false ? data.status.project_path : '');
    drawStrip(data);
    drawBadges(data);
    drawTitle(data);
  };
  const later = () => ctx.schedule(redraw);
  ctx.redraws(redraw);
  for (const slice of [...Object.values(SHOWN), projects, someRecords]) ctx.watch(slice, later);
  for (const source of [live.state, live.nextTry, contact]) ctx.watch(source, () => ctx.schedule(drawBanner));
  for (const source of [live.state, snoozes]) ctx.watch(source, later);
  ctx.watch(contact, ({ lost }) => {
    const said = lost ? 'lost' : 'there';
    if (document.documentElement.dataset.contact === said) return;
    document.documentElement.dataset.contact = said;
    later();
  });
}

function drawStrip(data) {
  const state = stateOf(data.status, status.error);
  draw(
    byId('strip'),
    h('span.state', { 'data-state': state.kind }, h('span.lamp'), state.word),
    hasOthers() ? switcher(data.status) : h('span.project', data.status?.project),
    h('dl.facts', data.status && facts(data, spend(data.cost))),
    h('div.strip-end', linkState(), sessionButtons(data.status)),
  );
}

const switcher = (session) =>
  h(
    'button.project',
    { type: 'button', 'aria-haspopup': 'dialog', title: session?.project_path, onclick: openProjects },
    h('span.spoken', 'Project: '),
    session?.project ?? NONE,
  );

function facts(data, { used, limit, share }) {
  const session = data.status;
  const sign = lastSign(data);
  const started = status.at - session.session_uptime_seconds * 1000;
  return [
    fact('Last activity', sign === null ? NONE : ago(sign)),
    fact(
      'Cost',
      [
        used === null ? NONE : money(used),
        limit !== null && ` of ${money(limit)}`,
        limit !== null && meter(share, 'Budget used'),
      ],
      'always',
    ),
    fact('Phase', phaseOf(session), 'always'),
    fact('Iteration', session.iteration ? number(session.iteration) : NONE),
    fact('Elapsed', isRunning(session) && session.session_uptime_seconds ? since(started) : NONE),
    fact('Working on', session.current_task || NONE, 'extra'),
  ];
}

/** `always` is for phones too. Elsewhere the last ones are left out if there is no room for all. */
const fact = (label, value, more) => h('div.fact', { class: more, key: label }, h('dt', label), h('dd', value));

const WORDS = { connecting: 'Connecting', live: 'Live', polling: 'Polling', offline: 'Offline', locked: 'No access' };

function linkState() {
  const state = live.state.value;
  const title = {
    live: 'Changes are shown as they happen',
    polling: 'No live connection: asking the server every few seconds',
    offline: 'The server does not answer',
  }[state];
  return h(
    'span.link-state',
    { 'data-link': state, title, role: 'status' },
    WORDS[state],
    status.at > 0 && state !== 'live' && h('span', { 'aria-hidden': 'true' }, ago(status.at)),
  );
}

function drawBanner() {
  const { at, lost } = contact.value;
  const next = live.nextTry.value;
  draw(
    byId('banner'),
    lost && [
      icon('warning'),
      h(
        'span',
        'The server does not answer. ',
        at ? ['Last contact ', ago(at), '; what is shown is from then.'] : 'Nothing could be loaded yet.',
      ),
      next > Date.now() && h('span.quiet', { 'aria-hidden': 'true' }, 'Next try in ', until(next)),
      h(
        'button.button.small',
        { type: 'button', onclick: () => status.refresh().then(live.tryNow) },
        icon('retry'),
        'Try now',
      ),
    ],
  );
}

function drawBadges(data) {
  byId('nav-fleet').hidden = !hasOthers();
  byId('nav-records').hidden = !hasRecords();
  const open = data.tasks?.filter((task) => task.status !== 'done').length;
  badge('tasks', open, `${count(open ?? 0, 'task')} open`);
  const working = data.agents?.filter(isAtWork).length;
  badge('agents', working, `${count(working ?? 0, 'agent')} at work`);
  const waiting = data.notifications?.filter(isOpen).length;
  badge('alerts', waiting, `${count(waiting ?? 0, 'alert')} not acknowledged`, true);
  const icon = /** @type {HTMLLinkElement} */ (document.querySelector('link[rel=icon]'));
  const href = icon.href.replace(/icon[^/]*$/, waiting ? 'icon-alert.svg' : 'icon.svg');
  if (icon.href !== href) icon.href = href;
}

function badge(view, value, title, isAlarm) {
  for (const shown of /** @type {NodeListOf<HTMLElement>} */ (
    document.querySelectorAll(`[data-badge="${view}"], [data-count="${view}"]`)
  )) {
    draw(shown, value ? [h('span', { 'aria-hidden': 'true' }, number(value)), h('span.spoken', ` (${title})`)] : null);
    shown.title = title;
    shown.classList.toggle('alarm', Boolean(isAlarm && value));
  }
}

let view = '';

/** The view that the title names. */
export function setTitle(name) {
  view = name;
  drawTitle(read());
}

function drawTitle(data) {
  const { word } = stateOf(data.status, status.error);
  const waiting = needs(data).length;
  const title = `${word} · ${view} · ${isolated(data.status?.project) || 'Loki Web'}`;
  document.title = waiting ? `(${waiting}) ${title}` : title;
  draw(byId('brand-name'), data.status?.project || 'Loki Web');
  byId('brand-name').closest('a').title = data.status?.project_path ?? '';
  draw(
    byId('brand-note'),
    data.status
      ? [data.status.version && `v${data.status.version}`, data.status.provider].filter(Boolean).join(' · ')
      : ' ',
  );
}

/** Whether somebody wants notifications of the browser for new alerts. */
export const wantsNotice = keptCell('notify', '');
wantsNotice.watch((on) => on && openLater(() => import('../extra/notify.js')));

// Keys: the palette, `g` and a letter for views, `/` to search, `j` and `k` through rows.

/** `off` disables single-key shortcuts, for users of speech input (WCAG 2.1.4). */
export const singleKeys = keptCell('keys', 'on');
const SECOND_KEY = 1500;

let offered = {};
let isAfterG = 0;

export const openPalette = () => openLater(() => import('../extra/palette.js'), offered);
export const openProjects = () => openLater(() => import('../extra/switch.js'));
export const openHelp = () => openLater(() => import('../extra/help.js'));

/** @param {object} commands more commands for the palette */
export function listenToKeys(commands) {
  offered = commands;
  addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      openPalette();
    } else if (isPlain(event) && pressed(event.key)) event.preventDefault();
  });
}

function isPlain({ ctrlKey, metaKey, altKey, target, defaultPrevented }) {
  const isTyping = target.closest?.('input, textarea, select, [contenteditable]');
  return (
    !ctrlKey &&
    !metaKey &&
    !altKey &&
    !isTyping &&
    !defaultPrevented &&
    singleKeys.value === 'on' &&
    !document.querySelector('dialog:modal')
  );
}

/** Handle a key; return whether it has a meaning. */
function pressed(key) {
  const isSecond = Date.now() - isAfterG < SECOND_KEY;
  isAfterG = 0;
  if (isSecond) {
    const found = Object.entries(VIEWS).find(([, view]) => view.key === key);
    if (found) go(found[0]);
    return Boolean(found);
  }
  return KEYS[key]?.() ?? false;
}

const KEYS = {
  g() {
    isAfterG = Date.now();
    return true;
  },
  x() {
    const row = document.activeElement?.closest('tr, li');
    const box = /** @type {HTMLElement | null | undefined} */ (row?.querySelector('[data-pick]'));
    box?.click();
    return Boolean(box);
  },
  '?'() {
    openHelp();
    return true;
  },
  '/'() {
    const field = /** @type {HTMLElement | null} */ (document.querySelector('#main [data-search]'));
    if (field) field.focus();
    else openPalette();
    return true;
  },
  j: () => step(1),
  k: () => step(-1),
};

/** Move the focus to the next row of the view. */
function step(by) {
  const rows = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('#main [data-row]'));
  const all = [...rows].filter((each) => each.offsetParent);
  const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const aim = all[at + by] ?? (at < 0 ? all[0] : null);
  aim?.focus();
  aim?.scrollIntoView({ block: 'nearest' });
  return Boolean(all.length);
}
