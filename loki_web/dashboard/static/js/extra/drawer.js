import { draw, h, icon } from '../core/dom.js';

/**
 * A pane at the right for details; the rest of the page stays usable.
 *
 * @returns {{show: (name: string, ...content: any[]) => void, hide: () => void}}
 */
export function drawer(ctx, onclose) {
  const title = h('h2');
  const body = h('div.stack');
  const close = h(
    'button.button.small.plain',
    { type: 'button', 'aria-label': 'Close', onclick: onclose },
    icon('close'),
  );
  const pane = h(
    'dialog.drawer',
    { onkeydown: (event) => event.key === 'Escape' && onclose() },
    h('header', { role: 'presentation' }, title, close),
    body,
  );
  /** @type {HTMLElement | null} */
  let from = null;
  document.body.append(pane);
  ctx.onLeave(() => pane.remove());
  return {
    show(name, ...content) {
      draw(title, name);
      pane.setAttribute('aria-label', name);
      draw(body, content);
      if (pane.open) return;
      from = /** @type {HTMLElement | null} */ (document.activeElement);
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
