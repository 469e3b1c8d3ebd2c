const SLACK = 8; // pixels of a press that is not a drag

/**
 * Follow a drag along an element with a mouse, a pen or a finger. For a finger, the style `touch-action: pan-y` leaves
 * vertical moves to scrolling. Escape, or returning to where it began, ends it without a result.
 *
 * @param {HTMLElement | SVGElement} element
 * @param {object} how
 * @param {(event: any) => boolean} how.canBegin whether a press begins a drag
 * @param {(from: number, to: number) => void} how.move the drag so far, in pixels of the window
 * @param {(isDone: boolean) => void} how.end
 */
export function onDrag(element, { canBegin, move, end }) {
  /** @type {PointerEvent | null} */
  let press = null;
  let isDragging = false;
  let wasDragged = false; // the click that follows belongs to the drag

  function finish(isDone) {
    press = null;
    if (!isDragging) return;
    isDragging = false;
    wasDragged = true;
    end(isDone);
  }

  const isNear = ({ clientX }) => Math.abs(clientX - (press?.clientX ?? 0)) < SLACK;
  /** @type {Record<string, (event: any) => void>} */
  const listeners = {
    pointerdown(event) {
      wasDragged = false;
      press = event.isPrimary && event.button === 0 && canBegin(event) ? event : null;
    },
    pointermove(event) {
      if (event.pointerId !== press?.pointerId || (!isDragging && isNear(event))) return;
      if (!isDragging) element.setPointerCapture(event.pointerId);
      isDragging = true;
      move(press?.clientX ?? 0, event.clientX);
    },
    pointerup(event) {
      if (event.pointerId !== press?.pointerId) return;
      finish(!isNear(event));
    },
    pointercancel: () => finish(false),
    keydown: ({ key }) => key === 'Escape' && finish(false),
    dragstart: (event) => press && event.preventDefault(), // of a link
  };
  for (const [name, listener] of Object.entries(listeners)) element.addEventListener(name, listener);
  element.addEventListener(
    'click',
    (/** @type {any} */ event) => {
      if (!wasDragged || !event.detail) return; // a key clicks without a press
      wasDragged = false;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    { capture: true },
  );
}
