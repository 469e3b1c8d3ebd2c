// Starts the page: the shell, the view that the address names, keys.

import { credential, locked, tryAgain } from './core/api.js';
import { byId, draw, h } from './core/dom.js';
import * as live from './core/live.js';
import { status } from './core/store.js';
import { link, route, VIEWS, ViewContext } from './core/views.js';
import { askForToken, loading, NOT_LOADED } from './ui/elements.js';
import { listenToKeys, openHelp, openPalette, setTitle, shell } from './ui/shell.js';

const main = byId('main');
/** @type {{name: string, ctx: ViewContext} | null} */
let current = null;
let isFirst = true;

const UNKNOWN = { title: 'Not found', load: async () => ({ view: notFound }) };

/** @type {Promise<void> | null} */
let styled = null;

/** Request the styles of the views that are not the first one, once. */
function style() {
  styled ??= new Promise((resolve) => {
    const href = new URL('../views.css', import.meta.url).href;
    const done = () => resolve(undefined);
    document.head.append(h('link', { rel: 'stylesheet', href, onload: done, onerror: done }));
  });
  return styled;
}

async function enter(place) {
  const view = VIEWS[place.view] ?? UNKNOWN;
  const load = (place.parts[0] && view.one) || view.load;
  const name = load === view.load ? place.view : `${place.view}/${place.parts[0]}`;
  if (current?.name === name && !locked.value) return current?.ctx.moved(place);
  current?.ctx.leave();
  if (locked.value) return shut(view, place.view);
  const ctx = new ViewContext(place);
  current = { name, ctx };
  mark(place.view);
  setTitle(view.title);
  const isLater = !isFirst;
  const top = history.state?.top ?? 0;
  isFirst = false;
  main.setAttribute('aria-busy', 'true');
  if (isLater) main.replaceChildren(h('h1', view.title), h('div.card', loading()));
  const [module] = await Promise.all([load().catch(() => null), view === VIEWS.now || style()]);
  if (current?.ctx !== ctx) return undefined;
  if (!module) {
    ctx.onReturn(() => location.reload());
    status.refresh(); // finds out whether the server is gone, or only this module
  }
  main.replaceChildren(...[module ? module.view(ctx) : notLoaded(view)].flat());
  main.removeAttribute('aria-busy');
  standAt(top, ctx);
  if (isLater) main.focus({ preventScroll: true });
  return undefined;
}

// Where the page stood is kept with each entry of the history: Back and a reload return there.

const PAUSE = 150; // ms after scrolling
const BY_HAND = ['wheel', 'touchmove', 'pointerdown', 'keydown'];
let noting = 0;
/** @type {AbortController | null} */
let restoring = null;
history.scrollRestoration = 'manual';
addEventListener('scroll', () => {
  clearTimeout(noting);
  if (restoring) return; // the entry has the place to which the page returns
  noting = setTimeout(note, PAUSE, location.href);
});

/** Note where the page stands, unless its address is another one by now. */
function note(address) {
  if (address === location.href) history.replaceState({ ...history.state, top: scrollY }, '');
}

/** Scroll to where the page stood, until the view is loaded or somebody scrolls. */
function standAt(top, ctx) {
  clearTimeout(noting); // that was the place in another entry
  restoring?.abort();
  if (!top) return scrollTo(0, 0);
  const hand = new AbortController();
  restoring = hand;
  const grown = new ResizeObserver(() => {
    scrollTo(0, top);
    if (Math.ceil(scrollY) >= top && !main.querySelector('[aria-busy]')) hand.abort();
  });
  hand.signal.onabort = () => {
    grown.disconnect();
    restoring = null;
  };
  grown.observe(main);
  for (const each of BY_HAND) addEventListener(each, () => hand.abort(), { signal: hand.signal });
  ctx.onLeave(() => hand.abort());
  return undefined;
}

function notFound(ctx) {
  return [
    h('div.head', h('h1', 'Not found')),
    h(
      'div.card',
      h(
        'div.face',
        h('b', 'There is no such view'),
        h('p', 'Nothing has the address ', h('code', `#/${ctx.route.view}`), '.'),
        h('a.button.small', { href: link('now') }, 'Go to Now'),
      ),
    ),
  ];
}

/** Nothing is shown behind the question for a token. */
function shut(view, name) {
  current = null;
  isFirst = false;
  mark(name);
  setTitle(view.title);
  main.removeAttribute('aria-busy');
  main.replaceChildren(
    h('div.head', h('h1', view.title)),
    h(
      'div.card',
      h(
        'div.face',
        h('b', 'An access token is needed'),
        h('p', `${locked.value} Who runs the server makes tokens with `, h('code', 'loki-web token create'), '.'),
        h(
          'div.row',
          h('button.button.small.primary', { type: 'button', onclick: askForToken }, 'Enter a token'),
          credential.value && h('button.button.small', { type: 'button', onclick: tryAgain }, 'Try again'),
        ),
      ),
    ),
  );
}

function notLoaded(view) {
  return [
    h('h1', view.title),
    h(
      'div.card',
      h(
        'div.face',
        h('b', 'This view could not be loaded'),
        h('p', NOT_LOADED),
        h('button.button.small', { type: 'button', onclick: () => location.reload() }, 'Reload the page'),
      ),
    ),
  ];
}

function mark(name) {
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-view]'))) {
    if (each.dataset.view === name) each.setAttribute('aria-current', 'page');
    else each.removeAttribute('aria-current');
  }
}

function switchTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === 'dark'
    : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = isDark ? 'light' : 'dark';
  try {
    localStorage.setItem('loki-theme', root.dataset.theme);
  } catch {
    // storage is forbidden: it holds until the page is left
  }
}

byId('open-palette').onclick = openPalette;
byId('open-help').onclick = openHelp;
byId('switch-theme').onclick = switchTheme;
/** @type {HTMLElement} */ (document.querySelector('.skip')).onclick = (event) => {
  event.preventDefault();
  main.focus();
};
byId('rail').addEventListener('click', ({ currentTarget, target }) => {
  if (target.closest('a, button') && currentTarget.matches(':popover-open')) currentTarget.hidePopover();
});

listenToKeys({ switchTheme });
shell(new ViewContext(route.value));
route.watch(enter);
locked.watch((why) => {
  if (why) askForToken();
  if (Boolean(why) === Boolean(current)) enter(route.value);
});
const started = status.watch(
  ({ data }) =>
    data &&
    setTimeout(() => {
      started();
      live.start();
    }),
);
// a watcher of its own, so that a failing first answer is asked for again
status.watch(() => {});
draw(byId('banner'));
