import { address, credential, getJson, post, signOut } from '../core/api.js';
import { draw, h, icon } from '../core/dom.js';
import { agents, checkpoints, cost, status, tasks } from '../core/store.js';
import { go, VIEWS } from '../core/views.js';
import { dateTime, isPaused, isRunning, lookup } from '../core/words.js';
import { forceReview, openDialog, pause, perform, resume, stop } from '../ui/actions.js';
import { askForToken, toast } from '../ui/elements.js';
import { hasOthers, hasRecords, openProjects } from '../ui/shell.js';
import { readSaved } from './filters.js';
import { askFor } from './form.js';
import { matches } from './search.js';
import { clockLabel, switchClock } from './zone.js';

const MOST = 60;
const MOST_LINES = 5; // of the log
const LONGEST = 160; // characters of a line
const LEAST_LETTERS = 3; // of a text that the log is searched for
const PAUSE = 200; // ms after typing
const isOffered = lookup({ fleet: hasOthers, records: hasRecords });

/** Make a checkpoint, asking for its message. */
export const createCheckpoint = () =>
  askFor({
    title: 'New checkpoint',
    verb: 'Create checkpoint',
    fields: [{ name: 'message', label: 'Message', hint: 'What is about to happen, as “before the refactoring”.' }],
    async run({ message }) {
      const made = await post('api/checkpoints', message ? { message } : {});
      toast(`Checkpoint ${made.id} created`);
      checkpoints.refresh();
    },
  });

/** The views of lists that were saved in this browser. */
const savedViews = () =>
  ['tasks', 'agents'].flatMap((view) =>
    readSaved(view).map(({ name, query }) => ({
      icon: view,
      label: name,
      note: 'saved view',
      run: () => {
        location.hash = `#/${view}?${query}`;
      },
    })),
  );

function commands({ switchTheme }) {
  const views = Object.entries(VIEWS)
    .filter(([name]) => isOffered[name]?.() ?? true)
    .map(([name, { title, key }]) => ({
      icon: name,
      label: title,
      keys: `g ${key}`,
      run: () => go(name),
    }));
  const state = status.data;
  const isOn = isRunning(state) || isPaused(state);
  return [
    ...views,
    ...savedViews(),
    isOn && isPaused(state) && { icon: 'play', label: 'Resume the session', run: () => perform(resume) },
    isOn && !isPaused(state) && { icon: 'pause', label: 'Pause the session', run: () => perform(pause) },
    isOn && { icon: 'stop', label: 'Stop the session…', run: () => perform(stop) },
    { icon: 'council', label: forceReview.label, run: () => perform(forceReview) },
    { icon: 'checkpoints', label: 'Create a checkpoint…', run: createCheckpoint },
    hasOthers() && { icon: 'projects', label: 'Show another project…', run: openProjects },
    { icon: 'theme', label: 'Switch between light and dark', run: switchTheme },
    {
      icon: 'timeline',
      label: clockLabel,
      run: switchClock,
    },
    { icon: 'key', label: 'Use another access token…', run: askForToken },
    credential.value && { icon: 'key', label: 'Sign out', run: () => perform({ run: signOut }) },
    ...(tasks.data ?? []).map(({ id, title }) => ({
      icon: 'tasks',
      label: title || id,
      note: id,
      place: ['tasks', id],
    })),
    ...(agents.data ?? []).map(({ id, name }) => ({
      icon: 'agents',
      label: name || id,
      note: id,
      place: ['agents', id],
    })),
    ...(cost.data?.by_iteration ?? []).map(({ iteration: number }) => ({
      icon: 'iterations',
      label: `Iteration ${number}`,
      place: ['iterations', String(number)],
    })),
  ].filter(Boolean);
}

/** The newest lines of the log that have a text, and a link to the search for all. */
async function findLines(query) {
  const lines = await getJson(address('api/logs', { query, lines: MOST_LINES }));
  const found = lines.reverse().map(({ message, timestamp, cursor }) => ({
    icon: 'logs',
    label: message.slice(0, LONGEST),
    note: dateTime(timestamp),
    run: () => go('logs', [], { at: cursor, q: query }),
  }));
  return [...found, { icon: 'logs', label: `Search the log for “${query}”`, run: () => go('logs', [], { q: query }) }];
}

/** Everything that can be gone to or done, by typing a part of its name. */
export const open = (offered) =>
  choose(commands(offered), { title: 'Commands', label: 'Command', placeholder: 'Go to or do…', findMore: findLines });

/**
 * One of a list, by typing a part of its label or note.
 *
 * @param {any[]} all each has `icon`, `label` and `run`; and it may have `note`, `keys` and `place`, see `commands`
 * @param {{title: string, label: string, placeholder: string, findMore?: (query: string) => Promise<any[]>}} how
 */
export function choose(all, { title, label, placeholder, findMore }) {
  let shown = [];
  let timer = 0;
  let at = 0;
  const list = h('ul', { id: 'palette-list', role: 'listbox', 'aria-label': title });
  const field = h('input.input', {
    type: 'text',
    placeholder,
    'aria-label': label,
    role: 'combobox',
    'aria-expanded': 'true',
    'aria-controls': 'palette-list',
    autocomplete: 'off',
    spellcheck: 'false',
    oninput: () => filter(),
    onkeydown: (event) => press(event),
  });
  const dialog = openDialog({ title, class: 'palette' }, field, list);

  function filter() {
    const query = field.value.trim();
    const fits = ({ label, note = '', place }) => (query || !place) && matches(query, `${label} ${note}`);
    shown = all.filter(fits).slice(0, MOST);
    at = 0;
    show();
    clearTimeout(timer);
    if (findMore && query.length >= LEAST_LETTERS) timer = setTimeout(() => add(query), PAUSE);
  }

  async function add(query) {
    const found = await findMore?.(query).catch(() => []);
    if (!found || query !== field.value.trim() || !dialog.open) return;
    shown = [...shown, ...found];
    show();
  }

  function show() {
    draw(
      list,
      shown.length
        ? shown.map((command, index) =>
            h(
              'li',
              {
                role: 'option',
                id: `command-${index}`,
                'aria-selected': String(index === at),
                onclick: () => take(command),
                onpointermove: () => {
                  if (at !== index) {
                    at = index;
                    show();
                  }
                },
              },
              icon(command.icon),
              command.label,
              command.keys && h('kbd', command.keys),
              command.note && h('small.quiet.mono', command.note),
            ),
          )
        : h('li', { role: 'option', 'aria-selected': 'false', 'aria-disabled': 'true' }, 'Nothing of that name'),
    );
    field.setAttribute('aria-activedescendant', shown.length ? `command-${at}` : '');
    list.children[at]?.scrollIntoView({ block: 'nearest' });
  }

  function press(event) {
    const { key } = event;
    if (key === 'ArrowDown' || key === 'ArrowUp')
      at = (at + (key === 'ArrowDown' ? 1 : -1) + shown.length) % (shown.length || 1);
    else if (key === 'Enter' && shown[at]) take(shown[at]);
    else return;
    event.preventDefault();
    if (key !== 'Enter') show();
  }

  function take(command) {
    dialog.close();
    if (command.place) go(command.place[0], command.place[1]);
    else command.run();
  }

  filter();
}
