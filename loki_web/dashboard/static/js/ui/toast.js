import { h, icon } from '../core/dom.js';

const SHOWN = 8000;

/**
 * Say that something was done, or that it failed; failures stay until they are put away.
 *
 * @param {string} text
 * @param {{failed?: boolean, action?: {label: string, run: function(): *}}} [how]
 */
export function toast(text, { failed = false, action } = {}) {
  const region = document.getElementById('toasts');
  const shown = h('div.toast', { class: failed ? 'failed' : '' },
    h('p', failed && 'Failed: ', text),
    action && h('button.button.small', { type: 'button', onclick: () => { end(); action.run(); } }, action.label),
    h('button.button.small.plain', { type: 'button', 'aria-label': 'Put away', onclick: end }, icon('close')));
  if (region.matches(':popover-open')) region.hidePopover();
  region.showPopover();
  document.getElementById(failed ? 'warned' : 'said').append(shown);
  if (!failed) setTimeout(leave, SHOWN);

  function leave() {
    if (shown.matches(':hover, :focus-within')) setTimeout(leave, 2000);
    else end();
  }

  function end() {
    shown.remove();
    if (!region.querySelector('.toast') && region.matches(':popover-open')) region.hidePopover();
  }
}
