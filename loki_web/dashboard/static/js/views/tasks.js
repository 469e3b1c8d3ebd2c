// The board or the list of all tasks, and one of them in a drawer.

import { keptCell } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import { tasks } from '../core/store.js';
import { go, keep, link, replace } from '../core/views.js';
import { count, dateTime, lookup, matches, moment, NONE, priorityRank, taskState, words } from '../core/words.js';
import { drawer } from '../ui/actions.js';
import { empty, panel, pill, table } from '../ui/elements.js';
import { rows } from '../ui/rows.js';

const COLUMNS = [
  ['pending', 'Pending'],
  ['in_progress', 'In progress'],
  ['review', 'Review'],
  ['done', 'Done'],
  ['failed', 'Failed'],
];
const PRIORITIES = lookup({ high: 'warn', critical: 'bad' });
const SHOWN_FIRST = ['title', 'description', 'failed', 'position'];
const ENDED = new Set(['done', 'failed']);
const usual = keptCell('tasks', 'board');

export function view(ctx) {
  let wanted = ctx.route.query.get('q') ?? '';
  const layout = () => ctx.route.query.get('layout') ?? usual.value;
  const place = (id) => link('tasks', id ? [id] : [], { q: wanted });
  const pane = drawer(ctx, () => go('tasks', [], { q: wanted }));
  const found = h('span.quiet', { role: 'status' });
  const field = h('input.input', {
    type: 'search',
    placeholder: 'Filter by title, id, type or agent',
    'aria-label': 'Filter tasks',
    'data-search': '',
    value: wanted,
    oninput: () => filter(field.value),
  });
  const board = panel(ctx, {
    title: 'Tasks',
    class: 'bare',
    from: { tasks },
    lines: 8,
    show: (data) => show(data.tasks),
  });
  const switches = h('div.end');

  function filter(next) {
    wanted = next;
    replace('tasks', ctx.route.parts, { q: wanted });
    board.redraw();
  }

  function show(all) {
    const text = (task) => `${task.title} ${task.id} ${task.type} ${task.priority} ${task.assigned_agent_id ?? ''}`;
    const shown = all.filter((task) => matches(wanted, text(task)));
    draw(
      found,
      shown.length === all.length ? count(all.length, 'task') : `${shown.length} of ${count(all.length, 'task')}`,
    );
    if (!all.length) return empty('No tasks yet', 'The tasks of the session appear when it has planned some.');
    if (!shown.length) return empty('No task fits', `Nothing has “${wanted}” in its title, id, type or agent.`);
    return layout() === 'list' ? drawList(shown, place) : drawBoard(shown, place);
  }

  function drawSwitches() {
    const button = (name, label) =>
      h(
        'button.chip',
        { type: 'button', 'aria-pressed': String(layout() === name), onclick: () => choose(name) },
        label,
      );
    draw(switches, button('board', 'Board'), button('list', 'List'));
  }

  function choose(name) {
    usual.set(name);
    keep('layout', name);
  }

  function open() {
    const [id] = ctx.route.parts;
    if (!id || !tasks.data) return pane.hide();
    const task = tasks.data.find((each) => each.id === id);
    return task
      ? pane.show(task.title || task.id, details(task))
      : pane.show(id, empty('There is no such task', 'It may have been removed since the link was made.'));
  }

  drawSwitches();
  ctx.watch(tasks, () => ctx.schedule(open));
  ctx.onRoute(() => {
    open();
    drawSwitches();
    board.redraw();
  });
  return [h('div.head', h('h1', 'Tasks'), field, found, switches), board];
}

function drawBoard(all, place) {
  return h(
    'div.board',
    COLUMNS.map(([name, title]) => {
      const mine = all.filter((task) => taskState(task) === name);
      if (ENDED.has(name)) newestFirst(mine);
      return h(
        'section',
        { key: name, 'aria-label': title },
        h('h2', title, ' ', h('span.quiet', String(mine.length))),
        mine.length
          ? rows({
              class: 'cards',
              label: title,
              items: mine,
              key: (task) => task.id,
              estimate: 74,
              row: (task) => drawCard(task, place),
            })
          : h('p.quiet.none', 'None'),
      );
    }),
  );
}

/** Sort by the end; the queues have what ended last at their end. */
function newestFirst(tasks) {
  const end = ({ completed_at: at }) => moment(at) ?? 0;
  tasks.reverse().sort((a, b) => end(b) - end(a));
}

const drawCard = (task, place) =>
  h(
    'a.task',
    { class: taskState(task), href: place(task.id), 'data-row': '' },
    h('b', task.title || task.id),
    h('span.row.small.quiet', h('span.mono', task.id), priority(task), task.type),
  );

const priority = ({ priority: level }) => (level && level !== 'medium' ? pill(level, PRIORITIES[level]) : null);

const drawList = (all, place) =>
  h(
    'div.card',
    table({
      caption: 'Tasks',
      rows: all,
      key: (task) => task.id,
      columns: [
        {
          label: 'Task',
          cell: (task) => h('a.strong', { href: place(task.id), 'data-row': '' }, task.title || task.id),
          sort: (task) => task.title,
        },
        {
          label: 'State',
          cell: (task) => pill(taskState(task)),
          sort: (task) => COLUMNS.findIndex(([name]) => name === taskState(task)),
        },
        {
          label: 'Priority',
          cell: (task) => words(task.priority),
          sort: priorityRank,
        },
        { label: 'Type', cell: (task) => task.type, sort: (task) => task.type },
        { label: 'Id', cell: (task) => h('span.mono', task.id), sort: (task) => task.id },
      ],
    }),
  );

function details(task) {
  const more = Object.entries(task).filter(
    ([name, value]) => !SHOWN_FIRST.includes(name) && value !== '' && value != null,
  );
  return [
    h('div.row', pill(taskState(task)), priority(task)),
    h('p.keep', task.description || h('span.quiet', 'No description')),
    h(
      'dl.dl',
      more.map(([name, value]) => [
        h('dt', { key: `${name}-name` }, words(name)),
        h('dd', { key: name }, showValue(name, value)),
      ]),
    ),
  ];
}

function showValue(name, value) {
  if (name === 'assigned_agent_id') return h('a', { href: link('agents', value) }, value);
  if (name.endsWith('_at')) return dateTime(value);
  if (typeof value === 'object')
    return Object.keys(value).length ? h('pre.block', JSON.stringify(value, null, 2)) : NONE;
  return String(value);
}
