// The lists of the memory and the hits of a search, each with the reason why it is one.

import { post } from '../core/api.js';
import { h, spoken } from '../core/dom.js';
import { slice } from '../core/store.js';
import { link } from '../core/views.js';
import { count, lookup, NONE, percent, words } from '../core/words.js';
import { labelOf } from '../extra/facts.js';
import { stage } from '../extra/stage.js';
import { ago, empty, failed, loading, panel, pill } from '../ui/elements.js';
import { rows } from '../ui/rows.js';

const FIRST = 200;
const MOST = 1000;
const HITS = 20;
const MOST_HITS = 100;
const PAUSE = 200; // ms after a key
const INDEXING = 1500; // ms until a memory that is being indexed is asked again

/** Entries of which one can be open: `row` makes what stands in its link. */
function entryList(part, { label, items, kind = (/** @type {any} */ _entry) => label.toLowerCase(), row }) {
  const [, open] = part.route.parts;
  const q = part.route.query.get('q');
  return rows({
    class: 'entries',
    label,
    items,
    key: (entry) => `${kind(entry)}/${entry.id}`,
    estimate: 58,
    row: (entry) =>
      h(
        'a.entry',
        {
          href: link('memory', [kind(entry), entry.id], { q }),
          'data-row': '',
          'aria-current': entry.id === open && 'true',
        },
        row(entry),
      ),
  });
}

function listPanel(part, title, from, face, row, after = (/** @type {any[]} */ _items) => null) {
  const made = panel(part, {
    title,
    from: { from },
    lines: 8,
    show: ({ from: items }) =>
      items.length ? [entryList(part, { label: title, items, row }), after(items)] : empty(...face),
  });
  part.onRoute(made.redraw);
  return made;
}

const line = (...parts) =>
  h(
    'span.row.small.quiet',
    parts.filter(Boolean).map((each) => h('span', each)),
  );

function episodes(part) {
  const place = stage(part);
  const show = (limit) =>
    place.show(String(limit), (inner) =>
      listPanel(
        inner,
        'Episodes',
        slice(`api/memory/episodes?limit=${limit}`),
        [
          'No episodes',
          'An episode is written when an agent has ended a task: what it wanted, did, and what came of it.',
        ],
        (each) => [
          h('b', each.goal || each.id),
          line(pill(each.outcome || 'unknown'), each.phase, each.agent, ago(each.timestamp)),
        ],
        ({ length }) =>
          length === limit &&
          h(
            'p.row.small.quiet',
            `The newest ${count(length, 'episode')}. The search knows all.`,
            limit < MOST && h('button.button.small', { type: 'button', onclick: () => show(MOST) }, 'Show more'),
          ),
      ),
    );
  show(FIRST);
  return place;
}

const patterns = (part) =>
  listPanel(
    part,
    'Patterns',
    slice('api/memory/patterns'),
    ['No patterns', 'Patterns are what several episodes have in common; consolidation finds them.'],
    (each) => [
      h('b', each.pattern || each.id),
      line(categoryPill(each), `${percent(each.confidence * 100)} sure`, `used ${count(each.usageCount, 'time')}`),
    ],
  );

const skills = (part) =>
  listPanel(
    part,
    'Skills',
    slice('api/memory/skills'),
    ['No skills', 'Skills are ways of doing something, step by step, that have worked before.'],
    (each) => [h('b', each.name || each.id), line(each.description || NONE, count(each.steps.length, 'step'))],
  );

/** What to avoid stands out. */
export const categoryPill = ({ category }) =>
  pill(category || 'pattern', category === 'anti-pattern' ? 'warn' : 'accent');

export const LISTS = lookup({ episodes, patterns, skills });

/** What is found of the `q` in the address. */
export function results(part) {
  const wanted = () => part.route.query.get('q');
  const kinds = new Set();
  /** @type {any} */
  let found = null;
  /** @type {any} */
  let problem = null;
  let asked = 0;
  let timer = 0;
  let topK = HITS;
  let taskType = '';

  async function ask() {
    const turn = ++asked;
    const query = wanted();
    if (!query) return;
    try {
      const answer = await post('api/memory/retrieve', { query, topK, taskType });
      if (turn !== asked) return;
      [found, problem] = [answer, null];
      for (const { entry } of found.results)
        if (entry.phase || entry.category) kinds.add(entry.phase || entry.category);
      if (!found.complete) later(INDEXING);
    } catch (error) {
      if (turn === asked) problem = error;
    }
    made.redraw();
  }

  function later(pause) {
    clearTimeout(timer);
    timer = setTimeout(ask, pause);
  }

  const prefer = () =>
    h(
      'select.input.small',
      {
        'aria-label': 'What to put first',
        value: taskType,
        onchange: ({ target }) => {
          taskType = target.value;
          ask();
        },
      },
      h('option', { value: '' }, 'Best first'),
      [...kinds].sort().map((kind) => h('option', { key: kind, value: kind }, `${words(kind)} first`)),
    );

  const made = panel(part, {
    title: 'Found',
    tools: () => [
      h(
        'span.quiet',
        { role: 'status' },
        found && !problem && (found.results.length < topK ? count(found.results.length, 'result') : `The best ${topK}`),
      ),
      kinds.size > 1 && prefer(),
    ],
    show() {
      if (problem) return failed(problem, ask);
      if (!found) return loading(6);
      const indexing =
        !found.complete && h('p.warn', 'The memory is still being indexed: more may be found in a moment.');
      if (!found.results.length)
        return (
          indexing ||
          empty(
            'Nothing found',
            `No episode, pattern or skill has a word of “${found.query.query}”, or one that begins like it.`,
          )
        );
      return [
        indexing,
        entryList(part, { label: 'Results', items: found.results, kind: ({ type }) => `${type}s`, row: drawHit }),
        found.results.length === topK &&
          topK < MOST_HITS &&
          h(
            'p',
            h(
              'button.button.small',
              {
                type: 'button',
                onclick: () => {
                  topK = MOST_HITS;
                  ask();
                },
              },
              'Show more',
            ),
          ),
      ];
    },
  });
  let last = wanted();
  part.onRoute(() => {
    made.redraw();
    if (wanted() === last) return;
    last = wanted();
    topK = HITS;
    later(PAUSE);
  });
  part.onReturn(() => problem && ask());
  part.onLeave(() => {
    clearTimeout(timer);
    asked += 1;
  });
  ask();
  return made;
}

const marked = (snippet) => snippet.map(({ text, match }) => (match ? h('mark', text) : text));

function drawHit({ type, title, score, matched }) {
  const named = matched.find(({ snippet }) => snippet.map(({ text }) => text).join('') === title);
  return [
    h('b', named ? marked(named.snippet) : title),
    matched
      .filter((each) => each !== named)
      .slice(0, 3)
      .map(({ field, snippet }) => h('span.reason', h('span.quiet', `${labelOf(field)}: `), marked(snippet))),
    h(
      'span.row.small.quiet',
      pill(type, 'accent'),
      `${percent(Math.round(score * 100))} match`,
      named && spoken(`in ${labelOf(named.field)}`),
    ),
  ];
}
