// News from the server: by the socket, else by the event stream, else the slices ask by themselves.

import { contact, locked, token } from './api.js';
import { cell } from './cell.js';
import { everySecond } from './clock.js';
import { openSocket } from './socket.js';
import { openStream } from './stream.js';

const ALWAYS = ['status', 'notifications']; // what a hidden tab still follows
const CHANNEL_OF = {
  task_created: 'tasks', task_updated: 'tasks', task_moved: 'tasks', project_created: 'projects',
  status: 'status', agents: 'agents', log: 'logs', notification: 'notifications', cost: 'cost',
  council: 'council', checkpoint: 'checkpoints',
};
const TRANSPORTS = [openSocket, openStream];
const LONGEST_WAIT = 30;

/** connecting, live, polling, offline or locked. */
export const state = cell('connecting');
/** When the next try is made (ms), while there is no connection. */
export const nextTry = cell(0);

const wanted = new Map(ALWAYS.map((name) => [name, 1]));
const listeners = new Set();
let connection = null;
let transport = 0;
let failures = 0;
let timer = 0;
let isStarted = false;

/** Follow a channel; returns the end. */
export function want(channel) {
  wanted.set(channel, (wanted.get(channel) ?? 0) + 1);
  follow();
  return () => {
    wanted.set(channel, wanted.get(channel) - 1);
    follow();
  };
}

/** Hear `(type, data, channel)`; data is undefined where a channel has merely begun. */
export function onMessage(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Begin, once the server has answered something. */
export function start() {
  isStarted = true;
  connect();
}

/** Try at once. */
export function tryNow() {
  failures = 0;
  connection?.close();
  connection = null;
  connect();
}

function channels() {
  if (document.hidden) return ALWAYS;
  return [...wanted].filter(([, watchers]) => watchers > 0).map(([name]) => name);
}

let isFollowing = false;
function follow() {
  if (isFollowing) return;
  isFollowing = true;
  setTimeout(() => {
    isFollowing = false;
    connection?.follow(channels());
  }, 50);
}

function connect() {
  clearTimeout(timer);
  if (!isStarted || connection || locked.value) return;
  nextTry.set(0);
  const opened = TRANSPORTS[transport]({
    channels: channels(),
    onOpen() {
      failures = 0;
      state.set('live');
    },
    onMessage: hear,
    onClose(wasOpen) {
      if (connection !== opened) return;
      connection = null;
      if (!wasOpen) transport = (transport + 1) % TRANSPORTS.length;
      lose();
    },
  });
  connection = opened;
}

function lose() {
  failures += 1;
  const wait = Math.min(LONGEST_WAIT, 2 ** (failures - 1)) * (0.75 + Math.random() / 2);
  if (state.value === 'live' || failures > TRANSPORTS.length) state.set(contact.value.lost ? 'offline' : 'polling');
  nextTry.set(Date.now() + wait * 1000);
  timer = setTimeout(connect, wait * 1000);
}

function hear({ type, data }) {
  if (type === 'subscribed') {
    for (const channel of data?.channels ?? []) tell('begun', undefined, channel);
  } else if (type in CHANNEL_OF) tell(type, data, CHANNEL_OF[type]);
  else if (type === 'reset') for (const channel of wanted.keys()) tell(type, undefined, channel);
}

function tell(...news) {
  for (const listener of listeners) listener(...news);
}

document.addEventListener('visibilitychange', follow);
addEventListener('online', tryNow);
contact.watch(({ lost }) => {
  if (lost) state.set('offline');
  else if (state.value === 'offline') state.set(connection ? 'connecting' : 'polling');
});
locked.watch((why) => {
  if (why) {
    const open = connection;
    connection = null;
    open?.close();
    state.set('locked');
  } else {
    if (state.value === 'locked') state.set('connecting');
    connect();
  }
});
let known = token.value;
token.watch((next) => {
  if (next !== known && isStarted) tryNow();
  known = next;
});
everySecond(() => {
  if (state.value === 'polling' && !connection && !nextTry.value) connect();
});
