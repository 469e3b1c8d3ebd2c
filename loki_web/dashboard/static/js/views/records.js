// What newer sessions record of their work: a section for each kind that there is.

import { h } from '../core/dom.js';
import { slice } from '../core/store.js';
import { compact, count, duration, lookup, money, NONE, number, words } from '../core/words.js';
import { markdown } from '../extra/markdown.js';
import { ago, empty, panel, pill, table } from '../ui/elements.js';

const records = slice('api/records?limit=100', { channels: ['council'], every: 20 });

export function view(ctx) {
  const sections = Object.entries(SECTIONS).map(([name, { title, show }]) => {
    const section = panel(ctx, { title, from: { records }, lines: 4, show: (data) => show(data.records[name]) });
    ctx.watch(records, ({ data }) => {
      section.hidden = Boolean(data && !data[name].length);
    });
    return section;
  });
  const none = h(
    'div.card',
    empty('No records', 'Newer sessions of Loki Mode record their votes, reviews and decisions.'),
  );
  ctx.watch(records, ({ data }) => {
    none.hidden = !data || Object.values(data).some((each) => each.length);
  });
  return [h('div.head', h('h1', 'Records')), h('div.grid', sections, none)];
}

const TONES = lookup({
  APPROVED: 'good',
  APPROVE: 'good',
  PASS: 'good',
  ok: 'good',
  REJECTED: 'bad',
  REJECT: 'bad',
  FAIL: 'bad',
});
const verdict = (word) => (word ? pill(word, TONES[word] ?? 'warn') : NONE);
const time = () => ({
  label: 'Time',
  class: 'nowrap',
  cell: (each) => ago(each.timestamp),
  sort: (each) => each.timestamp,
});
const text = (label, name) => ({ label, cell: (each) => each[name] || NONE, sort: (each) => each[name] });
const figure = (label, name, format = number) => ({
  label,
  class: 'num',
  cell: (each) => (each[name] === null ? NONE : format(each[name])),
  sort: (each) => each[name],
});

const SECTIONS = {
  escalations: {
    title: 'Escalations',
    show: (rows) =>
      rows.map((each) =>
        h(
          'details',
          { key: each.name },
          h('summary', each.name, ' ', h('small.quiet', ago(each.timestamp))),
          markdown(each.text),
        ),
      ),
  },
  transcripts: {
    title: 'Council transcripts',
    show: (rows) =>
      table({
        caption: 'Council transcripts',
        rows,
        key: ({ id }) => id,
        columns: [
          figure('Iteration', 'iteration'),
          { label: 'Outcome', cell: ({ outcome }) => verdict(outcome), sort: ({ outcome }) => outcome },
          { label: 'Votes', cell: ({ approve_count: yes, reject_count: no }) => `${yes} for, ${no} against` },
          { label: 'Members', cell: ({ voters }) => h('ul.plain', voters.map(member)) },
          time(),
        ],
      }),
  },
  reviews: {
    title: 'Code reviews',
    show: (rows) =>
      table({
        caption: 'Code reviews',
        rows,
        key: ({ id }) => id,
        columns: [
          figure('Iteration', 'iteration'),
          { label: 'Result', cell: result, sort: (each) => words(outcome(each)) },
          figure('Score', 'quality_score'),
          {
            label: 'Reviewers',
            cell: ({ reviewers }) =>
              h(
                'ul.plain',
                reviewers.map((each) => h('li.row', { key: each.name }, verdict(each.verdict), each.name)),
              ),
          },
          text('Review', 'id'),
        ],
      }),
  },
  assumptions: {
    title: 'Assumptions',
    show: (rows) =>
      table({
        caption: 'Assumptions',
        rows,
        key: ({ id }) => id,
        columns: [
          text('Gap', 'gap'),
          text('Assumption', 'assumption'),
          text('Why', 'why'),
          { label: 'Severity', cell: ({ severity }) => pill(severity || 'unknown'), sort: ({ severity }) => severity },
          text('Kind', 'kind'),
          {
            label: 'State',
            cell: ({ confirmed, acknowledged }) =>
              confirmed ? 'confirmed' : acknowledged ? 'acknowledged' : h('span.bad', 'open'),
          },
          time(),
        ],
      }),
  },
  decisions: {
    title: 'Decisions',
    show: (rows) =>
      table({
        caption: 'Decisions',
        rows,
        key: ({ timestamp, stage }) => `${timestamp} ${stage}`,
        columns: [
          text('Stage', 'stage'),
          { label: 'Outcome', cell: ({ outcome }) => verdict(outcome), sort: ({ outcome }) => outcome },
          text('Provider', 'provider'),
          text('Model', 'model'),
          figure('Duration', 'duration_ms', (value) => duration(value / 1000)),
          figure('Tokens in', 'input_tokens', compact),
          figure('Tokens out', 'output_tokens', compact),
          time(),
        ],
      }),
  },
  result_costs: {
    title: 'Cost by result',
    show: (rows) => [
      h('p.quiet', 'As the provider reported it at the end of each iteration; an iteration may be of an earlier run.'),
      table({
        caption: 'Cost by result',
        rows,
        key: ({ iteration }) => String(iteration),
        columns: [
          figure('Iteration', 'iteration'),
          figure('Cost', 'cost_usd', money),
          figure('Input', 'input_tokens', compact),
          figure('Output', 'output_tokens', compact),
          figure('Read from cache', 'cache_read_tokens', compact),
          figure('Written to cache', 'cache_creation_tokens', compact),
        ],
      }),
    ],
  },
};

const outcome = ({ has_blocking: isBlocked, inconclusive, failed }) =>
  isBlocked ? 'blocking' : inconclusive ? 'inconclusive' : failed ? 'failed' : 'passed';

function result(review) {
  const word = outcome(review);
  const tone = { passed: 'good', inconclusive: 'warn' }[word] ?? 'bad';
  return [pill(word, tone), ` ${review.passed} of ${count(review.passed + review.failed, 'reviewer')} passed`];
}

const member = ({ name, verdict: vote, reasoning, issues, is_contrarian: isContrarian }, index) =>
  h(
    'li',
    { key: `${index}` },
    h('div.row', verdict(vote), h('b', name), isContrarian && h('span.quiet', 'contrarian')),
    reasoning && h('p', reasoning),
    issues.length > 0 &&
      h(
        'ul',
        issues.map((issue, at) => h('li', { key: `${at}` }, issue)),
      ),
  );
