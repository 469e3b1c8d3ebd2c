// What somebody should know and who has seen it; beside it, when to tell.

import { address, now, post } from '../core/api.js';
import { draw, h, spoken } from '../core/dom.js';
import { notifications } from '../core/store.js';
import { link, replace } from '../core/views.js';
import {
  count,
  isOpen as isWaiting,
  lookup,
  NONE,
  number,
  shortDate,
  snooze,
  snoozedUntil,
  snoozes,
  words,
} from '../core/words.js';
import { facts } from '../extra/facts.js';
import { noticeSwitch } from '../extra/notify.js';
import { selection } from '../extra/selection.js';
import { actionButton } from '../ui/actions.js';
import { ago, empty, panel, sign, toast } from '../ui/elements.js';
import { triggerPanel } from './alerts_triggers.js';

const SEVERITIES = ['critical', 'warning', 'info'];
const MOST = 1000; // as many as the server gives at once
const AT_ONCE = 50;
const HOUR = 3_600_000;
const SNOOZES = { '1 hour': HOUR, '4 hours': 4 * HOUR, '1 day': 24 * HOUR };
// where to look when such a trigger has fired
const PLACES = lookup({
  budget_threshold: 'cost',
  budget_limit: 'cost',
  context_threshold: 'cost',
  compaction_frequency: 'cost',
  task_failure: 'tasks',
  quality_gate: 'council',
  stagnation: 'council',
  file_access: 'logs',
});

export function view(ctx) {
  const head = h('div.head');
  const notice = noticeSwitch();
  let { severity, isOpen, isGrouped } = read(ctx.route);
  let shown = AT_ONCE;
  const fits = (each) => (!severity || each.severity === severity) && !(isOpen && each.acknowledged);
  const filter = (next) => {
    const now = { severity, isOpen, isGrouped, ...next };
    replace('alerts', [], { severity: now.severity, open: now.isOpen ? 1 : '', grouped: now.isGrouped ? 1 : '' });
  };

  function drawHead() {
    const all = notifications.data ?? [];
    const chip = (name, label) => {
      const found = all.filter((each) => !name || each.severity === name).length;
      return h(
        'button.chip',
        {
          type: 'button',
          key: label,
          'aria-pressed': String(severity === name),
          onclick: () => filter({ severity: name }),
        },
        label,
        h('span.quiet', ` ${notifications.data ? number(found) : NONE}`),
      );
    };
    const waiting = all.filter((each) => fits(each) && isWaiting(each));
    draw(
      head,
      h('h1', 'Alerts'),
      h(
        'div.tabs',
        { role: 'group', 'aria-label': 'Severity' },
        chip('', 'All'),
        SEVERITIES.map((each) => chip(each, words(each))),
      ),
      h(
        'button.chip',
        { type: 'button', 'aria-pressed': String(isOpen), onclick: () => filter({ isOpen: !isOpen }) },
        'Not acknowledged',
      ),
      h(
        'button.chip',
        {
          type: 'button',
          title: 'Show the alerts of one trigger and severity as one',
          'aria-pressed': String(isGrouped),
          onclick: () => filter({ isGrouped: !isGrouped }),
        },
        'Grouped',
      ),
      h(
        'div.end',
        notice,
        actionButton({
          ...acknowledgeMany(waiting),
          label: severity ? `Acknowledge all ${severity}` : 'Acknowledge all',
          off: waiting.length ? null : 'There is nothing to acknowledge',
          confirm: {
            title: `Acknowledge ${count(waiting.length, 'alert')}?`,
            body: 'They are marked as seen for everybody who looks at this project.',
            verb: 'Acknowledge',
          },
        }),
      ),
    );
  }

  function show(all) {
    const fitting = all.filter(fits);
    const asleep = fitting.filter((each) => !each.acknowledged && snoozedUntil(each));
    const found = fitting.filter((each) => !asleep.includes(each));
    const groups = isGrouped ? groupsOf(found) : found.map((each) => [each]);
    const drawn = groups.slice(0, shown);
    picks.offer(drawn.flat().filter((each) => !each.acknowledged));
    if (!all.length)
      return empty(
        'No alerts',
        'What the session’s triggers find, such as a full context window or a budget that runs out, is listed here. ' +
          'None has fired.',
      );
    if (!fitting.length)
      return [
        empty(
          `No ${isOpen ? 'open ' : ''}${severity || 'such'} alert`,
          `${count(all.length, 'alert')} of other kinds or acknowledged.`,
        ),
        h(
          'button.button.small',
          { type: 'button', onclick: () => filter({ severity: '', isOpen: false }) },
          'Show all',
        ),
      ];
    return [
      h(
        'ul.needs',
        drawn.map(([each, ...earlier]) => drawAlert(each, picks, earlier)),
      ),
      groups.length > shown &&
        h(
          'p.row',
          h(
            'button.button.small',
            {
              type: 'button',
              onclick: () => {
                shown += AT_ONCE;
                list.redraw();
              },
            },
            'Show more',
          ),
          h('span.quiet', `${number(shown)} of ${count(groups.length, isGrouped ? 'group' : 'alert')}`),
        ),
      all.length >= MOST && h('p.quiet', `Only the newest ${number(MOST)} are known here.`),
      !found.length && h('p.quiet', 'All of them are snoozed.'),
      asleep.length > 0 && drawSnoozed(asleep),
    ];
  }

  const picks = selection({
    noun: 'alert',
    changed: () => list.redraw(),
    actions: (selected) => {
      const { run, ...more } = acknowledgeMany(selected);
      return [
        actionButton({
          ...more,
          label: `Acknowledge ${selected.length}`,
          class: 'small',
          async run() {
            const answer = await run();
            picks.clear();
            return answer;
          },
        }),
        snoozeMenu(selected, `${selected.length} selected`),
      ];
    },
  });
  const list = panel(ctx, {
    title: 'Notifications',
    class: 'w7',
    from: { notifications },
    lines: 24,
    above: picks.bar,
    show: (data) => show(data.notifications),
  });
  ctx.onRoute((route) => {
    ({ severity, isOpen, isGrouped } = read(route));
    shown = AT_ONCE;
    drawHead();
    list.redraw();
  });
  ctx.redraws(drawHead);
  for (const source of [notifications, snoozes]) ctx.watch(source, () => ctx.schedule(drawHead));
  ctx.watch(snoozes, list.redraw);
  drawHead();
  return [head, h('div.grid', list, triggerPanel(ctx))];
}

