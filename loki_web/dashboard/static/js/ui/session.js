// What can be done to the session, for the strip, the palette and the views.

import { post } from '../core/api.js';
import { isPaused, isRunning } from '../core/situation.js';
import * as slices from '../core/slices.js';
import { actionButton } from './action.js';

const refresh = [slices.status, slices.agents];
const control = (verb) => post(`api/control/${verb}`);

export const resume = { label: 'Resume', run: () => control('resume'), done: 'Session resumed', refresh };
export const pause = { label: 'Pause', run: () => control('pause'), done: 'Session paused', undo: resume, refresh };
export const stop = {
  label: 'Stop', run: () => control('stop'), refresh,
  confirm: { title: 'Stop the session?', body: 'All agents are ended. Work that is not committed may be lost, and a session can only be started again on the command line.', verb: 'Stop session' },
};

export const forceReview = { label: 'Ask the council to review now', run: () => post('api/council/force-review'), refresh: [slices.council] };

/** Pause or Resume, and Stop, as the state of the session allows. */
export function sessionButtons(status) {
  const isOn = isRunning(status) || isPaused(status);
  const off = isOn ? null : status ? 'No session is running' : 'The state of the session is not known';
  const first = isPaused(status) ? { ...resume, icon: 'play' } : { ...pause, icon: 'pause' };
  return [
    actionButton({ ...first, key: first.label, name: `${first.label} session`, off }),
    actionButton({ ...stop, key: 'Stop', icon: 'stop', class: 'danger', name: 'Stop session', off }),
  ];
}
