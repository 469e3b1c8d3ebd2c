// Who did what: entries by filter, and what they add up to.

import { address } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import { slice } from '../core/store.js';
import { link, replace } from '../core/views.js';
import { count, number, shortDate, time, words } from '../core/words.js';
import { facts } from '../extra/facts.js';
import { stage } from '../extra/stage.js';
import { openDialog } from '../ui/actions.js';
import { ago, empty, panel, pill, shares, table } from '../ui/elements.js';

const PAGE = 25;
const PERIODS = [
  [1, '24 hours'],
  [7, '7 days'],
  [30, '30 days'],
  [365, 'Year'],
];
const MOST_NAMES = 8;
// names in the address, names of the API, what they are called
const FILTERS = [
  ['action', 'action', 'Action', 'search'],
  ['kind', 'resource_type', 'Kind', 'search'],
  ['resource', 'resource_id', 'Id', 'search'],
  ['from', 'start_date', 'First day (UTC)', 'date'],
  ['to', 'end_date', 'Last day (UTC)', 'date'],
];

/** @param outer the context of the whole view, which hears where the page is */
export function audit(ctx, outer) {
  const query = () => Object.fromEntries(outer.route.query);
  const go = (changes) => replace('admin', [], { ...query(), ...changes });
  const summary = stage(ctx, 'w4');
  const fields = FILTERS.map(([name, , label, type]) =>
    h(
      'label.field',
      label,
      h('input.input', {
        name,
        type,
        value: query()[name] ?? '',
        list: type === 'search' ? `known-${name}` : null,
        'data-search': name === 'action',
        onchange: ({ target }) => go({ [name]: target.value.trim(), page: '' }),
      }),
    ),
  );
  const lists = h('div', { hidden: true });
  const form = h(
    'form.filters',
    { role: 'search', 'aria-label': 'Filter the audit log', onsubmit: (event) => event.preventDefault() },
    fields,
    lists,
  );

  const page = () => Math.max(0, Number.parseInt(query().page, 10) || 0);
  const chosen = () =>
    slice(
      address('api/enterprise/audit', {
        ...Object.fromEntries(FILTERS.map(([name, parameter]) => [parameter, query()[name]])),
        limit: PAGE,
        offset: page() * PAGE,
      }),
      { every: 20 },
    );
  const source = exchangeable(chosen());
  const entries = entryPanel(ctx, source, page, go, form);

  function place() {
    const asked = query();
    source.use(chosen());
    entries.redraw();
    const days = PERIODS.some(([value]) => String(value) === asked.days) ? asked.days : '7';
    summary.show(days, (inner) =>
      summaryPanel(inner, slice(`api/enterprise/audit/summary?days=${days}`, { every: 60 }), days, go, lists),
    );
    for (const { firstElementChild: input } of fields)
      if (input !== document.activeElement) input.value = asked[input.name] ?? '';
  }

  outer.onRoute(() => entries.isConnected && place());
  place();
  return h('div.grid', entries, summary);
}

function entryPanel(ctx, entries, page, go, form) {
  const step = (by) => () => go({ page: page() + by || '' });
  return panel(ctx, {
    title: 'Audit log',
    class: 'w8',
    from: { entries },
    above: form,
    lines: 8,
    tools: () =>
      (page() > 0 || entries.data.length === PAGE) && [
        h(
          'button.button.small',
          { type: 'button', 'aria-disabled': page() === 0 && 'true', onclick: page() > 0 ? step(-1) : null },
          'Newer',
        ),
        h('span.quiet', `Page ${page() + 1}`),
        h(
          'button.button.small',
          {
            type: 'button',
            'aria-disabled': entries.data.length < PAGE && 'true',
            onclick: entries.data.length === PAGE ? step(1) : null,
          },
          'Older',
        ),
      ],
    show: ({ entries: found }) =>
      found.length
        ? drawEntries(found)
        : empty('No entries', 'Nothing was done that fits. Changes and refused reads are listed here.'),
  });
}

const who = (each) => each.user_id ?? each.token_id ?? 'anonymous';

