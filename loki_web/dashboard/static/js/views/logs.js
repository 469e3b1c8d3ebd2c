// The log: levels, search with marks, following, wrapping, download.

import { keptCell } from '../core/api.js';
import { draw, h, icon } from '../core/dom.js';
import { LogFeed, status as session } from '../core/store.js';
import { replace } from '../core/views.js';
import { count, date, number, zone } from '../core/words.js';
import { perform } from '../ui/actions.js';
import { empty, failed, levelClass, loading, logLine } from '../ui/elements.js';
import { rows } from '../ui/rows.js';

const MOST = 10_000;
const LEVELS = ['error', 'warning', 'info', 'debug'];
const wrap = keptCell('wrap', 'on');

const levelOf = (line) => levelClass(line.level) || (line.level === 'debug' ? 'debug' : 'info');

export function view(ctx) {
  let sought = ctx.route.query.get('q') ?? '';
  let levels = new Set((ctx.route.query.get('levels') ?? LEVELS.join()).split(','));
  let isFollowing = true;
  let seenUntil = 0;
  const tools = h('div.head.log-tools');
  const body = h('div');
  const status = h('span.quiet', { role: 'status' });
  const field = h('input.input', {
    type: 'search',
    placeholder: 'Search the log',
    'aria-label': 'Search the log',
    'data-search': '',
    value: sought,
    oninput: () => search(field.value),
  });
  const redraw = () => {
    drawTools();
    drawBody();
  };
  const later = () => ctx.schedule(redraw);
  const feed = new LogFeed(ctx, MOST, later);

  function keep() {
    replace('logs', [], { q: sought, levels: levels.size === LEVELS.length ? '' : [...levels].join() });
    later();
  }

  function search(text) {
    sought = text;
    keep();
  }

  function toggle(level) {
    levels = new Set(levels);
    if (!levels.delete(level)) levels.add(level);
    keep();
  }

  function follow(isAtEnd) {
    isFollowing = isAtEnd;
    seenUntil = feed.lines.at(-1)?.id ?? 0;
    later();
  }

  function drawTools() {
    const of = (level) => feed.lines.reduce((sum, line) => sum + Number(levelOf(line) === level), 0);
    draw(
      tools,
      field,
      LEVELS.map((level) =>
        h(
          'button.chip',
          { type: 'button', key: level, 'aria-pressed': String(levels.has(level)), onclick: () => toggle(level) },
          level,
          ' ',
          h('span.small', String(of(level))),
        ),
      ),
      h(
        'div.end',
        status,
        h(
          'button.chip',
          { type: 'button', 'aria-pressed': String(isFollowing), onclick: () => follow(!isFollowing) },
          'Follow',
        ),
        h(
          'button.chip',
          {
            type: 'button',
            'aria-pressed': String(wrap.value === 'on'),
            onclick: () => wrap.set(wrap.value === 'on' ? 'off' : 'on'),
          },
          'Wrap',
        ),
        h(
          'button.button',
          {
            type: 'button',
            title: 'Save the lines that are shown as a file',
            onclick: () => perform({ run: async () => save(fitting()), done: 'The lines were saved' }),
          },
          icon('download'),
          'Download',
        ),
      ),
    );
  }

  function fitting() {
    const needle = sought.toLowerCase();
    return feed.lines.filter(
      (line) => levels.has(levelOf(line)) && (!needle || line.message.toLowerCase().includes(needle)),
    );
  }

  function drawBody() {
    const needle = sought.toLowerCase();
    const shown = fitting();
    const fresh = isFollowing ? 0 : feed.lines.length - 1 - feed.lines.findLastIndex((line) => line.id <= seenUntil);
    const known = `${feed.lines.length < MOST ? '' : 'the last '}${count(feed.lines.length, 'line')}`;
    draw(
      status,
      feed.isLoaded && [
        shown.length === feed.lines.length ? sentence(known) : `${number(shown.length)} of ${known}`,
        h('span', ` · ${zone()}`),
      ],
    );
    if (!feed.isLoaded)
      return draw(body, h('div.card', feed.error ? failed(feed.error, () => feed.load()) : loading(12)));
    if (!shown.length)
      return draw(
        body,
        h(
          'div.card',
          feed.lines.length
            ? empty('No line fits', 'Other levels or other words would show some.')
            : empty('The log is empty', 'What the session writes appears here.'),
        ),
      );
    return draw(
      body,
      feed.error && h('p.bad', { role: 'status' }, `Not up to date: ${feed.error.sentence}`),
      rows({
        class: `log lines ${wrap.value === 'on' ? '' : 'cut'}`,
        role: 'log',
        label: 'Log',
        items: shown,
        key: (line) => String(line.id),
        estimate: 21,
        layout: wrap.value,
        follow: isFollowing,
        onfollow: follow,
        row: (line, index) => [
          date(line.timestamp) !== date(shown[index - 1]?.timestamp) && h('div.log-day', date(line.timestamp)),
          logLine(line, marked(line.message, needle)),
        ],
      }),
      fresh > 0 &&
        h(
          'button.button.primary.fresh',
          { type: 'button', key: 'fresh', onclick: () => follow(true) },
          `${count(fresh, 'new line')} ↓`,
        ),
    );
  }

  ctx.redraws(redraw);
  ctx.watch(wrap, later);
  redraw();
  feed.load();
  return [h('h1.spoken', 'Logs'), tools, body];
}

/** The text with what was searched for marked, wherever it stands. */
function marked(text, needle) {
  if (!needle) return text;
  const low = text.toLowerCase();
  const parts = [];
  let from = 0;
  for (let at = low.indexOf(needle); at >= 0; at = low.indexOf(needle, from)) {
    parts.push(text.slice(from, at), h('mark', text.slice(at, at + needle.length)));
    from = at + needle.length;
  }
  return [...parts, text.slice(from)];
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1);

/** Save lines as a file, named after the project and the time of the last line. */
function save(lines) {
  const text = lines.map((line) => `${line.timestamp}Z ${line.level} ${line.message}\n`).join('');
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  const name = [session.data?.project, lines.at(-1)?.timestamp.slice(0, 19).replaceAll(':', '')];
  h('a', { href: url, download: `${name.filter(Boolean).join('-') || 'session'}.log` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
