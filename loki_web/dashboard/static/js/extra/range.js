// The choice of the time range, and the zone of the times.

import { draw, h } from '../core/dom.js';
import { replace, timeRange } from '../core/views.js';
import { span } from '../core/words.js';
import { chip } from '../ui/elements.js';
import { zoneSwitch } from './zone.js';

const RANGES = { '': 'Session', '1h': 'Hour', '6h': '6 hours', '24h': 'Day' };

/**
 * Buttons for the time range of all charts. It is in the address, and all views keep it. One that was dragged on a
 * chart has a button too, which goes back to the whole session.
 */
export function ranges(ctx) {
  const group = h('div.tabs', { role: 'group', 'aria-label': 'Time range' });
  const choose = (range) => replace(ctx.route.view, ctx.route.parts, { ...Object.fromEntries(ctx.route.query), range });
  const redraw = () => {
    const shown = timeRange();
    draw(
      group,
      Object.entries(RANGES).map(([range, label]) =>
        chip(label, range === (ctx.route.query.get('range') ?? ''), () => choose(range)),
      ),
      shown?.isFixed && chip(span(shown.from, shown.to), true, () => choose(''), 'Show the whole session'),
    );
  };
  ctx.redraws(redraw);
  redraw();
  return [group, zoneSwitch()];
}