const drawEntries = (found) =>
  table({
    caption: 'Audit log',
    rows: found,
    key: (each) => `${each.timestamp} ${each.action} ${each.resource_id}`,
    columns: [
      {
        label: 'When',
        cell: ({ timestamp }) =>
          h('span.nowrap', { title: timestamp }, shortDate(timestamp).replace(/, \d.*/, ''), ' ', time(timestamp)),
      },
      {
        label: 'Who',
        cell: (each) => [h('div.wide', who(each)), each.ip_address && h('div.small.quiet', each.ip_address)],
      },
      { label: 'Did', cell: (each) => h('div.strong.wide', words(each.action)) },
      {
        label: 'To',
        cell: (each) => [words(each.resource_type), each.resource_id && h('div.small.quiet.mono', each.resource_id)],
      },
      {
        label: 'Outcome',
        cell: (each) => [pill(each.success ? 'done' : 'failed'), each.error && h('div.small.quiet', each.error)],
      },
      {
        label: '',
        class: 'acts',
        cell: (each) =>
          h(
            'button.button.small',
            {
              type: 'button',
              'data-row': '',
              'aria-label': `Details of ${each.action} at ${time(each.timestamp)}`,
              onclick: () => openDialog({ title: words(each.action) }, facts(each)),
            },
            'Details',
          ),
      },
    ],
  });

function summaryPanel(ctx, summary, days, go, lists) {
  return panel(ctx, {
    title: 'Activity',
    from: { summary },
    lines: 8,
    tools: () =>
      h(
        'div.tabs',
        { role: 'group', 'aria-label': 'Period' },
        PERIODS.map(([value, label]) =>
          h(
            'button.chip',
            { type: 'button', 'aria-pressed': String(String(value) === days), onclick: () => go({ days: value }) },
            label,
          ),
        ),
      ),
    show({ summary: said }) {
      draw(lists, options('known-action', said.by_action), options('known-kind', said.by_resource_type));
      if (!said.total_events) return empty('Nothing happened', 'in this time.');
      return [
        h('p.big', h('b', count(said.total_events, 'event'))),
        shares(
          [
            { label: 'Done', value: said.successful_events, tone: 'tgood' },
            { label: 'Failed', value: said.failed_events, tone: 'tbad' },
          ],
          number,
        ),
        counts('By action', said.by_action, (name) =>
          h('a', { href: link('admin', [], { action: name, days }) }, words(name)),
        ),
        counts('By kind', said.by_resource_type, (name) =>
          h('a', { href: link('admin', [], { kind: name, days }) }, words(name)),
        ),
        counts('By person or token', said.by_user, (name) => name),
        said.recent_failures.length > 0 &&
          h(
            'section',
            h('h3', 'Last failures'),
            h(
              'ul.needs',
              said.recent_failures.map((each) =>
                h(
                  'li',
                  { key: `${each.timestamp} ${each.action}` },
                  h(
                    'div',
                    h(
                      'p',
                      `${words(each.action)} ${words(each.resource_type).toLowerCase()}`,
                      each.error && h('span.quiet', `: ${each.error}`),
                    ),
                    h('small.quiet', ago(each.timestamp)),
                  ),
                ),
              ),
            ),
          ),
      ];
    },
  });
}

const options = (id, counted) =>
  h(
    'datalist',
    { id, key: id },
    Object.keys(counted)
      .slice(0, 100)
      .map((value) => h('option', { value })),
  );

function counts(title, counted, name) {
  const all = Object.entries(counted);
  return (
    all.length > 0 &&
    h(
      'section',
      h('h3', title),
      h(
        'ul.legend',
        all.slice(0, MOST_NAMES).map(([key, value]) => h('li', { key }, name(key), h('b', number(value)))),
      ),
      all.length > MOST_NAMES && h('p.small.quiet', `and ${number(all.length - MOST_NAMES)} more`),
    )
  );
}

/** A source of data for a panel; `use` replaces its slice, and the panel stays. */
function exchangeable(slice) {
  const ends = new Map();
  return {
    get data() {
      return slice.data;
    },
    get error() {
      return slice.error;
    },
    refresh: () => slice.refresh(),
    watch(watcher) {
      ends.set(watcher, slice.watch(watcher));
      return () => {
        ends.get(watcher)();
        ends.delete(watcher);
      };
    },
    use(next) {
      if (next === slice) return;
      slice = next;
      for (const [watcher, end] of [...ends]) {
        end();
        ends.set(watcher, slice.watch(watcher));
      }
    },
  };
}
