// The WebSocket: `ping` every 25 seconds, and an end to it where nothing answers.

import { BASE, token } from './api.js';

const PING = 25_000;
const ANSWER = 10_000;

/** Begin to listen to channels; see live.js for what it is told. */
export function openSocket({ channels, onOpen, onMessage, onClose }) {
  const url = new URL('ws', BASE);
  url.protocol = url.protocol.replace('http', 'ws');
  if (token.value) url.searchParams.set('token', token.value);
  const socket = new WebSocket(url);
  let isOpen = false;
  let followed = [];
  let wantedNow = channels;
  let pings = 0;
  let deadline = 0;

  const send = (type, names) => socket.send(JSON.stringify(names ? { type, data: { channels: names } } : { type }));

  function follow(names) {
    wantedNow = names;
    if (!isOpen) return;
    const more = names.filter((name) => !followed.includes(name));
    const less = followed.filter((name) => !names.includes(name));
    if (more.length) send('subscribe', more);
    if (less.length) send('unsubscribe', less);
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
      isOpen = true;
      pings = setInterval(ping, PING);
      follow(wantedNow);
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
