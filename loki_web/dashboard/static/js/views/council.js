// How the session converges, what the council said to it, and on what grounds.

import { draw, h, spoken } from '../core/dom.js';
import { convergence, cost, council, slice, status, verdicts } from '../core/store.js';
import { link } from '../core/views.js';
import { count, isRunning, lookup, NONE, number, words } from '../core/words.js';
import { markdown } from '../extra/markdown.js';
import { ranges } from '../extra/range.js';
import { actionButton, forceReview } from '../ui/actions.js';
import { ago, empty, panel, pill, table } from '../ui/elements.js';
import { chartWithin, iterationPage, progressChart } from '../ui/series.js';
import { KINDS } from './iterations_one.js';

const report = slice('api/council/report', { channels: ['council'], every: 30 });

export function view(ctx) {
  const head = h('div.head');
  const range = ranges(ctx);

  function redraw() {
    const is = council.data?.enabled;
    draw(
      head,
      h('h1', 'Council'),
      range,
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

  redraw();
  ctx.redraws(redraw);
  for (const each of [council, status]) ctx.watch(each, () => ctx.schedule(redraw));
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
        panel(ctx, { title: 'Members', from: { verdicts }, lines: 4, show: showMembers }),
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
  return chartWithin(points, (shown) => {
    const props = progressChart(shown, votes?.verdicts, spent?.by_iteration);
    return {
      ...props,
      series: [
        ...props.series,
        {
          name: 'without change',
          kind: 'line',
          tone: 't2',
          join: 'most',
          values: shown.map((point) => point.no_change_streak),
          format: number,
        },
      ],
    };
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
        ? h('a', { href: link('iterations', state.last_check_iteration) }, `Iteration ${state.last_check_iteration}`)
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

const MOST_COLUMNS = 60; // the newest iterations
const VOTES = lookup({
  complete: ['✓', 'good', 'complete'],
  approve: ['✓', 'good', 'approve'],
  continue: ['→', '', 'continue'],
  reject: ['→', '', 'reject'],
});

/** Who voted how in which iteration: a row for each member, a column for each iteration. */
function showMembers({ verdicts: { verdicts: given, details } }) {
  const cast = [
    ...given.flatMap(({ iteration, votes = [] }) =>
      votes.map(({ member, role, vote }) => ({ iteration, who: words(role) || `Member ${member}`, vote })),
    ),
    ...details.flatMap(({ iteration, members, contrarian }) =>
      [...members, ...(contrarian ? [{ member: 'contrarian', content: contrarian }] : [])].map(
        ({ member, content }) => ({
          iteration: Number(iteration),
          who: words(member),
          vote: /^\W*VOTE\W*(\w+)/im.exec(content)?.[1] ?? '',
        }),
      ),
    ),
  ].filter(({ vote }) => vote);
  if (!cast.length) return empty('No vote yet', 'What each member votes is shown here, iteration by iteration.');
  const columns = [...new Set(cast.map(({ iteration }) => iteration))].sort((a, b) => a - b).slice(-MOST_COLUMNS);
  const names = [...new Set(cast.map(({ who }) => who))];
  const votes = new Map(cast.map(({ iteration, who, vote }) => [`${iteration} ${who}`, vote]));
  return h(
    'div.scroll',
    { tabindex: '0', role: 'region', 'aria-label': 'Votes of the members' },
    h(
      'table.matrix',
      h('caption.spoken', 'Votes of the members in each iteration'),
      h(
        'thead',
        h(
          'tr',
          h('th', { scope: 'col' }, 'Member'),
          columns.map((number) =>
            h('th', { key: String(number), scope: 'col' }, h('a', { href: iterationPage(number) }, number)),
          ),
        ),
      ),
      h(
        'tbody',
        names.map((who) =>
          h(
            'tr',
            { key: who },
            h('th', { scope: 'row' }, who),
            columns.map((number) => h('td', { key: String(number) }, drawVote(votes.get(`${number} ${who}`)))),
          ),
        ),
      ),
    ),
  );
}

function drawVote(vote) {
  if (!vote) return h('span.quiet', '·', spoken('no vote'));
  const [sign, tone, word] = VOTES[vote.toLowerCase()] ?? ['?', 'warn', words(vote)];
  return h('span', { class: tone, title: word }, h('span', { 'aria-hidden': 'true' }, sign), spoken(word));
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
        cell: ({ iteration }) => h('a.strong', { href: link('iterations', iteration), 'data-row': '' }, iteration),
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
