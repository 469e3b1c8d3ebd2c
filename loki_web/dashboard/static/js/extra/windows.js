// Context windows, and the percentages at which somebody is alerted.

import { h } from '../core/dom.js';
import { link } from '../core/views.js';
import { compact, percent } from '../core/words.js';
import { empty, meter } from '../ui/elements.js';

/** Where the enabled triggers of a kind, `budget` or `context`, give an alert: percentages, lowest first. */
export function thresholds(triggers, kind) {
  const fitting = (triggers?.triggers ?? []).filter(
    ({ enabled, type, threshold }) => enabled && threshold !== null && String(type).startsWith(kind),
  );
  return [...new Set(fitting.map(({ threshold }) => threshold))].sort((a, b) => a - b);
}

/** How full the window of each agent is, with a line where somebody is alerted. */
export function windows({ contextWindow, triggers }) {
  const lines = thresholds(triggers, 'context');
  const bad = lines[0] ?? 90;
  if (!contextWindow.agents.length)
    return empty(
      'No window is known',
      'How full the context windows are is noted after each iteration, where the provider tells.',
    );
  return [
    h(
      'ul.windows',
      contextWindow.agents.map(({ id, usage_percent: used, tokens_used: tokens, capacity }) =>
        h(
          'li',
          { key: id },
          h('span', id),
          h('b', percent(used)),
          h('small.quiet', `${compact(tokens)} of ${compact(capacity)}`),
          h(
            'div.lined',
            meter(used, `Context window of ${id}`, { warn: Math.min(75, bad), bad }),
            lines.map((at) => h('i', { vars: { at: `${Math.min(100, at)}%` } })),
          ),
        ),
      ),
    ),
    h(
      'p.small.quiet',
      lines.length ? `Alerts at ${lines.map(percent).join(' and ')}. ` : 'No alert is set. ',
      h('a', { href: link('alerts') }, 'Triggers'),
    ),
  ];
}
