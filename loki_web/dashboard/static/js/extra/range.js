// The choice of the time range.

import { draw, h } from '../core/dom.js';
import { replace } from '../core/views.js';

const RANGES = { '': 'Session', '1h': 'Hour', '6h': '6 hours', '24h': 'Day' };

/** Buttons for the time range of all charts. It is in the address, and all views keep it. */
export function ranges(ctx) {
  const group = h('div.tabs', { role: 'group', 'aria-label': 'Time range' });
  const choose = (range) => replace(ctx.route.view, ctx.route.parts, { ...Object.fromEntries(ctx.route.query), range });
  const redraw = () =>
    draw(
      group,
      Object.entries(RANGES).map(([range, label]) =>
        h(
          'button.chip',
          {
            type: 'button',
            'aria-pressed': String(range === (ctx.route.query.get('range') ?? '')),
            onclick: () => choose(range),
          },
          label,
        ),
      ),
    );
  ctx.redraws(redraw);
  redraw();
  return group;
}
