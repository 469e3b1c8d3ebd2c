// One episode, pattern or skill.

import { address } from '../core/api.js';
import { h } from '../core/dom.js';
import { slice } from '../core/store.js';
import { link } from '../core/views.js';
import { compact, lookup, NONE, percent } from '../core/words.js';
import { facts, inWords } from '../extra/facts.js';
import { empty, meter, panel, pill, table } from '../ui/elements.js';
import { categoryPill } from './memory_lists.js';

/** @type {Record<string, [string, (entry: any) => any[]]>} */
const KINDS = lookup({ episodes: ['Episode', episode], patterns: ['Pattern', pattern], skills: ['Skill', skill] });

export function entryPanel(part, kind, id) {
  const close = h('a.button.small.close', { href: link('memory', kind, { q: part.route.query.get('q') }) }, 'Close');
  if (!(kind in KINDS)) {
    return [close, h('section.card', empty('There is no such kind of memory', 'The link may be wrong.'))];
  }
  const [title, show] = KINDS[kind];
  return [
    close,
    panel(part, {
      title,
      from: { entry: slice(address([`api/memory/${kind}`, id]), { every: 60 }) },
      lines: 8,
      show: ({ entry }) => h('div.stack', show(entry)),
    }),
  ];
}

const section = (title, ...content) => h('section', h('h3', title), content);
const several = (title, texts, tag = 'ul') =>
  texts.length > 0 &&
  section(
    title,
    h(
      `${tag}.prose-list`,
      texts.map((text) => h('li', text)),
    ),
  );
const links = (kind) => (ids) =>
  []
    .concat(ids)
    .map((id) => h('a.mono', { key: id, href: link('memory', [kind, id]) }, String(id)))
    .flatMap((each) => [each, ' ']);

function episode(entry) {
  const errors = entry.errors_encountered ?? [];
  return [
    h('h3.big', entry.goal || entry.id),
    h('div.row', pill(entry.outcome || 'unknown'), entry.phase, entry.agent && h('span.quiet', entry.agent)),
    entry.actionLog.length > 0 &&
      section(
        'What it did',
        table({
          caption: 'Actions',
          rows: entry.actionLog.map((action, index) => [index, action]),
          key: ([index]) => index,
          columns: [
            { label: 'After', class: 'nowrap', cell: ([, { t }]) => inWords(t, 'seconds') },
            { label: 'Action', cell: ([, { action }]) => inWords(action) },
            { label: 'On', cell: ([, { target }]) => h('span.mono', inWords(target)) },
            { label: 'Result', cell: ([, { result }]) => inWords(result) },
          ],
        }),
      ),
    errors.length > 0 &&
      section(
        'Errors',
        errors.map((error) => facts(error)),
      ),
    section(
      'Details',
      facts(
        entry,
        ['goal', 'outcome', 'phase', 'agent', 'action_log', 'errors_encountered'],
        new Map([
          ['task_id', (id) => h('a.mono', { href: link('tasks', id) }, id)],
          ['tokens_used', compact],
          ['context', (context) => facts(context, ['phase', 'goal']) || NONE],
        ]),
      ),
    ),
  ];
}

const relations = (found) =>
  h(
    'ul',
    [found].flat().map((each) => h('li', links('patterns')(each.to), inWords(each.relation))),
  );

function pattern(entry) {
  return [
    h('h3.big', entry.pattern || entry.id),
    h(
      'div.row',
      categoryPill(entry),
      h('span', percent(entry.confidence * 100), ' sure'),
      meter(entry.confidence * 100, 'Confidence', { warn: 101, bad: 101 }),
    ),
    several('When', entry.conditions),
    entry.correctApproach && section('Do', h('p.keep.do', entry.correctApproach)),
    entry.incorrectApproach && section('Avoid', h('p.keep.avoid', entry.incorrectApproach)),
    section(
      'Details',
      facts(
        entry,
        ['pattern', 'category', 'confidence', 'conditions', 'correct_approach', 'incorrect_approach'],
        new Map([
          ['source_episodes', links('episodes')],
          ['links', relations],
        ]),
      ),
    ),
  ];
}

function skill(entry) {
  return [
    h('h3.big', entry.name || entry.id),
    entry.description && h('p.keep', entry.description),
    several('Before', entry.prerequisites),
    several('Steps', entry.steps, 'ol'),
    several('Done when', entry.exitCriteria),
    section('Details', facts(entry, ['name', 'description', 'prerequisites', 'steps', 'exit_criteria'])),
  ];
}
