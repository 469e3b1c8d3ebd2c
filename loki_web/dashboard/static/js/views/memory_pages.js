// The memory as a whole: its timeline, the index of its topics, what it costs and saves.

import { h } from '../core/dom.js';
import { slice } from '../core/store.js';
import { compact, lookup, number, percent } from '../core/words.js';
import { facts, inWords } from '../extra/facts.js';
import { ago, empty, meter, panel, pill, table } from '../ui/elements.js';
import { rows } from '../ui/rows.js';

export const summary = slice('api/memory/summary');
const economics = slice('api/memory/economics');

/** What stands beside a list while no entry is open. */
export const overview = (part) =>
  panel(part, {
    title: 'Overview',
    from: { summary },
    lines: 6,
    show({ summary: { episodic, semantic, procedural, tokenEconomics } }) {
      if (!episodic.count && !semantic.patterns && !semantic.antiPatterns && !procedural.skills) {
        return empty(
          'Nothing is remembered yet',
          'Loki Mode writes down what each task taught it. It appears here as the session goes on.',
        );
      }
      return [
        h(
          'dl.dl',
          fact('Episodes', number(episodic.count)),
          fact('Latest', ago(episodic.latestDate)),
          fact('Patterns', number(semantic.patterns)),
          fact('Anti-patterns', number(semantic.antiPatterns)),
          fact('Skills', number(procedural.skills)),
        ),
        h('hr'),
        spending(tokenEconomics),
      ];
    },
  });

const fact = (name, value) => [h('dt', name), h('dd', value)];

const amount = (name, tokens) => h('li', h('span', name), h('b', compact(tokens)));

const spending = ({ discoveryTokens, readTokens, savingsPercent }) =>
  discoveryTokens || readTokens || savingsPercent
    ? [
        h(
          'p',
          h('b', { class: savingsPercent < 0 ? 'bad' : null }, percent(savingsPercent)),
          savingsPercent < 0
            ? ' saved: looking things up costs more than reading all'
            : ' of tokens saved by looking things up',
        ),
        meter(savingsPercent, 'Tokens saved', { warn: 101, bad: 101 }),
        h('ul.legend', amount('Tokens to find', discoveryTokens), amount('Tokens to read', readTokens)),
      ]
    : h('p.quiet', 'Nothing has been looked up yet, so nothing was saved.');

const timeline = (part) =>
  panel(part, {
    title: 'Timeline',
    from: { all: slice('api/memory/timeline') },
    lines: 8,
    tools: updated,
    show({ all: { entries, active_context: context } }) {
      const now = facts(context);
      if (!entries.length)
        return (
          now || empty('The timeline is empty', 'What agents did and what they decided stands here, newest first.')
        );
      return [
        now && [h('h3', 'At present'), now, h('hr')],
        rows({
          class: 'entries',
          label: 'Timeline',
          items: entries,
          key: (entry) => JSON.stringify(entry),
          estimate: 62,
          row: drawMoment,
        }),
      ];
    },
  });

const updated = ({ all: { lastUpdated } }) => lastUpdated && h('span.quiet', 'Updated ', ago(lastUpdated));

const TITLES = ['decision', 'action', 'goal', 'type', 'id'];
const SHOWN = ['timestamp', 'outcome', 'action_log', 'is_key_decision'];

function drawMoment(entry) {
  const name = TITLES.find((each) => entry[each]) ?? '';
  return h(
    'div.moment',
    h(
      'span.row',
      h('b', inWords(entry[name])),
      name === 'decision' && pill('decision', 'accent'),
      entry.outcome && pill(String(entry.outcome)),
      h('span.small.quiet', ago(entry.timestamp)),
    ),
    facts(entry, [...SHOWN, name]),
  );
}

const index = (part) =>
  panel(part, {
    title: 'Index',
    from: { all: slice('api/memory/index') },
    lines: 6,
    tools: updated,
    show({ all }) {
      if (!all.topics.length)
        return empty('The index is empty', 'Topics are listed here once memories have been consolidated.');
      return [
        table({
          caption: 'Topics',
          rows: all.topics,
          key: (topic) => JSON.stringify(topic.id ?? topic.topic),
          columns: [
            {
              label: 'Topic',
              cell: (topic) => h('b', inWords(topic.topic ?? topic.id)),
              sort: (topic) => topic.topic ?? topic.id,
            },
            { label: 'Summary', cell: (topic) => inWords(topic.summary) },
            {
              label: 'Relevance',
              class: 'num',
              cell: (topic) => inWords(topic.relevance_score, 'relevance_score'),
              sort: (topic) => topic.relevance_score,
            },
            {
              label: 'Tokens',
              class: 'num',
              cell: (topic) => inWords(topic.token_count),
              sort: (topic) => topic.token_count,
            },
            {
              label: 'Last read',
              class: 'nowrap',
              cell: (topic) => ago(topic.last_accessed),
              sort: (topic) => topic.last_accessed,
            },
          ],
        }),
        facts(all, ['topics', 'version', 'last_updated']),
      ];
    },
  });

const economy = (part) =>
  panel(part, {
    title: 'Economics',
    from: { all: economics },
    lines: 6,
    show: ({ all }) => [spending(all), h('hr'), facts(all, ['discovery_tokens', 'read_tokens', 'savings_percent'])],
  });

export const PAGES = lookup({ timeline, index, economics: economy });
