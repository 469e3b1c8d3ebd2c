// The log: levels, search in all of it, following, the place of a line, wrapping, saving.

import { keptCell } from '../core/api.js';
import { draw, h, icon } from '../core/dom.js';
import { LogFeed } from '../core/store.js';
import { go, link, replace } from '../core/views.js';
import { count, date, percent } from '../core/words.js';
import { saveFile } from '../extra/save.js';
import { zone } from '../extra/zone.js';
import { perform } from '../ui/actions.js';
import { empty, failed, levelClass, loading, logLine, toast } from '../ui/elements.js';
import { rows } from '../ui/rows.js';
import { EVERY_LEVEL, findOne, Reach, readAll } from './logs_search.js';

const MOST = 10_000;
const FIRST = 2000;
const ENOUGH = 100; // lines that a search shows before it stops looking further back
const PAUSE = 300; // ms after typing
const LEVELS = ['error', 'warning', 'info', 'debug'];
const NAMES = { error: 'error,critical', warning: 'warning', info: 'info', debug: 'debug' };
const wrap = keptCell('wrap', 'on');

const levelOf = (line) => levelClass(line.level) || (line.level === 'debug' ? 'debug' : 'info');
const keyOf = (line) => line.cursor ?? String(line.id);
const offsetOf = (cursor) => Number(cursor?.split('.')[1] ?? 0);

/** Which lines are shown, and where: what the address says. */
function read({ query }) {
  return {
    sought: query.get('q') ?? '',
    levels: new Set((query.get('levels') ?? LEVELS.join()).split(',')),
    at: query.get('at') ?? '',
    time: query.get('time') ?? '',
  };
}

