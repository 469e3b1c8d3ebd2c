// All projects of this user: how each is, what there is to do in it, what was learned there.

import { post } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import { projects, slice } from '../core/store.js';
import { go, link } from '../core/views.js';
import { count, isolated, NONE, words } from '../core/words.js';
import { drawer } from '../extra/drawer.js';
import { matches, searchField } from '../extra/search.js';
import { stage } from '../extra/stage.js';
import { priorityRank, taskState } from '../extra/tasks.js';
import { actionButton } from '../ui/actions.js';
import { ago, empty, panel, pill, table } from '../ui/elements.js';
import { details, discover, healthOf, healthPill, register, removeButton } from './projects_one.js';

const tasks = slice('api/registry/tasks', { every: 30 });
const learnings = slice('api/registry/learnings?limit=1000', { every: 60 });
const ORDER = ['active', 'idle', 'uninitialized', 'missing'];

export function view(ctx) {
  let kind = 'patterns';
  const healths = new Map();
  const field = searchField(ctx, {
    label: 'Filter projects',
    placeholder: 'Filter by name, alias or path',
    redraw() {
      for (const each of panels) each.redraw();
    },
  });
  const found = h('span.quiet', { role: 'status' });
  const acts = h('div.end');
  const inside = stage(ctx);
  const pane = drawer(ctx, () => go('projects', [], { q: field.value }));

  const fits = (text) => matches(field.value, text);
  const shown = (all) => all.filter(({ name, alias, path }) => fits(`${name} ${alias ?? ''} ${path}`));

  function follow({ data = [] }) {
    const known = new Set(data.map(({ id }) => id));
    for (const [id, { end }] of healths)
      if (!known.has(id)) {
        end();
        healths.delete(id);
      }
    for (const id of known) {
      if (healths.has(id)) continue;
      const source = healthOf(id, Math.max(30, known.size));
      healths.set(id, { source, end: source.watch(() => fleet.redraw()) });
    }
  }

  const health = (id) => healths.get(id)?.source;
  const place = (id) => link('projects', id, { q: field.value });

  const fleet = panel(ctx, {
    title: 'Registered',
    from: { projects },
    also: { tasks },
    lines: 8,
    show({ projects: all, tasks: todo = [] }) {
      const rows = shown(all);
      draw(
        found,
        rows.length < all.length ? `${rows.length} of ${count(all.length, 'project')}` : count(all.length, 'project'),
      );
      if (!all.length)
        return empty(
          'No project is registered',
          'Loki Mode registers a project when it starts there. Or register one by its folder, or let them be found.',
        );
      if (!rows.length) return empty('No project fits', `None has “${field.value}” in its name, alias or path.`);
      const of = byFolder(todo);
      return table({
        caption: 'Projects',
        rows,
        key: ({ id }) => id,
        columns: [
          {
            label: 'Project',
            cell: (each) => [
              h('a.strong', { href: place(each.id), 'data-row': '' }, each.name),
              each.alias && h('span.quiet', ` ${each.alias}`),
            ],
            sort: ({ name }) => name,
          },
          {
            label: 'Health',
            cell: ({ id }) => healthPill(health(id)),
            sort: ({ id }) => ORDER.indexOf(health(id)?.data?.status),
          },
          {
            label: 'Tasks',
            cell: ({ path }) => work(of.get(path)),
            sort: ({ path }) => of.get(path)?.filter(isOpen).length ?? -1,
          },
          {
            label: 'Last used',
            class: 'nowrap',
            cell: (each) => ago(each.last_accessed),
            sort: (each) => each.last_accessed,
          },
          {
            label: 'Folder',
            cell: ({ path }) =>
              h(
                'span.mono.quiet',
                path.split('/').map((each, index) => [index > 0 && ['/', h('wbr')], each]),
              ),
            sort: ({ path }) => path,
          },
          {
            label: '',
            class: 'acts',
            cell: (each) => [
              h('a.button.small', { href: place(each.id), 'aria-label': `Open ${isolated(each.name)}` }, 'Open'),
              removeButton(each, { class: 'small danger' }),
            ],
          },
        ],
      });
    },
  });

  const todo = panel(ctx, {
    title: 'Tasks of all projects',
    class: 'w8',
    from: { tasks },
    lines: 6,
    tools: ({ tasks: all }) => h('span.quiet', count(all.length, 'task')),
    show({ tasks: all }) {
      const rows = all.filter((task) => fits(`${task._project_name} ${task._project_path}`));
      if (!rows.length)
        return empty(
          'No tasks',
          all.length
            ? `None in the projects that have “${field.value}”.`
            : 'The tasks of every registered project stand here.',
        );
      return table({
        caption: 'Tasks of all projects',
        rows,
        key: (task) => `${task._project_path} ${task.id}`,
        columns: [
          { label: 'Task', cell: (task) => task.title || task.id, sort: ({ title }) => title },
          {
            label: 'Project',
            cell: (task) => h('a', { href: place(task._project_id) }, task._project_name),
            sort: (task) => task._project_name,
          },
          { label: 'State', cell: (task) => pill(taskState(task)), sort: taskState },
          {
            label: 'Priority',
            cell: ({ priority }) => words(priority),
            sort: priorityRank,
          },
        ],
      });
    },
  });

  const lessons = panel(ctx, {
    title: 'Learned',
    class: 'w4',
    from: { learnings },
    lines: 6,
    show({ learnings: all }) {
      const tab = (name) =>
        h(
          'button.chip',
          {
            type: 'button',
            'aria-pressed': String(name === kind),
            onclick: () => {
              kind = name;
              lessons.redraw();
            },
          },
          `${words(name)} ${all[name].length}`,
        );
      const rows = all[kind].filter(({ project }) => fits(project));
      return [
        h('div.tabs', { role: 'group', 'aria-label': 'Kind' }, ['patterns', 'mistakes', 'successes'].map(tab)),
        rows.length
          ? h(
              'ul.needs.lessons',
              { tabindex: 0, 'aria-label': words(kind) },
              rows.map((each) =>
                h(
                  'li',
                  { key: `${each.timestamp} ${each.description}` },
                  h(
                    'div',
                    h('p', each.description || NONE),
                    h(
                      'small.quiet',
                      [each.project, each.category].filter(Boolean).map(isolated).join(' · '),
                      ' · ',
                      ago(each.timestamp),
                    ),
                  ),
                ),
              ),
            )
          : empty('Nothing learned here', 'What one project taught is kept for the others.'),
      ];
    },
  });

  const panels = [fleet, todo, lessons];

  function open() {
    const [id] = ctx.route.parts;
    if (!id) return pane.hide();
    inside.show(id, (part) => details(part, id));
    return pane.show(projects.data?.find((each) => [each.id, each.alias, each.path].includes(id))?.name ?? id, inside);
  }

  const drawActs = () =>
    draw(
      acts,
      actionButton({ label: 'Register…', run: async () => register() }),
      h('button.button', { type: 'button', onclick: discover }, 'Discover…'),
      actionButton({
        label: 'Sync',
        run: () => post('api/registry/sync', {}),
        refresh: [projects, tasks],
        done: ({ added, updated, missing, total }) =>
          `${added} added, ${updated} updated, ${missing} missing; ${total} registered`,
      }),
    );
  drawActs();
  ctx.redraws(drawActs);
  ctx.watch(projects, follow);
  ctx.watch(projects, () => ctx.schedule(open));
  ctx.onLeave(() => {
    for (const { end } of healths.values()) end();
  });
  ctx.onRoute(open);
  open();
  return [h('div.head', h('h1', 'Projects'), field, found, acts), h('div.grid', fleet, todo, lessons)];
}

const isOpen = (task) => task.status !== 'done';

/** A folder can be registered twice; its tasks name one of the two. */
function byFolder(tasks) {
  const found = new Map();
  for (const task of tasks) {
    if (!found.has(task._project_path)) found.set(task._project_path, []);
    found.get(task._project_path).push(task);
  }
  return found;
}

/** What is to be done in a project, in few words. */
function work(all = []) {
  const failed = all.filter((task) => task.failed).length;
  const left = all.filter(isOpen).length;
  if (!all.length) return h('span.quiet', NONE);
  return h(
    'span',
    left ? `${left} of ${all.length} open` : `${all.length} done`,
    failed > 0 && h('span.bad.nowrap', `, ${failed} failed`),
  );
}
