// How the session converges, what the council said to it, and on what grounds.

import { draw, h } from '../core/dom.js';
import { convergence, cost, council, slice, status, verdicts } from '../core/store.js';
import { go, link } from '../core/views.js';
import { count, dateTime, isRunning, lookup, NONE, number, words } from '../core/words.js';
import { markdown } from '../extra/markdown.js';
import { actionButton, drawer, forceReview } from '../ui/actions.js';
import { chart, progressChart } from '../ui/chart.js';
import { ago, empty, panel, pill, table } from '../ui/elements.js';

const report = slice('api/council/report', { channels: ['council'], every: 30 });
const KINDS = lookup({ review: 'Forced review', evaluation: 'Evaluation' });

export function view(ctx) {
  const pane = drawer(ctx, () => go('council'));
  const head = h('div.head');

  function redraw() {
    const is = council.data?.enabled;
    draw(
      head,
      h('h1', 'Council'),
      council.data &&
        pill(
          !is ? 'off' : isRunning(status.data) ? 'monitoring' : 'enabled',
          is && isRunning(status.data) ? 'good' : '',
        ),
      h(
        'div.end',
        actionButton({
          ...forceReview,
          label: 'Force review',
          done: isRunning(status.data)
            ? 'Review requested: the council meets at the next iteration'
            : 'Review requested: the council meets when a session runs',
        }),
      ),
    );
  }

  function open() {
    const [wanted] = ctx.route.parts;
    if (!wanted || !verdicts.data) return pane.hide();
    const of = (list) => list.filter(({ iteration }) => Number(iteration) === Number(wanted));
    return pane.show(
      `Iteration ${wanted}`,
      grounds(of(verdicts.data.verdicts), of(verdicts.data.details), of(convergence.data?.dataPoints ?? []).at(-1)),
    );
  }

  redraw();
  ctx.redraws(redraw);
  for (const each of [council, status]) ctx.watch(each, () => ctx.schedule(redraw));
  for (const each of [verdicts, convergence]) ctx.watch(each, () => ctx.schedule(open));
  ctx.onRoute(open);
  return [
    head,
    h(
      'div.grid',
      h(
        'div.stack.w8',
        panel(ctx, {
          title: 'Convergence',
          from: { convergence },
          also: { verdicts, cost },
          lines: 11,
          show: showConvergence,
        }),
        panel(ctx, { title: 'Verdicts', from: { verdicts }, lines: 5, show: showVerdicts }),
      ),
      h(
        'div.stack.w4.pairs',
        panel(ctx, { title: 'State', from: { council }, lines: 7, show: showState }),
        panel(ctx, { title: 'Report', from: { report }, lines: 5, show: showReport }),
      ),
    ),
  ];
}

function showConvergence({ convergence: { dataPoints: points }, verdicts: votes, cost: spent }) {
  if (!points.length)
    return empty(
      'No iteration has ended yet',
      'Here will stand how much each one changed, and what the council said to it.',
    );
  const props = progressChart(points, votes?.verdicts, spent?.by_iteration);
  return chart({
    ...props,
    series: [
      ...props.series,
      {
        name: 'without change',
        kind: 'line',
        tone: 't2',
        join: 'most',
        values: points.map((point) => point.no_change_streak),
        format: number,
      },
    ],
  });
}

function showState({ council: state }) {
  const facts = [
    [
      'Forced reviews',
      state.total_votes
        ? `${count(state.total_votes, 'vote')}: ${state.approve_votes} for completion, ${state.reject_votes} against`
        : 'No votes yet',
    ],
    ['Done signals', number(state.done_signals)],
    ['Without change', count(state.consecutive_no_change ?? 0, 'iteration')],
    ['Changed last', count(state.files_changed ?? 0, 'file')],
    ['Last looked at', state.last_track_iteration ? `Iteration ${state.last_track_iteration}` : NONE],
    [
      'Last review',
      state.last_check_iteration
        ? h('a', { href: link('council', state.last_check_iteration) }, `Iteration ${state.last_check_iteration}`)
        : NONE,
    ],
    ...(state.check_interval ? [['Evaluates', `every ${count(state.check_interval, 'iteration')}`]] : []),
  ];
  return [
    !state.enabled && h('p', 'No council decides in this session; it ends by its own rules.'),
    h(
      'dl.dl',
      facts.map(([name, value]) => [h('dt', name), h('dd', value)]),
    ),
  ];
}