function read({ query }) {
  const wanted = query.get('severity');
  return {
    severity: SEVERITIES.includes(wanted) ? wanted : '',
    isOpen: query.get('open') === '1',
    isGrouped: query.get('grouped') === '1',
  };
}

/** The alerts of each trigger and severity together, in the order of the newest one. */
const groupsOf = (alerts) => [
  ...Map.groupBy(alerts, ({ trigger, trigger_id: id, severity }) => `${severity} ${id || trigger}`).values(),
];

const acknowledge = ({ id }) => post(address(['api/notifications', id, 'acknowledge']));

const mark = (ids, acknowledged) => post('api/notifications/acknowledge', { ids, acknowledged });

/** The action that acknowledges several alerts, with Undo. */
function acknowledgeMany(alerts) {
  const refresh = [notifications];
  const ids = alerts.map(({ id }) => id);
  return {
    run: () => mark(ids, true),
    done: ({ changed }) => `${count(changed.length, 'alert')} acknowledged`,
    undo: ({ changed }) => ({
      label: 'Undo',
      run: () => mark(changed, false),
      done: `${count(changed.length, 'alert')} no longer acknowledged`,
      refresh,
    }),
    refresh,
  };
}

/** The choice how long alerts are snoozed. */
const snoozeMenu = (alerts, name) =>
  h(
    'details.small',
    { key: 'snooze' },
    h('summary', 'Snooze', spoken(`: ${name}`)),
    h(
      'div.row',
      Object.entries(SNOOZES).map(([label, length]) =>
        h('button.button.small', { type: 'button', onclick: () => putToSleep(alerts, now() + length) }, label),
      ),
      h('span.quiet', 'with repeats, in this browser only'),
    ),
  );

function putToSleep(alerts, end) {
  snooze(alerts, end);
  toast(`Snoozed until ${shortDate(end)}, in this browser only`, {
    action: { label: 'Undo', run: () => snooze(alerts, 0) },
  });
  // the button that was pressed is gone when the list has been drawn again
  requestAnimationFrame(() =>
    /** @type {HTMLElement | null} */ (document.querySelector('.snoozed summary'))?.focus({ preventScroll: true }),
  );
}

/** The alerts that are snoozed, and how to end that. */
const drawSnoozed = (alerts) =>
  h(
    'details.snoozed',
    { key: 'snoozed' },
    h('summary', `${number(alerts.length)} snoozed in this browser`),
    h(
      'ul.needs',
      alerts.map((each) =>
        h(
          'li.seen',
          { key: each.id },
          sign(each.severity),
          h(
            'div',
            h('p', each.message || each.id),
            h('p.small.quiet', ago(each.timestamp), ` · snoozed until ${shortDate(snoozedUntil(each))}`),
          ),
          h(
            'button.button.small',
            { type: 'button', 'aria-label': `End snooze: ${each.message}`, onclick: () => snooze([each], 0) },
            'End snooze',
          ),
        ),
      ),
    ),
  );

/** An alert, with the earlier ones of its group. */
function drawAlert(each, picks, earlier = []) {
  const { id, trigger, message, data, acknowledged } = each;
  const waiting = earlier.length ? [each, ...earlier].filter((one) => !one.acknowledged) : [];
  const place = PLACES[trigger];
  return h(
    'li',
    { key: id, class: acknowledged ? 'seen' : null },
    acknowledged ? h('span.pick') : picks.box(each, message || id),
    sign(each.severity),
    h(
      'div',
      h('p', message || h('span.quiet', 'No message')),
      h(
        'p.small.quiet',
        ago(each.timestamp),
        trigger && [' · ', place ? h('a', { href: link(place), 'data-row': '' }, words(trigger)) : words(trigger)],
        each.iteration > 0 && [
          ' · ',
          h('a', { href: link('iterations', String(each.iteration)) }, `iteration ${number(each.iteration)}`),
        ],
        ' · ',
        h('a', { href: link('logs', [], { time: each.timestamp }) }, 'log lines'),
      ),
      h('details.small', h('summary', 'Details'), facts({ id, trigger: each.trigger_id, ...data })),
      !acknowledged && snoozeMenu([each, ...earlier], message || id),
      earlier.length > 0 &&
        h(
          'details',
          { key: 'earlier' },
          h('summary', `${number(earlier.length)} earlier`),
          h(
            'ul.needs',
            earlier.map((one) => drawAlert(one, picks)),
          ),
        ),
    ),
    waiting.length > 1 &&
      actionButton({ ...acknowledgeMany(waiting), label: `Acknowledge ${waiting.length}`, class: 'small' }),
    actionButton({
      label: acknowledged ? 'Acknowledged' : 'Acknowledge',
      name: `${acknowledged ? 'Acknowledged' : 'Acknowledge'}: ${message}`,
      class: acknowledged ? 'small seen' : 'small',
      off: acknowledged && 'Somebody has acknowledged it',
      run: () => acknowledge(each),
      done: 'Alert acknowledged',
      refresh: [notifications],
    }),
  );
}
