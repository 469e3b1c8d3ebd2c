// The event stream, read by fetch so that the token stands in a header.

import { BASE, address, authorization } from './api.js';

const SILENCE = 40_000; // the server says something every 15 seconds

/** As `openSocket`; other channels need another stream. */
export function openStream({ channels, onOpen, onMessage, onClose }) {
  const end = new AbortController();
  let followed = channels;
  let isOpen = false;
  let reading = null;
  let silence = 0;

  async function read(names, stop) {
    const path = address('api/events', { channels: names.join(',') });
    const response = await fetch(new URL(path, BASE), { headers: authorization(), signal: stop.signal });
    if (!response.ok) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      clearTimeout(silence);
      silence = setTimeout(() => end.abort(), SILENCE);
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) hear(block, names);
    }
  }

  function hear(block, names) {
    const data = block.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5)).join('\n');
    if (!data) return;
    const message = JSON.parse(data);
    onMessage(message);
    if (message.type !== 'connected') return;
    if (!isOpen) onOpen();
    isOpen = true;
    onMessage({ type: 'subscribed', data: { channels: names } });
  }

  async function begin(names) {
    reading?.abort();
    const mine = new AbortController();
    reading = mine;
    end.signal.addEventListener('abort', () => mine.abort());
    try {
      await read(names, mine);
    } catch {
      // the connection broke, which its end below says
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