export function view(ctx) {
  let { sought, levels, at, time } = read(ctx.route);
  let isFollowing = !at && !time;
  let seenUntil = 0;
  let chosen = at;
  let timer = 0;
  /** @type {any} why the time in the address was not found */
  let problem = null;
  /** @type {Reach | null} */
  let reach = null;
  const tools = h('div.head.log-tools');
  const body = h('div');
  const status = h('span.quiet', { role: 'status' });
  const ended = new AbortController();
  const field = h('input.input', {
    type: 'search',
    placeholder: 'Search the log',
    'aria-label': 'Search the log',
    'data-search': '',
    value: sought,
    oninput: () => show({ sought: field.value }),
  });
  const redraw = () => {
    drawTools();
    drawBody();
  };
  const later = () => ctx.schedule(redraw);
  const feed = new LogFeed(ctx, MOST, fed, { first: FIRST, query: `&level=${EVERY_LEVEL}` });

  const isAll = () => levels.size === LEVELS.length;
  const isFiltered = () => !isAll() || sought !== '';
  /** The parameters of the address that keep what is searched for and shown. */
  const kept = (shown = levels, text = sought) => ({
    q: text,
    levels: shown.size === LEVELS.length ? '' : [...shown].join(),
  });
  const filter = () => ({
    query: sought,
    ...(isAll()
      ? {}
      : {
          level: LEVELS.filter((one) => levels.has(one))
            .map((one) => NAMES[one])
            .join(),
        }),
  });
  const known = () => (at ? (reach?.lines ?? []) : [...(reach?.lines ?? []), ...feed.lines]);
  const list = () => /** @type {any} */ (body.querySelector('x-rows'));

  function fed() {
    if (feed.isCut) reach = null;
    else if (!reach && !at && feed.isLoaded && !feed.error) begin();
    later();
  }

  /** Begin to look beyond the lines of the feed, or around a line. */
  function begin() {
    reach?.end();
    reach = null;
    if (at) {
      reach = new Reach(later, {}, { before: null });
      reach.around(at).then(() => point(at));
    } else if (feed.isCut) {
      feed.restart();
    } else if (feed.isLoaded) {
      reach = new Reach(later, filter(), { before: feed.before });
      if (isFiltered() && levels.size) reach.older(ENOUGH - fitting().length);
    }
    later();
  }

  /** Show other lines; the address says which. A line that it names stays, unless another text is searched for. */
  function show(change) {
    const next = { sought, levels, at: 'sought' in change ? '' : at, ...change };
    replace('logs', [], { at: next.at, ...kept(next.levels, next.sought) });
  }

  function toggle(level) {
    const next = new Set(levels);
    if (!next.delete(level)) next.add(level);
    show({ levels: next });
  }

  function follow(isAtEnd) {
    if (at) return;
    isFollowing = isAtEnd;
    seenUntil = feed.lines.at(-1)?.id ?? 0;
    later();
  }

  /** Bring a line into view, and mark it. */
  function point(key) {
    chosen = key;
    isFollowing = false;
    redraw();
    const index = fitting().findIndex((line) => keyOf(line) === key);
    if (index >= 0) list()?.show(index);
  }

  async function older() {
    if (!at && feed.isCut) await feed.restart(); // begins again
    const place = list();
    const rest = place && place.scrollHeight - place.scrollTop;
    isFollowing = false;
    await reach?.older();
    redraw();
    if (place?.isConnected) place.scrollTop = place.scrollHeight - rest;
  }

  /** Go to the error before or after the line that is marked, or else the last line, even if errors are not shown. */
  async function toError(step) {
    const all = new Set(levels).add('error');
    const isShown = levels.has('error');
    // beyond those of the feed, only lines of the levels that are shown are known
    const here = !isShown && chosen.includes('.') ? chosen : '';
    const lines = here ? [] : isShown ? fitting() : fitting(feed.lines, all);
    const found = lines.findIndex((line) => keyOf(line) === chosen);
    const from = found < 0 ? lines.length : found;
    for (let index = from + step; index >= 0 && index < lines.length; index += step)
      if (levelOf(lines[index]) === 'error') return isShown ? point(keyOf(lines[index])) : reveal(lines[index], all);
    const first = isShown ? lines[0]?.cursor : feed.before;
    const edge = here || (step < 0 ? first : at && lines.at(-1)?.cursor);
    const query = { query: sought, level: NAMES.error };
    const line = await findOne(query, step < 0 ? 'before' : 'after', edge, ended.signal);
    if (line) return reveal(line, all);
    return toast(step < 0 ? 'No error before this line' : 'No error after this line');
  }

  /** Go to a line, with these levels shown. */
  function reveal(line, shown) {
    if (line.cursor) return go('logs', [], { at: line.cursor, ...kept(shown) });
    show({ levels: shown }); // a line that has just come; it has a cursor when it is loaded again
    return point(keyOf(line));
  }

  /** Go to the first line from the time in the address on, unless the address is another one by then. */
  async function toTime() {
    const wanted = time;
    problem = null;
    later();
    try {
      const line =
        (await findOne({ since: wanted }, 'after', 'start', ended.signal)) ??
        (await findOne({ until: wanted }, 'before', feed.lines.at(-1)?.cursor, ended.signal));
      if (wanted === time) replace('logs', [], { at: line?.cursor });
    } catch (error) {
      if (wanted === time) problem = error;
      later();
    }
  }

  function drawTools() {
    const of = (level) => known().reduce((sum, line) => sum + Number(levelOf(line) === level), 0);
    const button = (label, title, onclick, off = false) =>
      h(
        'button.chip',
        { type: 'button', key: label, title, 'aria-disabled': off ? 'true' : null, onclick: off ? null : onclick },
        label,
      );
    const isWhole = !reach?.before;
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
        button(
          reach?.isBusy ? 'Reading' : 'Older',
          isWhole ? 'These are the first lines' : 'Look further back',
          older,
          isWhole || reach?.isBusy,
        ),
        at && button('Newer', 'Load the lines after these', () => reach?.newer(), !reach?.after),
        button('Previous error', 'Go to the error before', () => toError(-1).catch(warn)),
        button('Next error', 'Go to the error after', () => toError(1).catch(warn)),
        at
          ? h('a.chip', { href: link('logs', [], kept()), key: 'end' }, 'To the end')
          : h(
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
        saveButton('Download', 'Save the lines that are shown as a file', async () =>
          save([textOf(fitting())], fitting().at(-1)),
        ),
        saveButton('Download all', 'Save all lines of the log as a file', saveAll),
      ),
    );
  }

  async function saveAll() {
    const parts = [];
    let last;
    await readAll((lines) => {
      parts.push(textOf(lines));
      last = lines.at(-1) ?? last;
    }, ended.signal);
    save(parts, last);
  }

  function fitting(lines = known(), shown = levels) {
    const needle = sought.toLowerCase();
    return lines.filter((line) => shown.has(levelOf(line)) && (!needle || line.message.toLowerCase().includes(needle)));
  }

  function drawStatus(shown) {
    const all = known();
    const isWhole = reach && !reach.before && !reach.after;
    const last = offsetOf(all.at(-1)?.cursor ?? feed.lines.findLast((line) => line.cursor)?.cursor);
    const searched = last ? percent((1 - offsetOf(reach?.before) / last) * 100) : '';
    const lines = count(all.length, 'line');
    const found = isFiltered()
      ? `${count(shown.length, 'line')} found${isWhole ? '' : `, ${searched} of the log searched`}`
      : isWhole
        ? lines
        : at
          ? `${lines} around a line`
          : `The last ${lines}`;
    draw(status, found, h('span', ` · ${zone()}`));
  }

  function drawBody() {
    const shown = fitting();
    const source = at ? reach : feed;
    const error = problem ?? feed.error ?? reach?.error;
    const retry = () => (time ? toTime() : at ? begin() : feed.load());
    const isReady = at ? reach && (reach.lines.length || !reach.isBusy) : feed.isLoaded && !time;
    if (isReady) drawStatus(shown);
    if (!isReady || (at && source?.error && !shown.length))
      return draw(body, h('div.card', error ? failed(error, retry) : loading(12)));
    if (!shown.length)
      return draw(
        body,
        h(
          'div.card',
          reach?.isBusy
            ? loading(12)
            : known().length || reach?.before
              ? empty('No line fits', 'Other levels, other words or older lines would show some.')
              : empty('The log is empty', 'What the session writes appears here.'),
        ),
      );
    const needle = sought.toLowerCase();
    const fresh =
      isFollowing || at ? 0 : feed.lines.length - 1 - feed.lines.findLastIndex((line) => line.id <= seenUntil);
    return draw(
      body,
      error && h('p.bad', { role: 'status' }, `Not up to date: ${error.sentence}`),
      rows({
        class: `log lines ${wrap.value === 'on' ? '' : 'cut'}`,
        role: 'log',
        label: 'Log',
        items: shown,
        key: keyOf,
        estimate: 21,
        layout: wrap.value,
        follow: isFollowing,
        onfollow: follow,
        row: (line, index) => [
          date(line.timestamp) !== date(shown[index - 1]?.timestamp) && h('div.log-day', date(line.timestamp)),
          h(
            'div',
            { class: keyOf(line) === chosen ? 'chosen' : null },
            logLine(
              line,
              needle ? marked(line.message, needle) : colored(line),
              line.cursor ? link('logs', [], { at: line.cursor, ...kept() }) : null,
            ),
          ),
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

  ctx.onRoute((route) => {
    const before = at;
    ({ sought, levels, at, time } = read(route));
    if (field.value !== sought) field.value = sought;
    problem = null;
    if (time) return toTime();
    if (at !== before) {
      chosen = at;
      isFollowing = !at;
    }
    clearTimeout(timer);
    if (at && at === before) return point(chosen); // the lines around it are of every level
    timer = setTimeout(begin, at === before ? PAUSE : 0);
    return later();
  });
  ctx.onLeave(() => {
    clearTimeout(timer);
    ended.abort();
    reach?.end();
  });
  ctx.redraws(redraw);
  ctx.onReturn(() => problem && toTime());
  ctx.watch(wrap, later);
  redraw();
  feed.start().then(() => time && toTime());
  if (at) begin();
  return [h('h1.spoken', 'Logs'), tools, body];
}

const warn = (error) => {
  if (error.kind !== 'aborted') toast(error.sentence ?? error.message, { failed: true });
};

/** The text with what was searched for marked, wherever it stands. */
function marked(text, needle) {
  if (!needle) return text;
  const low = text.toLowerCase();
  if (low.length !== text.length) return text; // a letter that becomes two: the places would be wrong
  const parts = [];
  let from = 0;
  for (let at = low.indexOf(needle); at >= 0; at = low.indexOf(needle, from)) {
    parts.push(text.slice(from, at), h('mark', text.slice(at, at + needle.length)));
    from = at + needle.length;
  }
  return [...parts, text.slice(from)];
}

/** The text with the colors of the terminal; they count characters, not units of UTF-16. */
function colored({ message, colors }) {
  if (!colors) return message;
  const all = [...message];
  const text = (from, to) => all.slice(from, to).join('');
  let from = 0;
  const parts = colors.map(({ start, end, color }) => {
    const before = text(from, start);
    from = end;
    return [before, h('span', { class: `ansi-${color}` }, text(start, end))];
  });
  return [...parts, text(from, all.length)];
}

const saveButton = (label, title, run) =>
  h(
    'button.button',
    { type: 'button', key: label, title, onclick: () => perform({ run, done: 'The lines were saved' }) },
    icon('download'),
    label,
  );

const textOf = (lines) => lines.map((line) => `${line.timestamp}Z ${line.level} ${line.message}\n`).join('');

/** Save lines as a file, named after the time of the last one. */
const save = (texts, last) => saveFile(`${last?.timestamp.slice(0, 19).replaceAll(':', '') ?? 'session'}.log`, texts);