function showVerdicts({ verdicts: { verdicts: given, details } }) {
  const known = new Set(given.map(({ iteration }) => iteration));
  const silent = details
    .filter(({ iteration }) => !known.has(Number(iteration)))
    .map(({ iteration }) => ({ iteration: Number(iteration), kind: 'review' }));
  const rows = [...given, ...silent].sort(
    (a, b) => b.iteration - a.iteration || String(b.timestamp).localeCompare(a.timestamp),
  );
  if (!rows.length)
    return empty('No verdict yet', 'The council looks at the work every few iterations, and when it is asked to.');
  return table({
    caption: 'Verdicts',
    rows,
    key: ({ iteration, kind }) => `${iteration} ${kind}`,
    columns: [
      {
        label: 'Iteration',
        cell: ({ iteration }) => h('a.strong', { href: link('council', iteration), 'data-row': '' }, iteration),
        sort: ({ iteration }) => iteration,
      },
      {
        label: 'Result',
        cell: ({ result }) => (result ? pill(result) : h('span.quiet', NONE)),
        sort: ({ result }) => result,
      },
      { label: 'Kind', cell: ({ kind }) => KINDS[kind] ?? NONE, sort: ({ kind }) => kind },
      {
        label: 'For completion',
        class: 'num',
        cell: ({ votes_complete: votes }) => number(votes),
        sort: ({ votes_complete: votes }) => votes,
      },
      {
        label: 'To continue',
        class: 'num',
        cell: ({ votes_continue: votes }) => number(votes),
        sort: ({ votes_continue: votes }) => votes,
      },
      {
        label: 'When',
        cell: ({ timestamp }) => h('span.quiet.nowrap', ago(timestamp)),
        sort: ({ timestamp }) => timestamp,
      },
    ],
  });
}

function showReport({ report: { report: text } }) {
  return text ? markdown(text) : empty('No report yet', 'The council writes it when it finds the work complete.');
}

function grounds(given, details, point) {
  if (!given.length && !details.length && !point)
    return empty('Nothing is known of this iteration', 'The council did not look at it, or it was too long ago.');
  return [
    point &&
      h(
        'p.quiet',
        `${count(point.files_changed, 'file')} changed, ${count(point.done_signals, 'done signal')}, ` +
          `${count(point.no_change_streak, 'iteration')} without change`,
      ),
    !given.length && h('p', 'There is no verdict on it.'),
    given.map(({ kind, result, raw_result: raw, votes_complete: yes, votes_continue: no, timestamp, votes = [] }) =>
      h(
        'section.stack',
        { key: kind },
        h(
          'div.row',
          h('h3', KINDS[kind] ?? 'Verdict'),
          pill(result),
          raw && raw.toLowerCase() !== result && h('span.quiet', `written as ${raw}`),
        ),
        h('p', `${yes} for completion, ${no} to continue`, h('span.quiet', ` · ${dateTime(timestamp)}`)),
        votes
          .filter(({ vote: word, reason }) => word || reason)
          .map(({ member, role, vote: word, reason }) =>
            vote(words(role) || `member-${member}`, word ? `VOTE: ${word}\n${reason}` : reason),
          ),
      ),
    ),
    details.map(({ members, contrarian, evidence_preview: evidence }) => [
      h('h3', 'Votes of the members'),
      members.length
        ? members.map(({ member, content }) => vote(member, content))
        : h('p.quiet', 'No member has left one.'),
      contrarian && vote('contrarian', contrarian),
      h('h3', 'Beginning of the evidence'),
      evidence ? h('section.vote', markdown(evidence)) : h('p.quiet', 'None was written.'),
    ]),
    given.length > 0 && !details.length && h('p.quiet', 'Evidence is kept of forced reviews only.'),
  ];
}

/** What a member wrote, with the vote that it begins with as a sign. */
function vote(member, content) {
  const [line = '', word = ''] = /^\W*VOTE\W*(\w+).*$/im.exec(content) ?? [];
  const tone = { APPROVE: 'good', COMPLETE: 'good', REJECT: '', CONTINUE: '' }[word.toUpperCase()] ?? 'warn';
  return h(
    'section.vote',
    { key: member },
    h('div.row', h('b', member.replace('member-', 'Member ').replace(/^c/, 'C')), word && pill(word, tone)),
    h('p', content.replace(line, '').trim()),
  );
}
