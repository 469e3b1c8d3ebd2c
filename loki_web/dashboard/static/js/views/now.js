// One look: is it alive, is it progressing, what does it cost, what needs me?

import { post } from '../core/api.js';
import { draw, h } from '../core/dom.js';
import {
  agents,
  contextWindow,
  convergence,
  cost,
  LogFeed,
  notifications,
  status,
  tasks,
  verdicts,
} from '../core/store.js';
import { link, timeRange } from '../core/views.js';
import {
  alive,
  count,
  isBlank,
  needs,
  progress,
  snoozedUntil,
  snoozes,
  spend,
  spendHeadline,
  spendNote,
} from '../core/words.js';
import { actionButton, agentTable, resume } from '../ui/actions.js';
import { ago, empty, failed, loading, logLine, panel, shares, sign, spark } from '../ui/elements.js';
import { chartWithin, progressChart, spendChart } from '../ui/series.js';

const TAIL = 14;

export function view(ctx) {
  const tiles = h('div.tiles');
  const start = h('div');
  const all = { status, agents, cost, tasks, notifications, convergence, verdicts };
  /** @returns {import('../core/words.js').Data} */
  const read = () => Object.fromEntries(Object.entries(all).map(([name, slice]) => [name, slice.data]));
  const redraw = () => {
    const data = read();
    draw(tiles, drawTiles(data));
    draw(start, isBlank(data) && howToStart());
  };
  redraw();
  ctx.redraws(redraw);
  ctx.everySecond(() => ctx.schedule(redraw));
  for (const slice of Object.values(all)) ctx.watch(slice, () => ctx.schedule(redraw));
  const head = h('div.head', { hidden: true });
  let isRanged = false;
  /** Offer the time range once there is one: until then the whole session is shown. */
  const offerRange = () => {
    if (isRanged || !timeRange()) return;
    isRanged = true;
    import('../extra/range.js').then(({ ranges }) => {
      head.append(...ranges(ctx));
      head.hidden = false;
    });
  };
  ctx.onRoute(offerRange);
  offerRange();
  return [
    h('h1.spoken', 'Now'),
    head,
    tiles,
    start,
    h(
      'div.grid.now',
      h(
        'div.stack.w8',
        panel(ctx, {
          title: 'Progress',
          from: { convergence },
          also: { verdicts, cost },
          lines: 11,
          tools: more('council', 'Council'),
          show: showProgress,
        }),
        panel(ctx, {
          title: 'Agents',
          from: { agents },
          also: { contextWindow, status },
          lines: 5,
          tools: more('agents', 'All agents'),
          show: agentTable,
        }),
        logPanel(ctx),
      ),
      h(
        'div.stack.w4',
        needsPanel(ctx),
        panel(ctx, {
          title: 'Spend',
          from: { cost },
          also: { status },
          lines: 9,
          tools: more('cost', 'Cost and context'),
          show: showSpend,
        }),
        panel(ctx, { title: 'Tasks', from: { tasks }, lines: 5, tools: more('tasks', 'Board'), show: showTasks }),
      ),
    ),
  ];
}

const more = (view, label) => () => h('a', { href: link(view) }, label);

function drawTiles(data) {
  const isUnknown = (slice) => slice.data === undefined;
  const living = alive(data);
  const going = progress(data);
  const spent = spend(data.cost);
  const open = needs(data);
  const worst = open.filter(({ severity }) => severity === 'critical').length;
  const burn = (data.cost?.by_iteration ?? []).slice(-30).map((each) => each.cost_usd);
  return [
    tile('Is it alive?', 'agents', [status, agents].find(isUnknown), living),
    tile('Is it progressing?', 'council', [status, convergence].find(isUnknown), going, spark(going.values)),
    tile(
      'What does it cost?',
      'cost',
      isUnknown(cost) && cost,
      { tone: spent.tone, headline: spendHeadline(spent), note: spendNote(spent, data.status) },
      spark(burn, 't2'),
    ),
    tile('What needs me?', 'alerts', [notifications, status, tasks].find(isUnknown), {
      tone: worst ? 'bad' : open.length ? 'warn' : 'good',
      headline: open.length ? count(open.length, 'thing') : 'Nothing',
      note: worst ? `${worst} critical` : open.length ? 'none of it critical' : withoutNeeds(data),
    }),
  ];
}

/** Why nothing needs anybody. */
function withoutNeeds({ notifications: all = [] }) {
  const snoozed = all.filter((each) => !each.acknowledged && snoozedUntil(each)).length;
  return snoozed ? `${count(snoozed, 'alert')} snoozed in this browser` : 'No alert is open';
}

