import { address, contact, denied, post } from '../core/api.js';
import { h, icon } from '../core/dom.js';
import { agents, council, processes, status } from '../core/store.js';
import { link } from '../core/views.js';
import { agentState, isolated, isPaused, isRunning, NONE, percent, silence } from '../core/words.js';
import { ago, empty, meter, pill, table, toast } from './elements.js';

// Actions on the session and its agents: buttons, dialogs and messages about the outcome.

/**
 * @typedef {object} Action
 * @property {() => Promise<any>} run
 * @property {string | ((answer: any) => string)} [done] what to say then, from the answer
 * @property {{title: string, body: string, verb: string, isOfSession?: boolean}} [confirm]
 * @property {Undo | ((answer: any) => Undo)} [undo] another action, offered with the message
 * @property {import('./elements.js').Holds} [holds] until when the message is true
 * @property {{refresh: () => Promise<any>}[]} [refresh] slices that have changed by it
 */

/** @typedef {Action & {label: string}} Undo */

/**
 * @typedef {object} Button
 * @property {string} label a verb
 * @property {string} [name] for screen readers, if the label does not name the object
 * @property {string} [icon]
 * @property {string} [class] `small`, `danger`, `primary`
 * @property {string} [scope] the required scope; the button is disabled, with the reason, if the token lacks it
 * @property {string | false | null} [off] why the button is disabled
 * @property {string} [key] identifies the button in a list, see `h`
 */

/**
 * A button that runs an action and reports the outcome.
 *
 * @param {Button & Action} how
 */
export function actionButton({ label, name, icon: symbol, class: more, scope = 'control', off, key, ...action }) {
  const why =
    off ||
    (contact.value.lost && 'Not connected to the server') ||
    (denied.value.has(scope) && `The token lacks the scope “${scope}”`) ||
    null;
  async function onclick({ currentTarget: button }) {
    if (button.$busy || button.getAttribute('aria-disabled')) return;
    button.$busy = true;
    button.setAttribute('aria-busy', 'true');
    await perform(action);
    button.$busy = false;
    button.removeAttribute('aria-busy');
    button.$later?.();
    button.$later = null;
  }
  return h(
    'button.button',
    {
      type: 'button',
      class: more,
      key,
      onclick,
      title: why,
      'aria-label': name && (why ? `${name}. ${why}` : name),
      'aria-disabled': why ? 'true' : null,
    },
    symbol && icon(symbol),
    h('span', label),
  );
}

/**
 * Run an action, after a confirmation if it has one. Return whether it succeeded.
 *
 * @param {Action} action
 */
export async function perform({ run, done, confirm, undo, holds, refresh = [] }) {
  if (confirm && !(await ask(confirm))) return false;
  try {
    const answer = await run();
    if (answer?.success === false) throw new Error(answer.message);
    const text = typeof done === 'function' ? done(answer) : (done ?? answer?.message);
    const back = typeof undo === 'function' ? undo(answer) : undo;
    if (text) toast(text, { action: back && { label: back.label, run: () => perform(back) }, holds });
    return true;
  } catch (error) {
    toast(reasonOf(error), { failed: true });
    return false;
  } finally {
    await Promise.all(refresh.map((slice) => slice.refresh()));
  }
}

/** Return the message of an error for the user. */
export const reasonOf = (/** @type {any} */ error) => error.sentence ?? error.message;

// The actions on the session, for the strip, the palette and the views.

const refresh = [status, agents];
const control = (verb) => post(`api/control/${verb}`);

export const resume = { label: 'Resume', run: () => control('resume'), done: 'Session resumed', refresh };
export const pause = {
  label: 'Pause',
  run: () => control('pause'),
  done: 'Session paused',
  undo: resume,
  holds: { source: status, test: () => isPaused(status.data) },
  refresh,
};
export const stop = {
  label: 'Stop',
  run: () => control('stop'),
  refresh,
  confirm: {
    title: 'Stop the session?',
    body:
      'All agents are ended. Work that is not committed may be lost, ' +
      'and a session can only be started again on the command line.',
    isOfSession: true,
    verb: 'Stop session',
  },
};

export const forceReview = {
  label: 'Ask the council to review now',
  run: () => post('api/council/force-review'),
  refresh: [council],
};

/** The buttons Pause or Resume, and Stop, enabled according to the state of the session. */
export function sessionButtons(session) {
  const isOn = isRunning(session) || isPaused(session);
  const off = isOn ? null : session ? 'No session is running' : 'The state of the session is not known';
  const first = isPaused(session) ? { ...resume, icon: 'play' } : { ...pause, icon: 'pause' };
  return [
    actionButton({ ...first, key: first.label, name: `${first.label} session`, off }),
    actionButton({ ...stop, key: 'Stop', icon: 'stop', class: 'danger', name: 'Stop session', off }),
  ];
}

