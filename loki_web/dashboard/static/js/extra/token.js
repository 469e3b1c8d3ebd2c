import { locked, signIn } from '../core/api.js';
import { askFor } from './form.js';

/** @type {HTMLDialogElement | null} */
let dialog = null;

/** Ask for the access token with which all tabs are signed in. */
export function open() {
  if (dialog?.open) return;
  dialog = askFor({
    title: 'Access token',
    body: locked.value || 'Use another token, in all tabs.',
    fields: [
      {
        name: 'token',
        label: 'Token',
        type: 'password',
        required: true,
        hint: 'All tabs of this browser are signed in.',
      },
    ],
    verb: 'Sign in',
    async run({ token }) {
      if (!/^[!-~]+$/.test(token.trim()))
        throw new Error('Tokens contain only printable ASCII characters and no spaces.');
      await signIn(token.trim());
    },
  });
  let wasLocked = locked.value;
  const unwatch = locked.watch((why) => {
    if (wasLocked && !why) dialog?.close(); // another tab has signed in
    wasLocked = why;
  });
  dialog?.addEventListener('close', unwatch);
}