function tile(question, view, missing, { tone, headline, note }, picture) {
  if (missing)
    return h(
      'div.card.tile',
      { key: question },
      h('h2', question),
      missing.error ? h('b', 'Unknown') : loading(2),
      missing.error && h('span.quiet', missing.error.sentence),
    );
  return h(
    'a.card.tile',
    { key: question, class: `t${tone}`, href: link(view) },
    h('h2', question),
    h('b', headline),
    h('span.quiet', note),
    picture,
  );
}

const howToStart = () =>
  h(
    'div.card.head',
    h(
      'div.face',
      h('b', 'No session yet'),
      h(
        'p',
        'Nothing has run in this folder. Sessions are started on the command line: ',
        h('code', 'loki start ./prd.md'),
        '. This page shows it as soon as it begins.',
      ),
    ),
  );

function showProgress({ convergence: found, verdicts: votes, cost: spent }) {
  if (!found.dataPoints.length)
    return empty(
      'No iteration has ended yet',
      'Here will stand how many files each one changed, and what the council said.',
    );
  return chartWithin(found.dataPoints, (points) => progressChart(points, votes?.verdicts, spent?.by_iteration));
}

function showSpend({ cost: spent, status: state }) {
  if (!spent.by_iteration?.length)
    return empty('Nothing was spent yet', 'The cost of each iteration appears when it ends.');
  return chartWithin(spent.by_iteration, (points) => ({ ...spendChart(spent, state, points), height: 180 }));
}

function needsPanel(ctx) {
  const section = panel(ctx, {
    title: 'Needs you',
    class: 'first',
    from: { notifications, status },
    also: { agents, cost, tasks, convergence },
    tools: more('alerts', 'All alerts'),
    show(data) {
      const open = needs(data);
      if (!open.length)
        return empty(
          'Nothing needs you',
          'Alerts, failed tasks, silent agents and a shrinking budget would be listed here.',
        );
      const shown = open.slice(0, 6);
      return [
        h('ul.needs', shown.map(drawNeed)),
        open.length > shown.length && h('p', h('a', { href: link('alerts') }, `${open.length - shown.length} more`)),
      ];
    },
  });
  ctx.watch(snoozes, section.redraw);
  return section;
}

function drawNeed(
  /** @type {import('../core/words.js').Need} */ {
    key,
    severity,
    text,
    at,
    notification,
    view: place,
    id,
    resume: canResume,
  },
) {
  return h(
    'li',
    { key },
    sign(severity),
    h('div', h('p', text), at && h('small.quiet', ago(at))),
    notification &&
      actionButton({
        label: 'Acknowledge',
        class: 'small',
        name: `Acknowledge: ${text}`,
        run: () => post(`api/notifications/${encodeURIComponent(notification.id)}/acknowledge`),
        done: 'Alert acknowledged',
        refresh: [notifications],
      }),
    canResume && actionButton({ ...resume, class: 'small' }),
    place && h('a.button.small', { href: link(place, id ? [id] : []), 'aria-label': `Open: ${text}` }, 'Open'),
  );
}

function showTasks({ tasks: all }) {
  if (!all.length) return empty('No tasks', 'The tasks of the session appear when it has planned some.');
  const of = (test) => all.filter(test).length;
  const is = (state) => (task) => task.status === state && !task.failed;
  return shares(
    [
      { label: 'Done', value: of(is('done')), tone: 'tgood' },
      { label: 'In progress', value: of(is('in_progress')), tone: 't1' },
      { label: 'Review', value: of(is('review')), tone: 't4' },
      { label: 'Pending', value: of(is('pending')), tone: 'tquiet' },
      { label: 'Failed', value: of((task) => task.failed), tone: 'tbad' },
    ],
    String,
  );
}

function logPanel(ctx) {
  const feed = new LogFeed(ctx, TAIL, () => section.redraw());
  const section = panel(ctx, {
    title: 'Log',
    tools: more('logs', 'Open log'),
    show() {
      if (!feed.isLoaded) return feed.error ? failed(feed.error, () => feed.load()) : loading(8);
      if (!feed.lines.length) return empty('The log is empty', 'What the session writes appears here.');
      return h(
        'div.log.cut.tail',
        { role: 'log', 'aria-label': 'The last lines of the log', 'aria-live': 'off' },
        feed.lines.map((line) => logLine(line)),
      );
    },
  });
  feed.start();
  return section;
}
