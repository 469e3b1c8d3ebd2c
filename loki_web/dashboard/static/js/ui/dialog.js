import { draw, h, icon } from '../core/dom.js';

/**
 * A modal dialog; the focus goes back to where it was when it closes.
 *
 * @param {{title: string, class?: string, onclose?: function(): void}} how
 * @param {...*} content
 */
export function openDialog({ title, class: more, onclose }, ...content) {
  const dialog = h('dialog', { class: more, 'aria-label': title }, more === 'palette' ? null : h('h2', title), content);
  dialog.addEventListener('close', () => {
    dialog.remove();
    onclose?.();
  });
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Ask before something that cannot be undone: what it is done to, what is lost, a verb.
 *
 * @returns {Promise<boolean>}
 */
export function ask({ title, body, verb }) {
  return new Promise((resolve) => {
    let isMeant = false;
    const dialog = openDialog({ title, onclose: () => resolve(isMeant) },
      h('p', body),
      h('div.acts',
        h('button.button', { type: 'button', autofocus: true, onclick: () => dialog.close() }, 'Cancel'),
        h('button.button.danger.primary', { type: 'button', onclick: () => { isMeant = true; dialog.close(); } }, verb)));
  });
}

/**
 * A form in a dialog. It stays open, saying what was wrong, until `run` has succeeded.
 *
 * @param {object} how
 * @param {string} how.title
 * @param {*} [how.body]
 * @param {(Node|{name: string, label: string, type?: string, value?: string, hint?: string, required?: boolean})[]} how.fields
 *   an element of one's own counts by the names of the fields in it
 * @param {string} how.verb on the button
 * @param {function(Object<string, string>): Promise} how.run with the values by name
 */
export function askFor({ title, body, fields, verb, run }) {
  const problem = h('p.bad', { role: 'alert' });
  const button = h('button.button.primary', { type: 'submit' }, verb);
  const input = ({ name, label, hint, ...more }) => h('label.field', label, h('input.input', { name, autocomplete: 'off', spellcheck: 'false', ...more }), hint && h('small.quiet', hint));
  const inputs = fields.map((field) => (field instanceof Node ? field : input(field)));
  const form = h('form', { onsubmit }, body && h('p', body), inputs, problem,
    h('div.acts', h('button.button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'), button));
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
      draw(problem, error.sentence ?? error.message);
    } finally {
      button.removeAttribute('aria-busy');
    }
  }
  return dialog;
}

/**
 * A pane at the right with the details of one thing; the rest of the page stays usable.
 *
 * @returns {{show: function(string, ...*): void, hide: function(): void}}
 */
export function drawer(ctx, onclose) {
  const title = h('h2');
  const body = h('div.stack');
  const close = h('button.button.small.plain', { type: 'button', 'aria-label': 'Close', onclick: onclose }, icon('close'));
  const pane = h('dialog.drawer', { onkeydown: (event) => event.key === 'Escape' && onclose() }, h('header', { role: 'presentation' }, title, close), body);
  let from = null;
  document.body.append(pane);
  ctx.onLeave(() => pane.remove());
  return {
    show(name, ...content) {
      draw(title, name);
      pane.setAttribute('aria-label', name);
      draw(body, content);
      if (pane.open) return;
      from = document.activeElement;
      pane.show();
      close.focus();
    },
    hide() {
      if (!pane.open) return;
      pane.close();
      if (from?.isConnected) from.focus();
    },
  };
}
