// All projects of this machine and what their sessions are doing.

import { projectLink } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import { fleet, status } from '../core/store.js';
import { count, isolated, lookup, money, NONE, number, words } from '../core/words.js';
import { matches, searchField } from '../extra/search.js';
import { ago, empty, meter, panel, pill, table } from '../ui/elements.js';

const TONES = lookup({ running: 'good', autonomous: 'good', paused: 'warn', missing: 'bad' });
const ORDER = ['running', 'autonomous', 'paused', 'stopped', 'missing'];

export function view(ctx) {
  const field = searchField(ctx, {
    label: 'Filter projects',
    placeholder: 'Filter by name, path, state or phase',
    redraw: () => list.redraw(),
  });
  const found = h('span.quiet', { role: 'status' });
  const list = panel(ctx, {
    title: 'Sessions',
    class: 'fleet',
    from: { fleet },
    also: { status },
    lines: 8,
    show({ fleet: { projects, running, total, total_cost_usd: spent }, status: session }) {
      const rows = projects.filter((each) =>
        matches(field.value, [each.name, each.alias, each.path, each.status, each.phase].filter(Boolean).join(' ')),
      );
      const all = [count(total, 'project'), `${number(running)} running`, `${money(spent)} spent`].join(', ');
      draw(found, rows.length < total ? `${number(rows.length)} of ${all}` : all);
      if (!rows.length) return empty('No project fits', `None has “${field.value}” in its name, path, state or phase.`);
      return table({ caption: 'Fleet', rows, key: ({ path }) => path, columns: columns(session) });
    },
  });
  return [h('div.head', h('h1', 'Fleet'), field, found), list];
}

const columns = (session) => [
  { label: 'Project', cell: (each) => name(each, session), sort: (each) => each.name },
  {
    label: 'State',
    cell: (each) => pill(each.status, TONES[each.status] ?? ''),
    sort: (each) => ORDER.indexOf(each.status),
  },
  { label: 'Phase', cell: (each) => words(each.phase), sort: (each) => each.phase },
  {
    label: 'Iteration',
    class: 'num',
    cell: (each) => (each.iteration ? number(each.iteration) : NONE),
    sort: (each) => each.iteration,
  },
  { label: 'Cost', class: 'num', cell: (each) => money(each.cost_usd), sort: (each) => each.cost_usd },
  { label: 'Budget', cell: budget, sort: share },
  { label: 'Alerts', class: 'num', cell: alerts, sort: (each) => each.open_alerts },
  {
    label: 'Agents',
    class: 'num',
    cell: (each) => number(each.running_agents),
    sort: (each) => each.running_agents,
  },
  {
    label: 'Last change',
    class: 'nowrap',
    cell: (each) => ago(each.last_change),
    sort: (each) => each.last_change,
  },
  {
    label: 'Folder',
    class: 'folder',
    cell: ({ path }) =>
      h(
        'span.mono.quiet',
        path.split('/').map((part, index) => [index > 0 && ['/', h('wbr')], part]),
      ),
    sort: ({ path }) => path,
  },
];

/** Only the project of the server and registered ones can be shown. */
function name(each, session) {
  if (!each.id && !each.is_server_project)
    return [h('bdi', { title: each.path }, each.name), h('span.quiet', ' not registered')];
  return [
    h(
      'a.strong',
      {
        href: projectLink(each.id ?? each.path),
        'data-row': '',
        title: each.path,
        'aria-current': each.path === session?.project_path ? 'true' : null,
      },
      each.name,
    ),
    each.alias && h('span.quiet', ` ${each.alias}`),
  ];
}

const share = ({ budget_limit: limit, budget_remaining: left }) => (limit ? ((limit - left) / limit) * 100 : null);

function budget(each) {
  if (each.budget_limit === null) return h('span.quiet', NONE);
  return [
    `${money(each.budget_remaining)} of ${money(each.budget_limit)} left`,
    meter(share(each), `Budget used by ${isolated(each.name)}`),
    each.budget_exceeded && h('span.bad', ' exceeded'),
  ];
}

const alerts = ({ open_alerts: open }) => h('span', { class: open ? 'bad' : 'quiet' }, number(open));
