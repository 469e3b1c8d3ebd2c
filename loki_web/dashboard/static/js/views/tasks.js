// The board or the list of all tasks.

import { keptCell } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import { tasks } from '../core/store.js';
import { keep, link } from '../core/views.js';
import { count, lookup, moment, words } from '../core/words.js';
import { filters } from '../extra/filters.js';
import { priorityRank, taskState } from '../extra/tasks.js';
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
const PRIORITY_ORDER = ['critical', 'high', 'medium', 'low'];
const ENDED = new Set(['done', 'failed']);
const usual = keptCell('tasks', 'board');

export function view(ctx) {
  const layout = () => ctx.route.query.get('layout') ?? usual.value;
  const place = (id) => link('tasks', [id], filter.query());
  const found = h('span.quiet', { role: 'status' });
  const filter = filters(ctx, {
    label: 'Filter tasks',
    placeholder: 'Filter by title, id, type or agent',
    text: (task) => `${task.title} ${task.id} ${task.type} ${task.priority} ${task.assigned_agent_id ?? ''}`,
    facets: [
      { name: 'state', label: 'State', of: taskState, order: COLUMNS.map(([name]) => name) },
      { name: 'priority', label: 'Priority', of: (task) => task.priority, order: PRIORITY_ORDER },
      { name: 'type', label: 'Type', of: (task) => task.type },
      { name: 'agent', label: 'Agent', of: (task) => task.assigned_agent_id, word: String },
    ],
  });
  const board = panel(ctx, {
    title: 'Tasks',
    class: 'bare',
    from: { tasks },
    lines: 8,
    show: (data) => show(data.tasks),
  });
  const switches = h('div.end');

  function show(all) {
    const shown = filter.fit(all);
    draw(
      found,
      shown.length === all.length ? count(all.length, 'task') : `${shown.length} of ${count(all.length, 'task')}`,
    );
    if (!all.length) return empty('No tasks yet', 'The tasks of the session appear when it has planned some.');
    if (!shown.length) return empty('No task fits', 'Nothing has this text and these properties.');
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

  drawSwitches();
  ctx.onRoute(() => {
    drawSwitches();
    board.redraw();
  });
  return [h('div.head', h('h1', 'Tasks'), found, switches), filter.bar, filter.chips, board];
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
      isLong: true,
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
        {
          label: 'Agent',
          cell: ({ assigned_agent_id: id }) => (id ? h('a', { href: link('agents', id) }, id) : ''),
          sort: (task) => task.assigned_agent_id,
        },
        { label: 'Id', cell: (task) => h('span.mono', task.id), sort: (task) => task.id },
      ],
    }),
  );
