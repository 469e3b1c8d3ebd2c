// The live feed: a WebSocket, or an event stream if that fails. Without either, slices poll.

import { address, authorization, BASE, cell, contact, credential, everySecond, locked, project, token } from './api.js';
import { lookup } from './words.js';

/** Channels that a hidden tab follows too, for its title and icon, and for notifications of the browser. */
export const ALWAYS = ['status', 'notifications'];
/** By the first word of the type of a message. */
const CHANNEL_OF = lookup({
  task: 'tasks',
  project: 'projects',
  status: 'status',
  agents: 'agents',
  log: 'logs',
  notification: 'notifications',
  cost: 'cost',
  council: 'council',
  checkpoint: 'checkpoints',
});
const TRANSPORTS = [openSocket, openStream];
const LONGEST_START = 5000; // ms
const LONGEST_WAIT = 5; // seconds, while the page is seen
const LONGEST_WAIT_HIDDEN = 30;

/** connecting, live, polling, offline or locked. */
export const state = cell('connecting');
/** When the next attempt to connect is made (ms); 0 while there is a connection. */
export const nextTry = cell(0);

const subscribers = new Map([['status', 1]]);
/** The ETags of the loaded lists, by channel: the server tells whether they are still current. */
const states = new Map();
/** Channels whose messages arrive. */
const begun = new Set();
const listeners = new Set();
/** @type {{follow: (names: string[]) => void, close: () => void} | null} */
let connection = null;
let transport = 0;
let failures = 0;
let timer = 0;
let isStarted = false;

/** Subscribe to a channel; return a function that unsubscribes. */
export function want(channel) {
  subscribers.set(channel, (subscribers.get(channel) ?? 0) + 1);
  follow();
  return () => {
    subscribers.set(channel, (subscribers.get(channel) ?? 0) - 1);
    follow();
  };
}

/** Note the ETag of the list of a channel, as it was loaded. */
export const note = (channel, etag) => states.set(channel, etag);

/** Wait until messages of a channel arrive; not at all if there is no connection, and 5 seconds at most. */
export function beginning(channel) {
  const isNear = !nextTry.value && ['connecting', 'live'].includes(state.value);
  if (!isNear || begun.has(channel)) return Promise.resolve();
  return new Promise((resolve) => {
    const ends = [
      onMessage((type, _, name) => type === 'begun' && name === channel && end()),
      nextTry.watch((at) => at && end()),
    ];
    const end = () => {
      clearTimeout(deadline);
      for (const each of ends) each();
      resolve(undefined);
    };
    const deadline = setTimeout(end, LONGEST_START);
  });
}

/**
 * Call `listener(type, data, channel, isCurrent)` for each message. `data` is undefined when a channel begins and after
 * a reset; `isCurrent` is true if a channel begins from the noted state, unless a reset follows.
 */
