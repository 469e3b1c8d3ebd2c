// The page of an iteration: what it changed, what the council said and on what grounds, tokens, cost, checkpoints.

import { now } from '../core/api.js';
import { h } from '../core/dom.js';
import { checkpoints, contextWindow, convergence, cost, status, tasks, verdicts } from '../core/store.js';
import { link } from '../core/views.js';
import { compact, count, dateTime, duration, lookup, moment, money, NONE, number, words } from '../core/words.js';
import { copyButton } from '../extra/copy.js';
import { iterationsOf } from '../extra/lanes.js';
import { markdown } from '../extra/markdown.js';
import { changesIn, eventsPanel, factList, logPanel, page } from '../extra/page.js';
import { empty, panel, pill } from '../ui/elements.js';

/** The kinds of verdicts. */
export const KINDS = lookup({ review: 'Forced review', evaluation: 'Evaluation' });

const TONES = lookup({ complete: 'good' });

export function view(ctx) {
  const [id] = ctx.route.parts;
  const wanted = Number(id);
  const isIts = ({ iteration }) => Number(iteration) === wanted;
  return page(ctx, {
    from: { cost, convergence, verdicts },
    also: { status, tasks },
    find(data) {
      const point = data.convergence.dataPoints.findLast(isIts);
      const given = data.verdicts.verdicts.filter(isIts);
      const details = data.verdicts.details.filter(isIts);
      const ran = iterationsOf(data.cost.by_iteration ?? [], status.data, tasks.data ?? []).findLast(
        (each) => each.number === wanted,
      );
      if (!ran && !point && !given.length && !details.length) return null;
      return { ran, point, given, details, spent: (data.cost.by_iteration ?? []).findLast(isIts) };
    },
    nameOf: () => `Iteration ${id}`,
    missing: empty('Nothing is known of this iteration', 'It has not begun, or it was too long ago.'),
    head: ({ ran, given }) => [
      ran && ran.cost === undefined && pill('running'),
      [...new Set(given.map(({ result }) => result))].map((result) => pill(`council: ${result}`, TONES[result])),
      h(
        'div.end',
        wanted > 1 && h('a.button.small', { href: link('iterations', String(wanted - 1)) }, 'Previous'),
        h('a.button.small', { href: link('iterations', String(wanted + 1)) }, 'Next'),
        copyButton('Copy link', location.href, 'the link'),
      ),
    ],
    spanOf: ({ ran, point }) => [
      ran?.from ?? null,
      ran ? (ran.cost === undefined ? null : ran.to) : moment(point?.timestamp),
    ],
    parts(part, it, [from, to]) {
      return [
        h(
          'div.stack.w4.lead',
          panel(part, {
            title: 'Facts',
            from: { cost },
            also: { contextWindow },
            show: ({ contextWindow: known }) => showFacts(it(), known?.per_iteration.findLast(isIts)),
          }),
          panel(part, {
            title: 'What changed',
            from: { checkpoints },
            also: { convergence },
            show: (data) => showChanges(it(), from, to ?? now(), data.checkpoints),
          }),
        ),
        h(
          'div.stack.w8',
          panel(part, { title: 'Council', from: { verdicts }, show: () => grounds(it()) }),
          from !== null && eventsPanel(part, { from, to }),
        ),
        from !== null && logPanel(part, { title: 'Log of this time', from, to }),
      ].filter(Boolean);
    },
  });
}

function showFacts({ ran, spent, point }, known) {
  return factList([
    ['Began', ran && dateTime(ran.from)],
    ['Ended', ran ? (ran.cost === undefined ? 'Running' : dateTime(ran.to)) : dateTime(point?.timestamp)],
    ['Took', ran && duration(((ran.cost === undefined ? now() : ran.to) - ran.from) / 1000)],
    ['Phase', ran?.phase && words(ran.phase)],
    ['Model', spent?.model],
    ['Cost', spent && [h('b', money(spent.cost_usd)), h('span.quiet', `, ${money(spent.cumulative)} so far`)]],
    ['Input tokens', spent && compact(spent.input_tokens)],
    ['Output tokens', spent && compact(spent.output_tokens)],
    ['Read from cache', known && compact(known.cache_read_tokens)],
    ['Written to cache', known && compact(known.cache_creation_tokens)],
    ['Context', known?.compacted && 'compacted'],
  ]);
}

/** How much it changed, and what it changed. */
function showChanges({ point }, from, to, all) {
  return changesIn(all, from, to, [
    ['Files changed', point ? number(point.files_changed) : NONE],
    ['Done signals', point && number(point.done_signals)],
    ['Without change', point && count(point.no_change_streak, 'iteration')],
  ]);
}

/** The verdicts on an iteration, and what the members wrote. */
function grounds({ given, details }) {
  return [
    !given.length && h('p.quiet', 'There is no verdict on it.'),
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
    details.map(({ members, contrarian, evidence_preview: evidence }, index) =>
      h(
        'section.stack',
        { key: `details ${index}` },
        h('h3', 'Votes of the members'),
        members.length
          ? members.map(({ member, content }) => vote(member, content))
          : h('p.quiet', 'No member has left one.'),
        contrarian && vote('contrarian', contrarian),
        evidence
          ? h('details', h('summary', 'Beginning of the evidence'), h('section.vote', markdown(evidence)))
          : h('p.quiet', 'No evidence was written.'),
      ),
    ),
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
