// The server itself: who gets in and how, keys, tokens, who did what.

import { credential, denied, scopes, signOut } from '../core/api.js';
import { h, icon } from '../core/dom.js';
import { enterprise, slice, status } from '../core/store.js';
import { NONE } from '../core/words.js';
import { stage } from '../extra/stage.js';
import { perform } from '../ui/actions.js';
import { askForToken, empty, panel, pill, since } from '../ui/elements.js';
import { audit } from './admin_audit.js';
import { tokens } from './admin_tokens.js';

const health = slice('health', { every: 15 });
const info = slice('api/auth/info', { every: 300 });
const secrets = slice('api/secrets/status', { every: 60 });
const release = () => /** @type {HTMLMetaElement} */ (document.querySelector('meta[name="generator"]')).content;

const PAGES = [
  ['docs', 'Documentation', 'every request, for people'],
  ['openapi.json', 'OpenAPI', 'the same for programs'],
  ['asyncapi.json', 'AsyncAPI', 'the live feed, for programs'],
  ['metrics', 'Metrics', 'for Prometheus'],
  ['health', 'Health', 'for probes'],
];

export function view(ctx) {
  const parts = [
    part(ctx, 'Secrets', 'w4', 'admin', () => null, secretPanel),
    part(
      ctx,
      'Tokens',
      '',
      'admin',
      ({ auth_enabled: isOn }) =>
        !isOn &&
        empty(
          'Tokens are not in use',
          'Whoever reaches this server may do everything. Start it with ',
          h('code', 'LOKI_ENTERPRISE_AUTH=true'),
          ' to let in only who has a token; the first one is made on the command line: ',
          h('code', 'loki-web token create NAME --role admin'),
          '.',
        ),
      tokens,
    ),
    part(
      ctx,
      'Audit log',
      '',
      'audit',
      ({ audit_enabled: isOn }) =>
        !isOn &&
        empty(
          'The audit log is not open',
          'Who did what is written down, but can be asked for only where the server was started with ',
          h('code', 'LOKI_ENTERPRISE_AUDIT=true'),
          '.',
        ),
      audit,
    ),
  ];
  return [h('div.head', h('h1', 'Admin')), h('div.grid', serverPanel(ctx), accessPanel(ctx), parts)];
}

/** What needs a scope or a setting: asked for only where both are there. */
function part(ctx, title, more, scope, off, make) {
  const place = stage(ctx, more);
  const decide = () => {
    const said = enterprise.data;
    if (!said) place.show('waiting', (inner) => panel(inner, { title, from: { enterprise }, show: () => null }));
    else if (off(said)) place.show('off', (inner) => panel(inner, { title, show: () => off(said) }));
    else if (denied.value.has(scope))
      place.show('denied', (inner) =>
        panel(inner, {
          title,
          show: () => [
            empty('Not allowed', `This token lacks the scope “${scope}”.`),
            h('button.button.small', { type: 'button', onclick: askForToken }, icon('key'), 'Use another token'),
          ],
        }),
      );
    else place.show('on', (inner) => make(inner, ctx));
  };
  ctx.watch(enterprise, decide);
  ctx.watch(denied, decide);
  return place;
}

function serverPanel(ctx) {
  return panel(ctx, {
    title: 'Server',
    class: 'w4',
    from: { health },
    also: { status },
    lines: 6,
    show({ health: said, status: state }) {
      return [
        h(
          'dl.dl',
          state && [
            h('dt', 'Project'),
            h('dd', h('b', state.project)),
            h('dt', 'Folder'),
            h('dd.mono', state.project_path),
          ],
          h('dt', 'Health'),
          h('dd', pill(said.status), h('span.quiet', ` ${said.service}`)),
          h('dt', 'Version'),
          h('dd', release()),
          h('dt', 'Loki Mode'),
          h('dd', state && !release().endsWith(` ${state.version}`) ? state.version : NONE),
          h('dt', 'Up for'),
          h('dd', state ? since(Math.round(status.at / 1000 - state.uptime_seconds) * 1000) : NONE),
        ),
        h(
          'ul.links',
          PAGES.map(([path, label, about]) =>
            h('li', h('a', { href: path, target: '_blank', rel: 'noopener' }, label), h('span.quiet', ` ${about}`)),
          ),
        ),
      ];
    },
  });
}

function accessPanel(ctx) {
  const section = panel(ctx, {
    title: 'Access',
    class: 'w4',
    from: { info, enterprise },
    lines: 6,
    tools: ({ enterprise: features }) =>
      (features.auth_enabled || features.oidc_enabled) && [
        h('button.button.small', { type: 'button', onclick: askForToken }, icon('key'), 'Use another token'),
        credential.value &&
          h('button.button.small', { type: 'button', onclick: () => perform({ run: signOut }) }, 'Sign out'),
      ],
    show({ info: said, enterprise: features }) {
      const needsToken = said.auth_methods.length > 0;
      return [
        h(
          'dl.dl',
          h('dt', 'Needed to get in'),
          h(
            'dd',
            needsToken
              ? said.auth_methods.map((each) => pill(each, 'accent'))
              : [pill('nothing', 'warn'), h('span.quiet', ' open to all who reach it')],
          ),
          needsToken && [h('dt', 'Your token may'), h('dd', scopes.value === null ? NONE : allowed(scopes.value))],
          onOff('Tokens', said.enterprise_auth, 'LOKI_ENTERPRISE_AUTH'),
          onOff('OIDC', said.oidc_enabled, 'LOKI_OIDC_ISSUER'),
          said.oidc_issuer && [h('dt', 'Issuer'), h('dd.mono', said.oidc_issuer)],
          onOff('Audit queries', features.audit_enabled, 'LOKI_ENTERPRISE_AUDIT'),
          onOff('Enterprise mode', features.enterprise_mode, 'with any of these'),
        ),
      ];
    },
  });
  ctx.watch(scopes, section.redraw);
  return section;
}

const allowed = (held) => (held.includes('admin') ? 'do everything' : held.replaceAll(' ', ', ') || 'do nothing');
const onOff = (label, isOn, setting) => [
  h('dt', label),
  h('dd', pill(isOn ? 'on' : 'off', isOn ? 'good' : ''), h('span.small.quiet', ` ${setting}`)),
];

function secretPanel(ctx) {
  const found = (isThere) => (isThere ? pill('mounted', 'good') : pill('none'));
  return panel(ctx, {
    title: 'Secrets',
    from: { secrets },
    lines: 4,
    show: ({ secrets: said }) => [
      h(
        'dl.dl',
        h('dt', 'Docker'),
        h('dd', found(said.docker_secrets)),
        h('dt', 'Kubernetes'),
        h('dd', found(said.k8s_secrets)),
        h('dt', 'Environment'),
        h(
          'dd',
          said.env_secrets.length
            ? h(
                'ul',
                said.env_secrets.map((name) => h('li.mono', name)),
              )
            : h('span.quiet', 'No key is set'),
        ),
      ),
      h('p.small.quiet', 'Only names are shown, never a value.'),
    ],
  });
}
