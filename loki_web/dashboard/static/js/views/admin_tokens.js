// Tokens: made once and shown once, revoked, deleted.

import { address, del, now, post } from '../core/api.js';
import { h, icon } from '../core/dom.js';
import { slice } from '../core/store.js';
import { isolated, moment, words } from '../core/words.js';
import { askFor } from '../extra/form.js';
import { actionButton, openDialog } from '../ui/actions.js';
import { ago, empty, panel, pill, table, until } from '../ui/elements.js';

const known = slice('api/enterprise/tokens?include_revoked=true', { every: 30 });
const ROLES = { viewer: 'read', auditor: 'read, audit', operator: 'read, write, control', admin: 'everything' };
const SCOPES = {
  read: 'see everything but tokens, secrets and the audit log',
  write: 'change what is kept',
  control: 'pause, stop, change',
  audit: 'query the audit log',
  metrics: 'read /metrics and nothing else',
  admin: 'everything',
  '*': 'everything',
};

export function tokens(ctx) {
  let withRevoked = false;
  const section = panel(ctx, {
    title: 'Tokens',
    from: { known },
    lines: 5,
    tools({ known: all }) {
      const revoked = all.filter((each) => each.revoked).length;
      return [
        revoked > 0 &&
          h(
            'button.chip',
            {
              type: 'button',
              'aria-pressed': String(withRevoked),
              onclick: () => {
                withRevoked = !withRevoked;
                section.redraw();
              },
            },
            `Revoked ${revoked}`,
          ),
        actionButton({
          label: 'New token',
          icon: 'plus',
          class: 'small primary',
          scope: 'admin',
          run: async () => {
            create();
          },
        }),
      ];
    },
    show({ known: all }) {
      const shown = all.filter((each) => withRevoked || !each.revoked).reverse();
      if (!shown.length) return empty('No tokens', 'Only who has one gets into this server.');
      return drawList(shown);
    },
  });
  return section;
}

const isExpired = ({ expires_at: end }) => end !== null && !(moment(end) > now());
const stateOf = (each) => (each.revoked ? 'revoked' : isExpired(each) ? 'expired' : 'active');

const drawList = (shown) =>
  table({
    caption: 'Tokens',
    rows: shown,
    key: ({ id }) => id,
    columns: [
      {
        label: 'Name',
        cell: (each) =>
          h('div.wide', h('span.strong', each.name), each.name !== each.id && h('div.small.quiet.mono', each.id)),
        sort: (each) => each.name,
      },
      {
        label: 'May',
        cell: ({ role, scopes }) => [
          role && `${words(role)}: `,
          scopes.includes('*') ? 'everything' : scopes.join(', ') || 'nothing',
        ],
        sort: ({ scopes }) => scopes.join(),
      },
      ...(shown.some(({ projects }) => projects)
        ? [
            {
              label: 'Projects',
              cell: ({ projects }) => projects?.join(', ') ?? 'all',
              sort: ({ projects }) => projects?.join(),
            },
          ]
        : []),
      { label: 'State', cell: (each) => pill(stateOf(each)), sort: stateOf },
      {
        label: 'Made',
        cell: (each) => h('span.nowrap', ago(each.created_at)),
        sort: (each) => moment(each.created_at),
      },
      {
        label: 'Expires',
        cell: (each) =>
          h(
            'span.nowrap',
            each.expires_at === null
              ? 'Never'
              : isExpired(each)
                ? ago(each.expires_at)
                : ['in ', until(each.expires_at)],
          ),
        sort: (each) => (each.expires_at === null ? Infinity : moment(each.expires_at)),
      },
      {
        label: 'Last used',
        cell: (each) => h('span.nowrap', each.last_used ? ago(each.last_used) : 'Never'),
        sort: (each) => moment(each.last_used) ?? 0,
      },
      { label: '', class: 'acts', cell: buttons },
    ],
  });

