// Copies of the session's state: made with a message, listed, looked into.

import { address, getJson } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import { checkpoints } from '../core/store.js';
import { go, link, replace } from '../core/views.js';
import { count, dateTime, number } from '../core/words.js';
import { comparison } from '../extra/compare.js';
import { command } from '../extra/copy.js';
import { drawer } from '../extra/drawer.js';
import { facts } from '../extra/facts.js';
import { matches, searchField } from '../extra/search.js';
import { actionButton } from '../ui/actions.js';
import { ago, empty, failed, loading, panel, table } from '../ui/elements.js';

const MOST = 200; // as many as the server lists
// what its writers say twice, and what stands above
const SAID = [
  'id',
  'message',
  'files',
  'created_at',
  'timestamp',
  'ts',
  'git_sha',
  'sha',
  'iter',
  'task',
  'task_description',
];

const create = () =>
  actionButton({
    label: 'New checkpoint',
    icon: 'plus',
    class: 'primary',
    run: async () => {
      (await import('../extra/palette.js')).createCheckpoint();
    },
  });

export function view(ctx) {
  const field = searchField(ctx, {
    label: 'Filter checkpoints',
    placeholder: 'Filter by message, id or commit',
    redraw: () => list.redraw(),
  });
  const place = (id) => link('checkpoints', id ? [id] : [], { q: field.value });
  const pane = drawer(ctx, () => go('checkpoints', [], { q: field.value }));
  const found = h('span.quiet', { role: 'status' });
  const end = h('div.end');
  const list = panel(ctx, {
    title: 'Checkpoints',
    class: 'bare',
    from: { checkpoints },
    lines: 8,
    show: (data) => show(data.checkpoints),
  });
  /** @type {string | null} the ids that the pane shows; null once the view is left */
  let opened = '';
  let isFailed = false;
  /** @type {any[] | null} the checkpoint in the pane, and the one that it is compared with */
  let shown = null;

  function show(all) {
    const shown = all.filter((each) => matches(field.value, `${each.message} ${each.id} ${each.git_sha}`));
    draw(
      found,
      shown.length === all.length
        ? count(all.length, 'checkpoint')
        : `${number(shown.length)} of ${count(all.length, 'checkpoint')}`,
    );
    if (!all.length)
      return empty(
        'No checkpoints yet',
        'The session makes them as tasks are done, and you can make one before something risky. ' +
          'They hold its state files and queues.',
      );
    if (!shown.length) return empty('No checkpoint fits', `Nothing has “${field.value}” in its message, id or commit.`);
    return h(
      'div.card',
      drawList(shown, place),
      all.length >= MOST && h('p.quiet', `Only the newest ${MOST} are listed.`),
    );
  }

  /** The pane shows what the address names, and what differs from another one that it names. */
  async function open() {
    const [id = ''] = ctx.route.parts;
    const other = ctx.route.query.get('with') ?? '';
    if (`${id} ${other}` === opened) return;
    const isSame = opened?.startsWith(`${id} `);
    opened = `${id} ${other}`;
    isFailed = false;
    if (!isSame) shown = null;
    if (!id) return pane.hide();
    if (!isSame) pane.show(id, loading(6));
    const read = (name) => (name ? getJson(address(['api/checkpoints', name])) : null);
    const [found, error] = await Promise.all([read(id), read(other)]).then(
      (answers) => [answers],
      (reason) => [null, reason],
    );
    if (opened !== `${id} ${other}`) return undefined;
    shown = found;
    if (found) return showPane();
    isFailed = error.kind !== 'missing' && error.kind !== 'invalid';
    return pane.show(
      id,
      isFailed
        ? failed(error, retry)
        : empty('There is no such checkpoint', 'The oldest are removed as new ones are made.'),
    );
  }

  function showPane() {
    if (!shown) return;
    const [one, other] = shown;
    pane.show(one.message || one.id, details(one, compareWith(one, other)));
  }

  /** The choice of another checkpoint, and what differs from it. */
  function compareWith(one, other) {
    const all = (checkpoints.data ?? []).filter(({ id }) => id !== one.id);
    return [
      h(
        'select.input',
        {
          'aria-label': 'Compare with',
          key: one.id,
          value: other?.id ?? '',
          onchange: ({ currentTarget }) =>
            replace('checkpoints', [one.id], { q: field.value, with: currentTarget.value }),
        },
        h('option', { value: '' }, 'Choose another checkpoint'),
        all.map(({ id, message, created_at: made }) =>
          h('option', { value: id, key: id }, `${dateTime(made)} ${message || id}`),
        ),
      ),
      other && comparison(one, other),
    ];
  }

  function retry() {
    opened = '';
    open();
  }

  ctx.redraws(() => draw(end, create()));
  ctx.watch(checkpoints, () => ctx.schedule(showPane));
  ctx.onRoute(open);
  ctx.onReturn(() => isFailed && retry());
  ctx.onLeave(() => {
    opened = null;
  });
  draw(end, create());
  open();
  return [h('div.head', h('h1', 'Checkpoints'), field, found, end), list];
}

const drawList = (all, place) =>
  table({
    caption: 'Checkpoints',
    rows: all,
    key: ({ id }) => id,
    columns: [
      {
        label: 'Message',
        cell: ({ id, message }) => h('a.strong', { href: place(id), 'data-row': '' }, message || 'Without a message'),
        sort: ({ message }) => message,
      },
      {
        label: 'Made',
        cell: (each) => h('span.nowrap', ago(each.created_at)),
        sort: (each) => Date.parse(each.created_at),
      },
      { label: 'Id', cell: ({ id }) => h('span.mono', id), sort: ({ id }) => id },
      {
        label: 'Commit',
        cell: ({ git_sha: sha }) => h('span.mono', { title: sha }, sha.slice(0, 8) || '–'),
        sort: ({ git_sha: sha }) => sha,
      },
      { label: 'Files', class: 'num', cell: ({ files }) => number(files.length), sort: ({ files }) => files.length },
    ],
  });

const taskLink = (id) => h('a', { href: link('tasks', id) }, id);

function details(it, compared) {
  const { id, created_at: made, git_sha: commit, files } = it;
  return [
    h(
      'dl.dl',
      h('dt', 'Id'),
      h('dd.mono', id),
      h('dt', 'Made'),
      h('dd', dateTime(made), ' (', ago(made), ')'),
      h('dt', 'Commit'),
      h('dd.mono', commit || '–'),
    ),
    h(
      'section',
      h('h3', count(files.length, 'file')),
      h(
        'ul.mono.files',
        files.map((name) => h('li', name)),
      ),
    ),
    h('section', h('h3', 'Compare'), compared),
    h(
      'section',
      h('h3', 'Restore'),
      h('p.quiet', 'On the command line, while no session runs. It copies these files back; the code stays as it is.'),
      command(`loki checkpoint rollback ${id}`),
    ),
    h(
      'section',
      h('h3', 'Metadata'),
      facts(it, SAID, new Map([['task_id', taskLink]])) || h('p.quiet', 'Nothing more was noted.'),
    ),
  ];
}
