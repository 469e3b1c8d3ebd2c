import { locked, tryToken } from '../core/api.js';
import { askFor } from '../ui/actions.js';

/** @type {HTMLDialogElement | null} */
let dialog = null;

/** Ask for the access token of this tab. */
export function open() {
  if (dialog?.open) return;
  dialog = askFor({
    title: 'Access token',
    body: locked.value || 'Use another token for this tab.',
    fields: [
      {
        name: 'token',
        label: 'Token',
        type: 'password',
        required: true,
        hint: 'Kept in this tab only, until it is closed.',
      },
    ],
    verb: 'Use token',
    async run({ token }) {
      if (!/^[!-~]+$/.test(token.trim()))
        throw new Error('Tokens contain only printable ASCII characters and no spaces.');
      await tryToken(token.trim());
    },
  });
}
