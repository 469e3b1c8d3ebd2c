// The page of one thing that a list names, and the panels that such pages share.

import { address, now } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import { agents, checkpoints, cost, notifications, slice, status, tasks, verdicts } from '../core/store.js';
import { link, VIEWS } from '../core/views.js';
import { count, moment, money, NONE } from '../core/words.js';
import { empty, failed, loading, logLine, panel } from '../ui/elements.js';
import { setTitle } from '../ui/shell.js';
import { command } from './copy.js';
import { happenings, iso, iterationsOf, lanesOf, logAt } from './lanes.js';
import { stage } from './stage.js';

const MOST_LINES = 200;

/**
 * The page of the thing that the address names. What is no longer listed stays as it was last known.
 *
 * @param {import('../core/views.js').ViewContext} ctx
 * @param {object} how
 * @param {Record<string, any>} how.from the slices in which it is looked for, by name
 * @param {(data: any, id: string) => any} how.find
 * @param {(it: any, id: string) => string} how.nameOf
 * @param {Record<string, any>} [how.also] other slices that it is looked for in, or from which its times are known
 * @param {any} how.missing what is said if it is not there
 * @param {(it: any, isListed: boolean) => any} how.head what stands beside its name
 * @param {(it: any) => any[]} how.spanOf when it began and ended
 * @param {(part: import('../core/views.js').ViewContext, it: () => any, span: any[]) => any[]} how.parts panels, made
 *   again when it has begun or ended
 */
export function page(ctx, { from, also = {}, find, nameOf, missing, head, spanOf, parts }) {
  const { view, parts: path, query } = ctx.route;
  const [id] = path;
  const top = h('div.head');
  const body = stage(ctx, 'grid');
  const began = Date.now();
  const slices = Object.values(from);
  let it = null;

  function redraw() {
    const data = Object.fromEntries(Object.entries(from).map(([name, { data: known }]) => [name, known]));
    const isReady = slices.every((each) => each.data !== undefined);
    const found = isReady && find(data, id);
    it = found || it;
    const name = it ? nameOf(it, id) : id;
    setTitle(name);
    draw(
      top,
      h(
        'h1',
        h('a.crumb', { href: link(view, [], Object.fromEntries(query)) }, VIEWS[view].title),
        h('span.quiet', { 'aria-hidden': 'true' }, ' / '),
        name,
      ),
      it && head(it, Boolean(found)),
      it && isReady && !found && h('p.warn', 'It is no longer in the list. This is what was last known.'),
    );
    if (it) {
      const span = spanOf(it);
      body.show(span.join(), (part) => parts(part, () => it, span));
    } else {
      const error = slices.find((each) => each.data === undefined && each.error)?.error;
      const retry = () => Promise.all(slices.map((each) => each.refresh()));
      draw(body, h('div.card', error ? failed(error, retry) : isReady ? missing : loading(8, began)));
    }
  }

  const later = () => ctx.schedule(redraw);
  redraw();
  ctx.redraws(redraw);
  for (const each of [...slices, ...Object.values(also)]) ctx.watch(each, later);
  return [top, body];
}

/** Names with values. */
export const factList = (pairs) =>
  h(
    'dl.dl',
    pairs
      .filter(([, value]) => value != null && value !== '' && value !== false)
      .map(([name, value]) => [h('dt', { key: `${name}-name` }, name), h('dd', { key: name }, value)]),
  );

/** The checkpoints of a time, and what changed between the commits of the ones around it, after other facts. */
export function changesIn(all, from, to, more = []) {
  const points = all
    .map((each) => ({ ...each, at: moment(each.created_at) }))
    .filter(({ at }) => at !== null)
    .sort((a, b) => a.at - b.at);
  const during = points.filter(({ at }) => from !== null && at >= from && at <= to);
  const before = from === null ? null : points.findLast(({ at, git_sha: sha }) => sha && at < from);
  const after = during.findLast(({ git_sha: sha }) => sha);
  const names = during.map(({ id, message }) =>
    h('li', { key: id }, h('a', { href: link('checkpoints', id) }, message || id)),
  );
  return [
    factList([...more, ['Checkpoints', names.length ? h('ul', names) : NONE]]),
    before && after && before.git_sha !== after.git_sha
      ? command(`git diff ${before.git_sha.slice(0, 12)} ${after.git_sha.slice(0, 12)}`)
      : null,
  ];
}

/** The iterations that ran in a time, with links and what they cost together; whoever worked in them. */
export function spentIn({ cost: spent, status: session, tasks: all = [] }, from, to) {
  if (!spent || from === null) return NONE;
  const ran = iterationsOf(spent.by_iteration ?? [], session, all).filter(
    (each) => each.from < (to ?? now()) && each.to > from && each.cost !== undefined,
  );
  if (!ran.length) return NONE;
  const sum = ran.reduce((whole, each) => whole + each.cost, 0);
  const [first, last] = [ran[0].number, ran.at(-1).number];
  const one = (number) => h('a', { href: link('iterations', number) }, number);
  return [
    h('b', money(sum)),
    h(
      'span.quiet',
      ` for all of ${ran.length === 1 ? 'iteration ' : 'iterations '}`,
      one(first),
      ran.length > 1 && [' to ', one(last)],
    ),
  ];
}

/**
 * The lines of the log from a time, or that have a text.
 *
 * @param {import('../core/views.js').ViewContext} ctx
 * @param {{title: string, from?: number | null, to?: number | null, query?: string, class?: string}} how
 */
export function logPanel(ctx, { title, from = null, to = null, query = '', class: more }) {
  const lines = slice(
    address('api/logs', {
      query: query.slice(0, MOST_LINES),
      since: from === null ? '' : iso(from),
      until: to === null ? '' : iso(to),
      lines: MOST_LINES,
    }),
    { channels: to === null ? ['logs'] : [], every: 30 },
  );
  const place = from === null ? link('logs', [], { q: query }) : logAt(from);
  return panel(ctx, {
    title,
    class: more,
    from: { lines },
    lines: 6,
    tools: () => h('a', { href: place }, 'Open log'),
    show: ({ lines: found }) =>
      found.length
        ? [
            h(
              'div.log.excerpt',
              { role: 'log', tabindex: '0', 'aria-label': title, 'aria-live': 'off' },
              found.map((line) =>
                h(
                  'div',
                  { key: line.cursor },
                  logLine(line, line.message, link('logs', [], { at: line.cursor, q: query })),
                ),
              ),
            ),
            found.length >= MOST_LINES && h('p.small.quiet', `The last ${count(MOST_LINES, 'line')}.`),
          ]
        : empty('No line', query ? `No line has “${query}”.` : 'Nothing was logged in this time.'),
  });
}

/** Whether something happened in a time; what ends when it begins, or begins when it ends, did not. */
const isWithin = (item, from, to) =>
  item.from === item.to ? item.from >= from && item.from <= to : item.to > from && item.from < to;

/** What else happened in a time. */
export function eventsPanel(ctx, { from, to }) {
  return panel(ctx, {
    title: 'In this time',
    from: { status, cost },
    also: { agents, tasks, verdicts, checkpoints, notifications },
    show(data) {
      const until = to ?? now();
      const lanes = lanesOf(data)
        .filter(({ name }) => name !== 'Cost' && name !== 'Phases')
        .map((lane) => ({ ...lane, items: lane.items.filter((item) => isWithin(item, from, until)) }))
        .filter(({ items }) => items.length);
      return lanes.length
        ? happenings(lanes, 'In this time')
        : empty('Nothing else', 'No iteration, vote, checkpoint, alert or task has a time in it.');
    },
  });
}
