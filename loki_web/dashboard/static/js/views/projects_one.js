// One project: how it is, what can be done with its entry, and how it comes onto the list.

import { address, del, post, projectLink } from '../core/api.js';
import { h, icon } from '../core/dom.js';
import { projects, slice, fleet as states } from '../core/store.js';
import { go, route, ViewContext } from '../core/views.js';
import { count, dateTime, isolated, lookup, money, NONE, words } from '../core/words.js';
import { askFor } from '../extra/form.js';
import { stage } from '../extra/stage.js';
import { taskState } from '../extra/tasks.js';
import { actionButton, openDialog } from '../ui/actions.js';
import { ago, empty, panel, pill, toast } from '../ui/elements.js';

const DEPTHS = [1, 2, 3, 4, 6, 8, 10];
const CHECKS = {
  path_exists: 'Its folder is there',
  loki_dir_exists: 'It has a .loki folder',
  state_exists: 'A session has run in it',
  prd_exists: 'It has a PRD',
};
const TONES = lookup({ active: 'good', idle: '', uninitialized: 'warn', missing: 'bad' });

const read = (id, ...rest) => address(['api/registry/projects', id, ...rest]);

export const healthOf = (id, every = 30) => slice(read(id, 'health'), { every });

export function healthPill(health) {
  if (health?.data) return pill(health.data.status, TONES[health.data.status]);
  return h('span.quiet', health?.error ? 'unknown' : '…');
}

export function removeButton({ id, name: given, path }, more) {
  const [name, folder] = [given, path].map(isolated);
  return actionButton({
    label: 'Remove',
    class: 'danger',
    key: 'remove',
    name: `Remove ${name}`,
    ...more,
    refresh: [projects],
    done: `${name} is no longer registered`,
    async run() {
      await del(read(id));
      go('projects');
    },
    confirm: {
      title: `Remove ${name}?`,
      body: `The project is taken off this list, with its alias and when it was used. Nothing in ${folder} is touched.`,
      verb: 'Remove project',
    },
  });
}

/** The content of the drawer; `id` may be an alias or a path as well. */
export function details(part, id) {
  const project = slice(read(id), { every: 30 });
  const health = healthOf(id);
  const tasks = slice(address('api/registry/tasks', { project_ids: id }), { every: 30 });
  return panel(part, {
    title: 'Details',
    class: 'bare',
    from: { project },
    also: { health, tasks, states },
    lines: 8,
    show: ({ project: its, health: found, tasks: todo, states: known }) =>
      h(
        'div.stack',
        h('div.row', healthPill({ data: found, error: health.error }), its.alias && h('span.quiet', its.alias)),
        found &&
          h(
            'ul.checks',
            Object.entries(CHECKS).map(([name, label]) => check(found.checks[name], label)),
          ),
        h(
          'dl.dl',
          session(known?.projects.find(({ path }) => path === its.path)),
          fact('Folder', h('span.mono', its.path)),
          fact('Id', h('span.mono', its.id)),
          fact('Last used', its.last_accessed ? ago(its.last_accessed) : 'never'),
          fact('Registered', dateTime(its.registered_at)),
          fact('Changed', dateTime(its.updated_at)),
        ),
        h('div', h('p.quiet', 'Its own page:'), h('pre.block', `cd ${quoted(its.path)} && loki-web serve`)),
        todo &&
          h(
            'section',
            h('h3', count(todo.length, 'task')),
            h(
              'ul.plain',
              todo.map((task) => h('li.row', { key: task.id }, pill(taskState(task)), task.title || task.id)),
            ),
          ),
        h(
          'div.row',
          h('a.button', { href: projectLink(its.id) }, 'Show on this page'),
          actionButton({
            label: 'Mark as used now',
            key: 'access',
            run: () => post(read(its.id, 'access')),
            done: `Noted that ${isolated(its.name)} was used`,
            refresh: [project, projects],
          }),
          removeButton(its),
        ),
      ),
  });
}

const check = (isTrue, label) =>
  h('li', { class: isTrue ? null : 'quiet' }, icon(isTrue ? 'check' : 'close'), ' ', label, !isTrue && h('b', ': no'));
const fact = (name, value) => [h('dt', name), h('dd', value || NONE)];
/** The facts of a project's session; none without a state folder. */
const session = (known) =>
  known &&
  known.status !== 'missing' && [
    fact('Session', words(known.status)),
    fact('Iteration', known.iteration || NONE),
    fact('Spent', money(known.cost_usd)),
    fact('Open alerts', String(known.open_alerts)),
  ];
const quoted = (path) => (/^[\w/.~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

/** Ask for a project and register it. */
export const register = () =>
  askFor({
    title: 'Register a project',
    verb: 'Register',
    fields: [
      {
        name: 'path',
        label: 'Folder',
        hint: 'On the computer where this server runs, as /home/you/projects/shop.',
        required: true,
      },
      { name: 'name', label: 'Name', hint: 'That of the folder where it is left out.', maxlength: 255 },
      { name: 'alias', label: 'Alias', hint: 'A short name for links and commands.', maxlength: 255 },
    ],
    async run({ path, name, alias }) {
      const made = await post('api/registry/projects', { path: path.trim(), name: name || null, alias: alias || null });
      toast(`${isolated(made.name)} is registered`);
      projects.refresh();
    },
  });

/** What lies in the usual folders, registered or not. */
export function discover() {
  const ctx = new ViewContext(route.value); // ends with the dialog
  const place = stage(ctx);
  place.tabIndex = 0;
  const depth = h(
    'select.input',
    { onchange: () => look() },
    DEPTHS.map((each) => h('option', { value: each, selected: each === 3 }, String(each))),
  );
  const look = () =>
    place.show(depth.value, (part) =>
      panel(part, {
        title: 'Folders with a .loki',
        class: 'bare',
        from: { found: slice(address('api/registry/discover', { max_depth: depth.value }), { every: 60 }), projects },
        show: ({ found, projects: known }) =>
          found.length
            ? h(
                'ul.needs',
                found.map((each) => drawFound(each, known)),
              )
            : empty('Nothing was found', 'Looked in git, projects, code, dev, workspace and src of the home folder.'),
      }),
    );
  look();
  openDialog(
    { title: 'Discover projects', onclose: () => ctx.leave() },
    h('label.row', 'Levels of folders to look into', depth),
    place,
    h(
      'div.acts',
      h('button.button', { type: 'button', onclick: ({ target }) => target.closest('dialog').close() }, 'Close'),
    ),
  );
}

function drawFound({ path, name, has_state: hasRun, has_prd: hasPrd }, known) {
  return h(
    'li',
    { key: path },
    h(
      'div',
      h('b', name),
      h('p.mono.small.quiet', path),
      h('span.row', hasRun && pill('has run', ''), hasPrd && pill('has a PRD', '')),
    ),
    known.some((each) => each.path === path)
      ? h('span.quiet', 'Registered')
      : actionButton({
          label: 'Register',
          class: 'small',
          name: `Register ${isolated(name)}`,
          run: () => post('api/registry/projects', { path }),
          done: `${isolated(name)} is registered`,
          refresh: [projects],
        }),
  );
}