function buttons({ id, name: given, revoked }) {
  const name = isolated(given);
  const end = (query) => () => del(address(['api/enterprise/tokens', id], query));
  const common = { scope: 'admin', refresh: [known] };
  return [
    !revoked &&
      actionButton({
        ...common,
        label: 'Revoke',
        key: 'revoke',
        class: 'small danger',
        name: `Revoke ${name}`,
        run: end(),
        done: `Token ${name} revoked`,
        confirm: {
          title: `Revoke ${name}?`,
          body:
            'Whoever uses it is refused from now on, and it cannot be made valid again. ' +
            'Its entry stays in the list.',
          verb: 'Revoke token',
        },
      }),
    actionButton({
      ...common,
      label: 'Delete',
      key: 'delete',
      class: 'small danger',
      name: `Delete ${name}`,
      run: end({ permanent: true }),
      done: `Token ${name} deleted`,
      confirm: {
        title: `Delete ${name}?`,
        body:
          'Whoever uses it is refused from now on, and its entry is gone: ' +
          'nothing will tell any more that it existed, but the audit log.',
        verb: 'Delete token',
      },
    }),
  ];
}

function create() {
  /** @type {any} */
  let made = null;
  const own = h(
    'fieldset',
    { hidden: true },
    h('legend', 'Scopes'),
    Object.entries(SCOPES).map(([scope, about]) =>
      h(
        'label.row',
        h('input', { type: 'checkbox', name: `scope ${scope}`, checked: scope === 'read' }),
        h('b', scope),
        h('span.small.quiet', about),
      ),
    ),
  );
  const role = h(
    'select.input',
    {
      name: 'role',
      onchange: () => {
        own.hidden = role.value !== '';
      },
    },
    Object.entries(ROLES).map(([name, about]) => h('option', { value: name }, `${words(name)}: ${about}`)),
    h('option', { value: '' }, 'Scopes of its own…'),
  );
  const dialog = askFor({
    title: 'New token',
    verb: 'Make token',
    fields: [
      { name: 'name', label: 'Name', required: true, maxlength: 255, hint: 'Whom or what it is for, as “ci”.' },
      h('label.field', 'Role', role),
      own,
      {
        name: 'days',
        label: 'Days until it expires',
        type: 'number',
        min: 1,
        max: 3650,
        value: '90',
        hint: 'Left empty, it does not expire.',
      },
      { name: 'projects', label: 'Projects', hint: 'Ids, aliases or folders, with commas between. Left empty, all.' },
    ],
    async run({ name, role: chosen, days, projects, ...rest }) {
      const scopes = Object.keys(rest).map((each) => each.slice('scope '.length));
      made = await post('api/enterprise/tokens', {
        name,
        ...(chosen ? { role: chosen } : { scopes }),
        ...(days && { expires_days: Number(days) }),
        ...(projects.trim() && { projects: projects.split(',').map((each) => each.trim()) }),
      });
      known.refresh();
      if (!dialog.open) showOnce(made); // closed meanwhile
    },
  });
  dialog.addEventListener('close', () => made && showOnce(made));
}

/** The only time that it can be seen: it does not go by a click beside it. */
function showOnce({ name, token }) {
  const field = h('input.input.mono.secret', {
    readonly: true,
    value: token,
    'aria-label': 'The token',
    onfocus: () => field.select(),
  });
  const said = h('p.quiet', { role: 'status' });
  const copy = h(
    'button.button.primary',
    {
      type: 'button',
      autofocus: true,
      onclick: () =>
        copied(field).then((text) => {
          said.textContent = text;
        }),
    },
    icon('copy'),
    'Copy',
  );
  const dialog = openDialog(
    { title: `Token “${isolated(name)}”` },
    h('p', 'Copy it now. It is shown only this once, and the server keeps nothing from which it could be shown again.'),
    field,
    said,
    h('div.acts', copy, h('button.button', { type: 'button', onclick: () => dialog.close() }, 'I have it')),
  );
  dialog.addEventListener('cancel', (event) => event.preventDefault());
  dialog.addEventListener('click', (event) => event.target === dialog && event.stopImmediatePropagation(), true);
}

async function copied(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return 'Copied.';
  } catch {
    field.focus();
    return 'The browser does not let the page copy; it is marked, so Ctrl-C does.';
  }
}
