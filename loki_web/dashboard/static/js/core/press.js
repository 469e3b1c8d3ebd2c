// A press that has begun ends in its click: nothing is drawn between the two, for a button that
// moves or goes from under the pointer would not be clicked.

const PRESSED = 'a, button, summary';
const TAP = 50; // ms after the release within which the click of a touch comes

const waiting = [];
let isPressed = false;
let timer = 0;

/** Call at once, or when the click has happened where a button is being pressed. */
export function whenReleased(listener) {
  if (isPressed) waiting.push(listener);
  else listener();
}

function press({ target }) {
  clearTimeout(timer);
  isPressed = Boolean(target.closest?.(PRESSED));
  if (!isPressed) release();
}

function release() {
  isPressed = false;
  for (const listener of waiting.splice(0)) listener();
}

addEventListener('pointerdown', press, true);
addEventListener('pointerup', () => { timer = setTimeout(release, TAP); }, true);
addEventListener('pointercancel', release, true);
addEventListener('blur', release);
