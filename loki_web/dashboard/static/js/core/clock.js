// The one timer of the page. A hidden tab has none.

const listeners = new Set();
let timer = 0;
let skew = 0;

/** Now by the server's clock, in milliseconds. */
export const now = () => Date.now() + skew;

/** The server says what time it is; it is believed where ours is clearly another. */
export function heardTime(header) {
  const difference = Date.parse(header) - Date.now();
  skew = Math.abs(difference) > 3000 ? difference : 0;
}

/** Call every second while the tab is seen, and at once when it comes back; returns the end. */
export function everySecond(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tick() {
  for (const listener of listeners) listener();
}

function follow() {
  clearInterval(timer);
  if (document.hidden) return;
  timer = setInterval(tick, 1000);
  tick();
}

document.addEventListener('visibilitychange', follow);
follow();
