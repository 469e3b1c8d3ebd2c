// What the session remembers: searched or listed at the left, one entry or the whole at the right.

import { post } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import { go, link, replace } from '../core/views.js';
import { number, words } from '../core/words.js';
import { askFor } from '../extra/form.js';
import { stage } from '../extra/stage.js';
import { actionButton } from '../ui/actions.js';
import { toast } from '../ui/elements.js';
import { entryPanel } from './memory_entry.js';
import { LISTS, results } from './memory_lists.js';
import { overview, PAGES, summary } from './memory_pages.js';

const COUNTS = {
  episodes: ({ episodic }) => episodic.count,
  patterns: ({ semantic }) => semantic.patterns + semantic.antiPatterns,
  skills: ({ procedural }) => procedural.skills,
};

export function view(ctx) {
  const query = () => ctx.route.query.get('q') ?? '';
  const field = h('input.input.search', {
    type: 'search',
    placeholder: 'Search all that is remembered',
    'aria-label': 'Search the memory',
    'data-search': '',
    maxlength: 1000,
    value: query(),
    oninput: () => replace('memory', ctx.route.parts.slice(0, 1), { q: field.value.trim() }),
  });
  const tabs = h('nav.tabs', { 'aria-label': 'Kinds of memory' });
  const acts = h('div.end');
  const list = stage(ctx, 'left');
  const side = stage(ctx, 'side');
  const pair = h('div.pair', list, side);
  let opened = [];

  function show() {
    const [kind = 'episodes', id] = ctx.route.parts;
    const q = query();
    const isList = q || kind in LISTS;
    if (q !== field.value.trim()) field.value = q;
    pair.className = id ? 'pair opened' : isList ? 'pair' : 'pair whole';
    drawTabs();
    list.show(q ? 'results' : kind, q ? results : (LISTS[kind] ?? PAGES[kind] ?? LISTS.episodes));
    side.show(id ? `${kind}/${id}` : 'overview', (part) => (id ? entryPanel(part, kind, id) : overview(part)));
    if (id && !list.offsetParent) side.querySelector('a')?.focus();
    if (!id && opened[1] && document.activeElement !== field) rowOf(opened)?.focus();
    opened = [kind, id];
  }

  const rowOf = (parts) =>
    /** @type {HTMLElement[]} */ ([...list.querySelectorAll('[data-row]')]).find(
      (row) => row.getAttribute('href') === link('memory', parts, { q: query() }),
    );

  function drawTabs() {
    const current = query() ? '' : (ctx.route.parts[0] ?? 'episodes');
    draw(
      tabs,
      [...Object.keys(LISTS), ...Object.keys(PAGES)].map((kind) =>
        h(
          'a.chip',
          { href: link('memory', kind), 'aria-current': kind === current && 'page' },
          words(kind),
          summary.data && COUNTS[kind] && h('span.quiet', ` ${number(COUNTS[kind](summary.data))}`),
        ),
      ),
    );
  }

  side.onkeydown = ({ key }) =>
    key === 'Escape' && ctx.route.parts[1] && go('memory', ctx.route.parts[0], { q: query() });
  const drawActs = () => draw(acts, actionButton({ label: 'Consolidate…', run: consolidate }));
  drawActs();
  ctx.redraws(drawActs);
  ctx.onRoute(show);
  ctx.watch(summary, drawTabs);
  show();
  return [h('div.head', h('h1', 'Memory'), field, acts), tabs, pair];
}

const consolidate = async () =>
  askFor({
    title: 'Consolidate the memory',
    verb: 'Consolidate',
    fields: [
      { name: 'hours', label: 'Hours to look back', type: 'number', value: '24', min: 1, max: 8760, required: true },
    ],
    async run({ hours }) {
      const { message } = await post('api/memory/consolidate', { sinceHours: Number(hours) });
      toast(message);
      summary.refresh();
    },
  });
