// A form in a dialog.

import { draw, h } from '../core/dom.js';
import { openDialog, reasonOf } from '../ui/actions.js';
import { toast } from '../ui/elements.js';

/**
 * A field of a form; all other properties are attributes of its input.
 *
 * @typedef {{name: string, label: string, hint?: string, [attribute: string]: any}} Field
 */

/**
 * A form in a dialog. It stays open and shows the error until `run` succeeds.
 *
 * @param {object} how
 * @param {string} how.title
 * @param {any} [how.body]
 * @param {(Node | Field)[]} how.fields
 *   an element contributes the named fields inside it
 * @param {string} how.verb on the button
 * @param {(values: Record<string, any>) => Promise<any>} how.run gets the values by name
 */
export function askFor({ title, body, fields, verb, run }) {
  const problem = h('p.bad', { role: 'alert' });
  const button = h('button.button.primary', { type: 'submit' }, verb);
  const input = (/** @type {Field} */ { name, label, hint, ...more }) =>
    h(
      'label.field',
      label,
      h('input.input', { name, autocomplete: 'off', spellcheck: 'false', ...more }),
      hint && h('small.quiet', hint),
    );
  const inputs = fields.map((field) => (field instanceof Node ? field : input(field)));
  const form = h(
    'form',
    { onsubmit },
    body && h('p', body),
    inputs,
    problem,
    h('div.acts', h('button.button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'), button),
  );
  const dialog = openDialog({ title }, form);
  form.querySelector('input')?.focus();

  async function onsubmit(event) {
    event.preventDefault();
    if (button.getAttribute('aria-busy')) return;
    button.setAttribute('aria-busy', 'true');
    draw(problem);
    try {
      await run(Object.fromEntries(new FormData(form)));
      dialog.close();
    } catch (error) {
      if (dialog.open) draw(problem, reasonOf(error));
      else toast(reasonOf(error), { failed: true });
    } finally {
      button.removeAttribute('aria-busy');
    }
  }
  return dialog;
}