export function onMessage(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Connect; called after the first response of the server. */
export function start() {
  isStarted = true;
  connect();
}

/** Reconnect at once. */
export function tryNow() {
  failures = 0;
  connection?.close();
  connection = null;
  connect();
}

function channels() {
  const wanted = [...subscribers].filter(([, watchers]) => watchers > 0).map(([name]) => name);
  return document.hidden ? wanted.filter((name) => ALWAYS.includes(name)) : wanted;
}

let isFollowing = false;
function follow() {
  if (isFollowing) return;
  isFollowing = true;
  setTimeout(() => {
    isFollowing = false;
    const names = channels();
    for (const name of begun) if (!names.includes(name)) begun.delete(name);
    connection?.follow(names);
  }, 50);
}

function connect() {
  clearTimeout(timer);
  if (!isStarted || connection || locked.value) return;
  nextTry.set(0);
  begun.clear();
  const opened = TRANSPORTS[transport]({
    channels: channels(),
    onOpen() {
      failures = 0;
      state.set('live');
      contact.set({ at: Date.now(), lost: false });
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
  const longest = document.hidden ? LONGEST_WAIT_HIDDEN : LONGEST_WAIT;
  const wait = Math.min(longest, 2 ** (failures - 1)) * (0.75 + Math.random() / 4);
  if (state.value === 'live' || failures > TRANSPORTS.length) state.set(contact.value.lost ? 'offline' : 'polling');
  nextTry.set(Date.now() + wait * 1000);
  timer = setTimeout(connect, wait * 1000);
}

function hear({ type, data }) {
  const changed = CHANNEL_OF[type.split('_')[0]];
  if (type === 'subscribed') {
    for (const channel of data.channels) {
      begun.add(channel);
      tell('begun', undefined, channel, channel in data.known);
    }
  } else if (changed) tell(type, data, changed);
  else if (type === 'reset') for (const channel of data.channels) tell(type, undefined, channel);
}

function tell(...news) {
  for (const listener of listeners) listener(...news);
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && nextTry.value) tryNow();
  follow();
});
addEventListener('online', tryNow);
contact.watch(({ lost }) => {
  if (lost) state.set('offline');
  else if (state.value === 'offline') {
    state.set('connecting');
    tryNow(); // what is open may have died without a word
  }
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
let known = credential.value;
credential.watch((next) => {
  if (next !== known && isStarted) tryNow();
  known = next;
});
everySecond(() => {
  if (state.value === 'polling' && !connection && !nextTry.value) connect();
});

/** The noted states of channels. */
const noted = (names) => Object.fromEntries([...states].filter(([name]) => names.includes(name)));

// The WebSocket. It sends a ping every 25 seconds, and closes if no message follows.

const PING = 25_000;
const ANSWER = 10_000;

/** Open a WebSocket and subscribe to channels. */
function openSocket({ channels, onOpen, onMessage, onClose }) {
  const url = new URL('ws', BASE);
  url.protocol = url.protocol.replace('http', 'ws');
  const socket = new WebSocket(url, token.value ? ['bearer', token.value] : []);
  let isThere = false;
  let isOpen = false; // not before the subscription: the project may be unknown
  let followed = [];
  let wantedNow = channels;
  let pings = 0;
  let deadline = setTimeout(() => socket.close(), ANSWER);

  /** @param {any} [data] */
  const send = (type, data) => socket.send(JSON.stringify({ type, data }));

  function follow(names) {
    wantedNow = names;
    if (!isThere) return;
    const more = names.filter((name) => !followed.includes(name));
    const less = followed.filter((name) => !names.includes(name));
    const named = followed.length ? undefined : project || undefined; // all channels are of one project
    if (more.length) send('subscribe', { channels: more, project: named, known: noted(more) });
    if (less.length) send('unsubscribe', { channels: less });
    followed = [...names];
  }

  function ping() {
    send('ping');
    deadline = setTimeout(() => socket.close(), ANSWER);
  }

  socket.onmessage = ({ data }) => {
    clearTimeout(deadline);
    const message = JSON.parse(data);
    if (message.type === 'connected') {
      isThere = true;
      pings = setInterval(ping, PING);
      follow(wantedNow);
    } else if (message.type === 'error') socket.close();
    else if (message.type === 'subscribed' && !isOpen) {
      isOpen = true;
      onOpen();
    }
    onMessage(message);
  };
  socket.onclose = () => {
    clearInterval(pings);
    clearTimeout(deadline);
    onClose(isOpen);
  };
  return { follow, close: () => socket.close(1000) };
}

// The event stream, read with fetch, since EventSource cannot send the token in a header.

const SILENCE = 40_000; // ms; the server sends something every 15 seconds

/** As `openSocket`; a change of channels opens a new stream. */
function openStream({ channels, onOpen, onMessage, onClose }) {
  const end = new AbortController();
  let followed = channels;
  let isOpen = false;
  /** @type {AbortController | null} */
  let reading = null;
  let silence = 0;

  async function read(names, stop) {
    const path = address('api/events', { channels: names.join(','), project });
    const known = project ? {} : noted(names); // an id that is about a named project begins with a hash of its path
    const id = Object.entries(known).map((pair) => pair.join(':'));
    const headers = { ...authorization(), ...(id.length && { 'Last-Event-ID': id.join() }) };
    const response = await fetch(new URL(path, BASE), { headers, signal: stop.signal });
    if (!response.ok || !response.body) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      clearTimeout(silence);
      silence = setTimeout(() => end.abort(), SILENCE);
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) receive(block, names, known);
    }
  }

  function receive(block, channels, known) {
    const data = block
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5))
      .join('\n');
    if (!data) return;
    const message = JSON.parse(data);
    onMessage(message);
    if (message.type !== 'connected') return;
    if (!isOpen) onOpen();
    isOpen = true;
    onMessage({ type: 'subscribed', data: { channels, known } });
  }

  async function begin(names) {
    reading?.abort();
    const mine = new AbortController();
    reading = mine;
    end.signal.addEventListener('abort', () => mine.abort());
    try {
      await read(names, mine);
    } catch {
      // the connection broke; `onClose` below says so
    }
    if (reading !== mine) return;
    clearTimeout(silence);
    onClose(isOpen);
  }

  begin(followed);
  return {
    follow(names) {
      if ([...names].sort().join() === [...followed].sort().join()) return;
      followed = names;
      begin(names);
    },
    close: () => end.abort(),
  };
}
