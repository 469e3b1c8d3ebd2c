import { contact, denied } from '../core/api.js';
import { h, icon } from '../core/dom.js';
import { ask } from './dialog.js';
import { toast } from './toast.js';

/**
 * A button that asks the server to do something and says what came of it, once the server did.
 *
 * @param {object} how
 * @param {string} how.label a verb
 * @param {string} [how.name] for screen readers, where the label does not say to what
 * @param {string} [how.icon]
 * @param {string} [how.class] `small`, `danger`, `primary`
 * @param {string} [how.scope] that it needs; off, and saying so, where the token lacks it
 * @param {string} [how.off] why it cannot be done now
 * @param {string} [how.key] to be found again in a list
 * Further as `perform`.
 */
export function actionButton({ label, name, icon: symbol, class: more, scope = 'control', off, key, ...action }) {
  const why = off || (contact.value.lost && 'Not connected to the server') || (denied.value.has(scope) && `The token lacks the scope “${scope}”`) || null;
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
  return h('button.button', {
    type: 'button', class: more, key, onclick, title: why, 'aria-label': name && (why ? `${name}. ${why}` : name), 'aria-disabled': why ? 'true' : null,
  }, symbol && icon(symbol), h('span', label));
}

/**
 * Do it, after asking where it is destructive; true once the server did it.
 *
 * @param {object} action
 * @param {function(): Promise} action.run
 * @param {string|function(*): string} [action.done] what to say then, from the answer
 * @param {{title: string, body: string, verb: string}} [action.confirm]
 * @param {{label: string}} [action.undo] another action, offered with the message
 * @param {object[]} [action.refresh] slices that have changed by it
 */
export async function perform({ run, done, confirm, undo, refresh = [] }) {
  if (confirm && !(await ask(confirm))) return false;
  try {
    const answer = await run();
    if (answer?.success === false) throw new Error(answer.message);
    const text = typeof done === 'function' ? done(answer) : done ?? answer?.message;
    if (text) toast(text, { action: undo && { label: undo.label, run: () => perform(undo) } });
    return true;
  } catch (error) {
    toast(error.sentence ?? error.message, { failed: true });
    return false;
  } finally {
    await Promise.all(refresh.map((slice) => slice.refresh()));
  }
}
