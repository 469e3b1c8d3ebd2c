// Copy a text for another program.

import { h, icon } from '../core/dom.js';
import { perform } from '../ui/actions.js';

/** A button that copies a text; `what` it is, in its message. */
export const copyButton = (label, text, what = label) =>
  h(
    'button.button.small',
    {
      type: 'button',
      key: `copy ${label}`,
      'aria-label': `Copy ${what}`,
      onclick: () => perform({ run: () => copy(text), done: `Copied: ${what}` }),
    },
    icon('copy'),
    label,
  );

/** A command with a button that copies it. */
export const command = (text, what = 'the command') =>
  h('div.command', { key: text }, h('code', text), copyButton('Copy', text, what));

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    throw new Error('The browser does not let the page copy; it does so on HTTPS and localhost');
  }
}
