// The signals themselves: all that are chosen, or the latest of one of the four kinds.

import { address } from '../core/api.js';
import { h } from '../core/dom.js';
import { slice } from '../core/store.js';
import { link } from '../core/views.js';
import { compact, count, duration, lookup, percent, words } from '../core/words.js';
import { drawer } from '../extra/drawer.js';
import { facts, inWords } from '../extra/facts.js';
import { stage } from '../extra/stage.js';
import { ago, empty, panel, pill, table } from '../ui/elements.js';

const FIRST = 50;
const MOST = 1000;
const column = (label, name, show = (value) => inWords(value)) => ({
  label,
  cell: (row) => show(row[name]),
  sort: (row) => (typeof row[name] === 'object' ? null : row[name]),
});
/** @type {Record<string, [string, any[]]>} a label and columns */
const KINDS = lookup({
  all: ['All', [column('Type', 'type', words), column('Action', 'action'), column('Source', 'source')]],
  errors: [
    'Errors',
    [column('Error', 'error_type'), column('Message', 'error_message'), column('Resolution', 'resolution')],
  ],
  success: [
    'Successes',
    [
      column('Pattern', 'pattern_name'),
      column(
        'Steps',
        'action_sequence',
        (steps) => steps.map((step) => (typeof step === 'string' ? step : JSON.stringify(step))).join(' → ') || '–',
      ),
      column('Took', 'duration_seconds', duration),
    ],
  ],
  preferences: [
    'Preferences',
    [
      column('Preference', 'preference_key'),
      column('Preferred', 'preference_value'),
      column('Instead of', 'alternatives_rejected', (others) => (others.length ? inWords(others) : '–')),
    ],
  ],
  tools: [
    'Tools',
    [
      column('Tool', 'tool_name'),
      column('Took', 'execution_time_ms', (ms) => duration(ms / 1000)),
      column('Tokens', 'tokens_used', compact),
      column('Success rate', 'success_rate', (rate) => percent(rate * 100)),
    ],
  ],
});

/** A panel for the kind that the address names. */
export function signalsPanel(part, filter) {
  const place = stage(part, 'flows');
  const pane = drawer(part, () => pane.hide());
  const opening = (label, cell) => ({
    label,
    sort: cell.sort,
    cell: (row) =>
      h(
        'button.link',
        { type: 'button', 'data-row': '', onclick: () => pane.show(words(row.type), facts(row, ['type'])) },
        ago(row.timestamp),
        h('span.spoken', `, ${words(row.type)}: details`),
      ),
  });

  function show(limit = FIRST) {
    const kind = part.route.parts[0] in KINDS ? part.route.parts[0] : 'all';
    const [, columns] = KINDS[kind];
    const from = slice(
      kind === 'all'
        ? address('api/learning/signals', { ...filter, limit })
        : address(`api/learning/${kind}`, { limit }),
    );
    const tab = (name) =>
      h(
        'a.chip',
        {
          href: link('learning', name === 'all' ? [] : name, Object.fromEntries(part.route.query)),
          'aria-current': name === kind && 'true',
        },
        KINDS[name][0],
      );
    place.show(`${kind} ${limit}`, (inner) =>
      panel(inner, {
        title: 'Signals',
        from: { from },
        lines: 6,
        tools: () => h('nav.tabs', { 'aria-label': 'Kinds of signals' }, Object.keys(KINDS).map(tab)),
        show: ({ from: signals }) => [
          kind !== 'all' && h('p.quiet.small', 'Of the last 30 days, of every source'),
          signals.length
            ? table({
                caption: 'Signals',
                rows: signals,
                key: (row) => `${row.id} ${row.timestamp} ${row.type}`,
                columns: [
                  opening('When', column('', 'timestamp')),
                  ...columns,
                  column('Outcome', 'outcome', (word) => pill(word)),
                  {
                    ...column('Sure', 'confidence', (value) => (value == null ? '–' : percent(value * 100))),
                    class: 'num',
                  },
                ],
              })
            : empty('No signals', 'Nothing of this kind was noted in this time.'),
          signals.length === limit &&
            limit < MOST &&
            h(
              'p',
              h(
                'button.button.small',
                { type: 'button', onclick: () => show(MOST) },
                `More than ${count(limit, 'signal')}`,
              ),
            ),
        ],
      }),
    );
  }

  let [shown] = part.route.parts;
  part.onRoute(({ parts: [kind] }) => {
    show();
    if (kind === shown) return;
    shown = kind;
    const { top } = place.getBoundingClientRect();
    if (top < 0 || top > innerHeight - 200) place.scrollIntoView();
  });
  show();
  return place;
}
