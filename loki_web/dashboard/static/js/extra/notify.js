// Notifications of the browser for new alerts, if somebody has switched them on. The browser is asked only then.

import { h } from '../core/dom.js';
import { notifications, status } from '../core/store.js';
import { go } from '../core/views.js';
import { isOpen, isolated, snoozedUntil, snoozes, words } from '../core/words.js';
import { toast } from '../ui/elements.js';
import { wantsNotice } from '../ui/shell.js';

const MOST = 5; // of one moment; more are one notice
const isPossible = 'Notification' in window && isSecureContext;
/** @type {Set<string> | null} */
let known = null;
let isFollowing = false;

/** Notify of alerts that are new from now on, while the page is not seen. One that was snoozed is new at its end. */
export function open() {
  if (isFollowing || !isPossible) return;
  isFollowing = true;
  const follow = () => {
    const { data } = notifications;
    if (!data) return;
    const fresh = data.filter((each) => known && !known.has(each.id) && isOpen(each));
    known = new Set(data.filter((each) => !snoozedUntil(each)).map(({ id }) => id));
    if (!fresh.length || !wantsNotice.value || document.visibilityState === 'visible') return;
    if (fresh.length > MOST) notify('alerts', `${fresh.length} new alerts`, '');
    else for (const { id, severity, message } of fresh) notify(id, words(severity), message);
  };
  notifications.watch(follow);
  snoozes.watch(follow);
}

/** Show a notice; several tabs show the same one, since its tag is the same. */
function notify(tag, kind, body) {
  try {
    const notice = new Notification(`${kind} · ${isolated(status.data?.project) || 'Loki Web'}`, { tag, body });
    notice.onclick = () => {
      window.focus();
      go('alerts');
      notice.close();
    };
  } catch {
    // phones want a service worker for this
  }
}

/** The switch, for a view. */
export const noticeSwitch = () =>
  h(
    'label.row',
    { title: isPossible ? 'For new alerts, while this page is not seen' : 'Needs HTTPS, or localhost' },
    h('input.switch', {
      type: 'checkbox',
      role: 'switch',
      checked: Boolean(wantsNotice.value) && isPossible && Notification.permission === 'granted',
      disabled: !isPossible,
      onchange: ({ target }) => change(target),
    }),
    'Notify me',
  );

async function change(control) {
  const isAllowed = control.checked && (await Notification.requestPermission()) === 'granted';
  if (control.checked && !isAllowed) toast('The browser does not allow notifications from this page', { failed: true });
  control.checked = isAllowed;
  wantsNotice.set(isAllowed ? 'on' : '');
}