/**
 * A modal dialog. When it closes, the focus returns to where it was.
 *
 * @param {{title: string, class?: string, onclose?: () => void}} how
 * @param {...any} content
 */
export function openDialog({ title, class: more, onclose }, ...content) {
  const dialog = h('dialog', { class: more, 'aria-label': title }, more === 'palette' ? null : h('h2', title), content);
  dialog.addEventListener('close', () => {
    dialog.remove();
    onclose?.();
  });
  // a click beside it, not one that began inside, as when a text is selected
  let isBeside = false;
  dialog.addEventListener('pointerdown', ({ target, clientX: x, clientY: y }) => {
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    isBeside = target === dialog && (x < left || x > right || y < top || y > bottom);
  });
  dialog.addEventListener('click', ({ target }) => target === dialog && isBeside && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Ask before something that cannot be undone: what it is done to, what is lost, a verb; and in which
 * project, for people have one tab for each.
 *
 * @returns {Promise<boolean>}
 */
function ask({ title, body, verb, isOfSession = false }) {
  return new Promise((resolve) => {
    let isMeant = false;
    const dialog = openDialog(
      { title, onclose: () => resolve(isMeant) },
      isOfSession &&
        status.data &&
        h('p', 'Project ', h('b', status.data.project), ' in ', h('code', status.data.project_path)),
      h('p', body),
      h(
        'div.acts',
        h('button.button', { type: 'button', autofocus: true, onclick: () => dialog.close() }, 'Cancel'),
        h(
          'button.button.danger.primary',
          {
            type: 'button',
            onclick: () => {
              isMeant = true;
              dialog.close();
            },
          },
          verb,
        ),
      ),
    );
  });
}

const WORST_FIRST = ['failed', 'silent', 'running', 'paused'];

/** The table of agents, with the actions on each. */
export function agentTable({ agents: all, contextWindow, first = [], columns = [], isLong = false }) {
  if (!all.length) return empty('No agents', 'Agents appear when the session starts them.');
  const windows = new Map((contextWindow?.agents ?? []).map((each) => [each.id, each.usage_percent]));
  const rank = (agent) => WORST_FIRST.indexOf(agentState(agent)) + 1 || 9;
  return table({
    caption: 'Agents',
    isLong,
    key: (agent) => agent.id,
    rows: [...all].sort((a, b) => rank(a) - rank(b)),
    columns: [
      ...first,
      {
        label: 'Agent',
        cell: (agent) => h('a.strong', { href: link('agents', agent.id), 'data-row': '' }, agent.name || agent.id),
        sort: (agent) => agent.name || agent.id,
      },
      { label: 'State', cell: (agent) => pill(agentState(agent)), sort: agentState },
      { label: 'Task', cell: (agent) => agent.task || h('span.quiet', NONE), sort: (agent) => agent.task },
      ...(all.some(({ id }) => windows.has(id))
        ? [{ label: 'Context', cell: (agent) => drawWindow(agent, windows), sort: (agent) => windows.get(agent.id) }]
        : []),
      { label: 'Heartbeat', cell: (agent) => h('span.quiet.nowrap', ago(agent.heartbeat)), sort: silence },
      ...columns,
      { label: '', class: 'acts', cell: agentActions },
    ],
  });
}

function drawWindow(agent, windows) {
  const used = windows.get(agent.id);
  return used === undefined
    ? h('span.quiet', NONE)
    : [meter(used, `Context window of ${agent.id}`), h('small.quiet', percent(used))];
}

/** The buttons Pause or Resume, and Kill, of an agent. */
export function agentActions(agent) {
  const refresh = [agents, processes];
  const call = (verb) => () => post(address(['api/agents', agent.id, verb]));
  const name = isolated(agent.name || agent.id);
  const off = agent.alive ? null : 'Its process is not running';
  const unfinished = agent.task ? `, and “${isolated(agent.task)}” stays unfinished` : '';
  const noProcess = agent.pid ? off : 'It has no process of its own';
  const resume = { label: 'Resume', run: call('resume'), refresh };
  return [
    agent.pause_requested
      ? actionButton({ ...resume, class: 'small', key: 'resume', name: `Resume ${name}` })
      : actionButton({
          label: 'Pause',
          class: 'small',
          key: 'pause',
          name: `Pause ${name}`,
          off,
          run: call('pause'),
          undo: resume,
          holds: {
            source: agents,
            test: () => Boolean(agents.data?.find(({ id }) => id === agent.id)?.pause_requested),
          },
          refresh,
        }),
    actionButton({
      label: 'Kill',
      class: 'small danger',
      key: 'kill',
      name: `Kill ${name}`,
      off: noProcess,
      run: call('kill'),
      refresh,
      confirm: {
        title: `Kill ${name}?`,
        body: `The process ${agent.pid} is ended at once. What it has not written is lost${unfinished}.`,
        isOfSession: true,
        verb: 'Kill agent',
      },
    }),
  ];
}
