// All iterations: when each ran, what it changed, what it cost, and what the council said to it.

import { h } from '../core/dom.js';
import { convergence, cost, status, tasks, verdicts } from '../core/store.js';
import { link } from '../core/views.js';
import { compact, count, dateTime, duration, money, NONE, number, words } from '../core/words.js';
import { iterationsOf } from '../extra/lanes.js';
import { empty, panel, pill, table } from '../ui/elements.js';

export function view(ctx) {
  return [
    h('div.head', h('h1', 'Iterations')),
    panel(ctx, {
      title: 'Iterations',
      from: { cost, convergence },
      also: { status, tasks, verdicts },
      lines: 12,
      show: showIterations,
    }),
  ];
}

function showIterations({ cost: spent, convergence: { dataPoints: points }, verdicts: votes, ...data }) {
  /** @type {Map<number, any>} */
  const byNumber = new Map(points.map((point) => [point.iteration, { number: point.iteration, point }]));
  const more = new Map((votes?.verdicts ?? []).map((each) => [each.iteration, each.result]));
  const add = (value, facts) => byNumber.set(value, { ...byNumber.get(value), number: value, ...facts });
  for (const each of spent.by_iteration ?? []) add(each.iteration, { spent: each });
  for (const each of iterationsOf(spent.by_iteration ?? [], data.status, data.tasks)) add(each.number, each);
  const rows = [...byNumber.values()].sort((a, b) => b.number - a.number);
  if (!rows.length) return empty('No iteration yet', 'Each appears here when it has begun.');
  const amount = (label, read, format) => ({
    label,
    class: 'num',
    cell: (row) => format(read(row)),
    sort: read,
  });
  const tokens = ({ spent: each }) => each && each.input_tokens + each.output_tokens;
  const seconds = ({ from, to }) => (from === undefined ? null : (to - from) / 1000);
  return [
    table({
      caption: 'Iterations',
      isLong: true,
      rows,
      key: (row) => String(row.number),
      columns: [
        {
          label: 'Iteration',
          cell: (row) => h('a.strong', { href: link('iterations', row.number), 'data-row': '' }, row.number),
          sort: (row) => row.number,
        },
        { label: 'Began', cell: ({ from }) => dateTime(from), sort: ({ from }) => from },
        amount('Took', seconds, duration),
        { label: 'Phase', cell: ({ phase }) => (phase ? words(phase) : NONE), sort: ({ phase }) => phase },
        { label: 'Model', cell: (row) => row.spent?.model || NONE, sort: (row) => row.spent?.model },
        amount('Files', ({ point }) => point?.files_changed, number),
        amount('Tokens', tokens, compact),
        amount('Cost', ({ spent: each }) => each?.cost_usd, money),
        {
          label: 'Council',
          cell: (row) => (more.has(row.number) ? pill(more.get(row.number)) : NONE),
          sort: (row) => more.get(row.number),
        },
      ],
    }),
    h('p.small.quiet', `${count(rows.length, 'iteration')}.`),
  ];
}
