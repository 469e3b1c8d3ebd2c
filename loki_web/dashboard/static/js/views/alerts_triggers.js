// When to tell: switches and thresholds, changed here first and saved together.

import { denied, put } from '../core/api.js';
import { h, spoken } from '../core/dom.js';
import { triggers } from '../core/store.js';
import { count, number, words } from '../core/words.js';
import { actionButton } from '../ui/actions.js';
import { empty, panel, sign } from '../ui/elements.js';

const HIGHEST = 1e12; // what the server takes
const PLACEHOLDER = /\{\w*\}/g;

// What was changed and not saved yet, by id; it stays while other views are looked at.
const drafts = new Map();

export function triggerPanel(ctx) {
  const section = panel(ctx, {
    title: 'Triggers',
    class: 'w5',
    from: { triggers },
    lines: 8,
    tools: ({ triggers: stored }) => tools(stored.triggers, redraw),
    show: ({ triggers: stored }) => show(stored.triggers, redraw),
  });
  function redraw() {
    section.redraw();
  }
  return section;
}

const changed = (stored) => stored.filter(({ id }) => drafts.has(id));

function tools(stored, redraw) {
  const dirty = changed(stored);
  const wrong = dirty.find((trigger) => !isSound(trigger));
  const none = dirty.length ? null : 'Nothing has been changed';
  return [
    dirty.length > 0 && h('span.quiet', { role: 'status' }, `${count(dirty.length, 'change')} not saved`),
    h(
      'button.button.small',
      {
        type: 'button',
        'aria-disabled': none && 'true',
        title: none,
        onclick: () => {
          drafts.clear();
          redraw();
        },
      },
      'Discard',
    ),
    actionButton({
      label: 'Save',
      class: dirty.length ? 'small primary' : 'small',
      name: 'Save triggers',
      off:
        none ?? (wrong && `The threshold of “${nameOf(wrong)}” has to be a number from 0 to ${number(mostOf(wrong))}`),
      run: () => save(stored).finally(redraw),
      done: 'Triggers saved',
    }),
  ];
}

async function save(stored) {
  const sent = changed(stored).map(({ id }) => [id, drafts.get(id)]);
  await put('api/notifications/triggers', { triggers: sent.map(([id, draft]) => ({ id, ...draft })) });
  await triggers.refresh();
  for (const [id, draft] of sent) if (drafts.get(id) === draft) drafts.delete(id);
}

function change(trigger, name, value, redraw) {
  const { [name]: _, ...others } = drafts.get(trigger.id) ?? {};
  const draft = value === trigger[name] ? others : { ...others, [name]: value };
  if (Object.keys(draft).length) drafts.set(trigger.id, draft);
  else drafts.delete(trigger.id);
  redraw();
}

const nameOf = ({ id, type }) => words(type || id);
const isShare = (trigger) => 'threshold_pct' in trigger || /percent/i.test(trigger.description);
const mostOf = (trigger) => (isShare(trigger) ? 100 : HIGHEST);

function isSound(trigger) {
  const { threshold } = { ...trigger, ...drafts.get(trigger.id) };
  return threshold === null || (threshold >= 0 && threshold <= mostOf(trigger)) || threshold === trigger.threshold;
}

function show(stored, redraw) {
  if (!stored.length) return empty('No triggers', 'The session’s triggers.json lists none, so nothing is told.');
  return h(
    'ul.triggers',
    stored.map((trigger) => drawTrigger(trigger, redraw)),
  );
}

function drawTrigger(trigger, redraw) {
  const { id, type, severity, patterns } = trigger;
  const { enabled, threshold } = { ...trigger, ...drafts.get(id) };
  const name = id === type ? nameOf(trigger) : `${nameOf(trigger)} (${id})`;
  const disabled = denied.value.has('control');
  return h(
    'li',
    { key: id, class: drafts.has(id) ? 'changed' : null },
    h('input.switch', {
      type: 'checkbox',
      role: 'switch',
      checked: enabled,
      disabled,
      'aria-label': name,
      onchange: ({ target }) => change(trigger, 'enabled', target.checked, redraw),
    }),
    h(
      'div',
      h('p', severity && sign(severity), ' ', h('b', nameOf(trigger)), drafts.has(id) && spoken(' (changed)')),
      h(
        'p.small.quiet',
        trigger.description.replace(PLACEHOLDER, (mark) =>
          /pct|count/.test(mark) && threshold !== null && !Number.isNaN(threshold) ? threshold : '…',
        ),
        id !== type && [' ', h('span.mono', id)],
      ),
      patterns?.length > 0 && h('p.small.mono', patterns.join('  ')),
    ),
    threshold !== null && drawThreshold(trigger, name, threshold, disabled, redraw),
  );
}

function drawThreshold(trigger, name, threshold, disabled, redraw) {
  const top = isShare(trigger) ? 100 : Math.max(10, Math.ceil(trigger.threshold * 2));
  const oninput = ({ target }) =>
    change(trigger, 'threshold', target.value === '' ? NaN : Number(target.value), redraw);
  const isKnown = !Number.isNaN(threshold);
  return h(
    'div.threshold',
    h('input', {
      type: 'range',
      min: 0,
      max: top,
      disabled,
      value: String(isKnown ? threshold : trigger.threshold),
      'aria-label': `${name}: threshold`,
      oninput,
    }),
    h('input.input', {
      type: 'number',
      min: 0,
      max: mostOf(trigger),
      step: 'any',
      disabled,
      value: isKnown ? String(threshold) : '',
      'aria-label': `${name}: threshold as a number`,
      'aria-invalid': isSound(trigger) ? null : 'true',
      oninput,
    }),
    h('span.quiet', { 'aria-hidden': 'true' }, isShare(trigger) ? '%' : ''),
  );
}
