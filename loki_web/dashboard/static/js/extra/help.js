import { draw, h } from '../core/dom.js';
import { VIEWS } from '../core/views.js';
import { openDialog } from '../ui/actions.js';
import { singleKeys } from '../ui/shell.js';

const KEYS = [
  [['Ctrl', 'K'], 'Commands: every view and action'],
  [['/'], 'Search or filter in this view'],
  [['j'], 'Next row'],
  [['k'], 'Previous row'],
  [['Enter'], 'Open the row'],
  [['x'], 'Select the row'],
  [['Esc'], 'Close'],
  [['←', '→'], 'Read a chart point by point'],
  [['Shift', '←', '→'], 'Select a time in a chart; Enter shows only that time'],
  [['?'], 'This list'],
];

/** The list of keys. */
export function open() {
  const keys = (names) => names.map((name) => h('kbd', name));
  const place = h('p');
  const show = () =>
    draw(
      place,
      h(
        'label.row',
        h('input', {
          type: 'checkbox',
          checked: singleKeys.value === 'on',
          onchange: ({ target }) => singleKeys.set(target.checked ? 'on' : 'off'),
        }),
        'Single keys do something',
      ),
    );
  show();
  const dialog = openDialog(
    { title: 'Keys' },
    h(
      'dl.dl',
      KEYS.map(([names, about]) => [h('dt', keys(names)), h('dd', about)]),
      Object.values(VIEWS).map(({ key, title }) => [h('dt', keys(['g', key])), h('dd', title)]),
    ),
    h('hr'),
    place,
    h('div.acts', h('button.button', { type: 'button', onclick: () => dialog.close() }, 'Close')),
  );
}
