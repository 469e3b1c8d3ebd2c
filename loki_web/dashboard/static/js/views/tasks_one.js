// The page of a task: what it is, how it moved through the queues, who did it, and what happened meanwhile.

import { now } from '../core/api.js';
import { h } from '../core/dom.js';
import { agents, checkpoints, cost, status, tasks } from '../core/store.js';
import { link } from '../core/views.js';
import { dateTime, duration, lookup, moment, NONE, words } from '../core/words.js';
import { copyButton } from '../extra/copy.js';
import { inWords } from '../extra/facts.js';
import { iterationsOf } from '../extra/lanes.js';
import { changesIn, eventsPanel, factList, logPanel, page, spentIn } from '../extra/page.js';
import { taskState } from '../extra/tasks.js';
import { ago, empty, panel, pill, table } from '../ui/elements.js';

const PRIORITIES = lookup({ high: 'warn', critical: 'bad' });
const SHOWN = new Set([
  ...['id', 'title', 'description', 'status', 'failed', 'priority', 'type', 'position', 'queue'],
  ...['created_at', 'started_at', 'completed_at', 'assigned_agent_id', 'github_url'],
]);

export function view(ctx) {
  const [id] = ctx.route.parts;
  /** @type {{at: number, state: string}[]} moves that were seen while the page was open */
  const seen = [];
  let state = '';
  const opened = now();
  ctx.watch(tasks, ({ data }) => {
    const task = data?.find((each) => each.id === id);
    const next = task ? taskState(task) : '';
    if (state && next && next !== state) seen.push({ at: now(), state: next });
    state = next || state;
  });
  return page(ctx, {
    from: { tasks },
    also: { cost, status },
    find: ({ tasks: all }) => all.find((each) => each.id === id),
    nameOf: (task) => task.title || task.id,
    missing: empty('There is no such task', 'It may have been removed since the link was made.'),
    head: (task) => [
      pill(taskState(task)),
      task.priority !== 'medium' && pill(task.priority, PRIORITIES[task.priority]),
      h(
        'div.end',
        copyButton('Copy id', task.id, 'the id'),
        copyButton('Copy link', location.href, 'the link'),
        copyText(task),
      ),
    ],
    spanOf,
    parts(part, task, [from, to]) {
      return [
        h(
          'div.stack.w4.lead',
          panel(part, {
            title: 'Facts',
            from: { tasks },
            also: { agents, cost, status },
            show: (data) => showFacts(task(), data),
          }),
          panel(part, { title: 'Agent', from: { agents }, show: (data) => showAgent(task(), data.agents) }),
          from !== null &&
            panel(part, {
              title: 'What changed',
              from: { checkpoints },
              show: (data) => changesIn(data.checkpoints, from, to ?? now()),
            }),
        ),
        h(
          'div.stack.w8',
          panel(part, {
            title: 'Description',
            from: { tasks },
            show: () => h('p.keep', task().description || h('span.quiet', 'No description')),
          }),
          panel(part, { title: 'History', from: { tasks }, show: () => showHistory(task(), seen, opened) }),
          from !== null && eventsPanel(part, { from, to }),
        ),
        from === null
          ? logPanel(part, { title: 'Log lines that name it', query: id })
          : logPanel(part, { title: 'Log of this time', from, to }),
      ];
    },
  });
}

/** When the work on a task began and ended, as far as that is known; one that stands for an iteration has its times. */
function spanOf(task) {
  const [begun, ended] = [moment(task.started_at), moment(task.completed_at)];
  if (begun !== null || !iterationOf(task)) return [begun ?? moment(task.created_at), ended];
  const ran = iterationsOf(cost.data?.by_iteration ?? [], status.data, tasks.data ?? []).findLast(
    ({ number }) => number === iterationOf(task),
  );
  return ran ? [ran.from, ran.cost === undefined ? null : ran.to] : [moment(task.created_at), ended];
}

/** The number of the iteration that a task stands for, or 0. */
const iterationOf = ({ type, id }) => (type === 'iteration' ? Number(/\d+$/.exec(id)?.[0] ?? 0) : 0);

const copyText = (task) =>
  copyButton(
    'Copy text',
    `${task.title || task.id} (${task.id})\n\n${task.description}`.trim(),
    'title and description',
  );

function showFacts(task, data) {
  const [from, to] = spanOf(task);
  const number = iterationOf(task);
  return factList([
    ['Id', h('span.mono', task.id)],
    ['Type', number ? h('a', { href: link('iterations', String(number)) }, words(task.type)) : words(task.type)],
    ['Priority', words(task.priority)],
    ['Queue', task.queue && `${words(task.queue)}, place ${task.position + 1}`],
    [to === null ? 'Since then' : 'Took', from !== null && duration(((to ?? now()) - from) / 1000)],
    ['Cost', spentIn(data, from, to)],
    ['GitHub', /^https:/.test(task.github_url) && h('a', { href: task.github_url }, task.github_url)],
    ...Object.entries(task)
      .filter(([name]) => !SHOWN.has(name))
      .map(([name, value]) => [words(name), inWords(value, name)]),
  ]);
}

/** The moves that the files have times for, those that were seen here, and where it is now. */
function showHistory(task, seen, opened) {
  const written = [
    { at: moment(task.created_at), what: 'Created' },
    { at: moment(task.started_at), what: 'In progress', state: 'in_progress' },
    { at: moment(task.completed_at), what: words(task.failed ? 'failed' : 'done'), state: taskState(task) },
  ].filter(({ at }) => at !== null);
  const isKnown = (state) => written.some((each) => each.state === state);
  const rows = [
    ...written,
    ...seen
      .filter(({ state }) => !isKnown(state))
      .map(({ at, state }) => ({ at, state, what: words(state), note: 'seen while this page was open' })),
  ].sort((a, b) => a.at - b.at);
  if (!isKnown(taskState(task)) && rows.at(-1)?.state !== taskState(task))
    rows.push({ at: null, what: words(taskState(task)), note: 'the files have no time for it' });
  const until = (index) => rows[index + 1]?.at ?? (taskState(task) === 'done' || task.failed ? null : now());
  const timed = rows.map((row, index) => ({ ...row, index, to: row.at === null ? null : until(index) }));
  return [
    table({
      caption: 'History',
      isPassing: true,
      rows: timed,
      key: ({ index }) => String(index),
      columns: [
        { label: 'Move', cell: ({ what, note }) => [h('b', what), note && h('small.quiet', ` ${note}`)] },
        { label: 'When', cell: ({ at }) => (at === null ? NONE : [dateTime(at), h('span.quiet', ' (', ago(at), ')')]) },
        {
          label: 'Stayed for',
          class: 'num',
          cell: ({ at, to }) => (at === null || to === null ? NONE : duration((to - at) / 1000)),
          sort: ({ at, to }) => (at === null || to === null ? null : (to - at) / 1000),
        },
      ],
    }),
    h(
      'p.small.quiet',
      'Loki Mode keeps the times of creation, start and end. Other moves are noted from ',
      ago(opened),
      ' on.',
    ),
  ];
}

function showAgent(task, all) {
  const id = task.assigned_agent_id;
  if (!id) return empty('No agent', 'None has claimed it, or its claim was not written down.');
  const agent = all.find((each) => each.id === id || each.name === id);
  return factList([
    ['Agent', h('a.strong', { href: link('agents', agent?.id ?? id) }, agent?.name || id)],
    ['State', agent ? pill(agent.status) : 'no longer in the list'],
    ['Works on', agent?.task],
    ['Model', agent?.model],
    ['Heartbeat', agent?.heartbeat && ago(agent.heartbeat)],
  ]);
}
