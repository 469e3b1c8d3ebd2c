// Observable values (cells), the server's clock, and every request of the page.

/**
 * @template T
 * @typedef {{readonly value: T, set: (next: T) => void, watch: (watcher: (value: T) => void) => () => void}} Cell
 */

/**
 * An observable value. `watch(fn)` calls `fn` at once and at each change, and returns a function that unsubscribes.
 *
 * @template T
 * @param {T} value
 * @returns {Cell<T>}
 */
export function cell(value) {
  const watchers = new Set();
  return {
    get value() {
      return value;
    },
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const watcher of [...watchers]) watcher(value);
    },
    watch(watcher) {
      watchers.add(watcher);
      watcher(value);
      return () => void watchers.delete(watcher);
    },
  };
}

/**
 * A cell that is stored in the browser, in `localStorage` for all tabs. If storage is forbidden, its value is lost
 * with the page.
 *
 * @param {string} name
 * @param {string} value
 * @param {'localStorage' | 'sessionStorage'} [storage]
 * @returns {Cell<string>}
 */
export function keptCell(name, value, storage = 'localStorage') {
  const key = `loki-${name}`;
  const kept = cell(attempt(() => window[storage].getItem(key)) ?? value);
  const { set } = kept;
  kept.set = (next) => {
    attempt(() => (next ? window[storage].setItem(key, next) : window[storage].removeItem(key)));
    set(next);
  };
  addEventListener('storage', (event) => {
    if (event.key === key && event.storageArea === attempt(() => window[storage])) set(event.newValue ?? value);
  });
  return kept;
}

function attempt(read) {
  try {
    return read();
  } catch {
    return null;
  }
}

// The only timer of the page; it is stopped while the tab is hidden.

const listeners = new Set();
let timer = 0;
let skew = 0;

/** The current time of the server, in milliseconds. */
export const now = () => Date.now() + skew;

/** As `now`, but standing still while the server does not answer: what is shown is from then. */
export const asOf = () => (contact.value.lost ? contact.value.at + skew : now());

/** Use the server's clock if it differs from ours by more than three seconds. */
function setClock(header) {
  const difference = Date.parse(header) - Date.now();
  skew = Math.abs(difference) > 3000 ? difference : 0;
}

/** Call each second while the tab is visible, and when it becomes visible; return a function that stops it. */
export function everySecond(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tick() {
  for (const listener of listeners) listener();
}

function follow() {
  clearInterval(timer);
  if (document.hidden) return;
  timer = setInterval(tick, 1000);
  tick();
}

document.addEventListener('visibilitychange', follow);
follow();

// Requests. Addresses are relative to the page's own.

export const BASE = new URL('.', document.baseURI);
const TIMEOUT = 20_000;
const LOST_TIMEOUT = 5000; // while there is no contact, so that a new try is not kept waiting
const SCOPES = ['read', 'control', 'audit', 'admin'];
const WANTED = 'This server wants an access token.';
const OPEN_TO_ALL = new Set(['health', 'api/enterprise/status', 'api/auth/info']);

/** The access token of this tab, if it has one of its own: where the session cookie cannot be used. */
export const token = keptCell('token', '', 'sessionStorage');
/** What changes need beside the session cookie; it is there while this browser is signed in. */
const csrf = keptCell(`csrf ${BASE.pathname}`, '');
/** What this tab gets in with: its token, else the sign-in of all tabs; empty if none is needed or known. */
export const credential = cell(token.value || csrf.value);
const isClosed = document.body.dataset.access === 'token';
/** Why a token has to be entered; `''` if none is needed. */
export const locked = cell(isClosed && !credential.value ? WANTED : '');
/** The project in the page's address, by its id or path; empty for the one that the server shows. */
export const project = new URLSearchParams(location.search).get('project') ?? '';
/** The folder of the project in which changes are made; empty for the one of the server. */
export const acting = cell('');
const OF_SERVER = /^api\/(registry|enterprise|fleet|focus|secrets|auth)\b/;
/** The scopes of the token in the last response; null until a response had them. */
export const scopes = cell(/** @type {string | null} */ (null));
/** The scopes that requests were refused for. */
export const denied = cell(/** @type {Set<string>} */ (new Set()));
/** When the server last answered (ms), and whether it has stopped answering. */
export const contact = cell({ at: 0, lost: false });

/** Call when the server answers again after it did not; returns the end. */
export function onReturn(listener) {
  let wasLost = contact.value.lost;
  return contact.watch(({ lost }) => {
    const isBack = wasLost && !lost;
    wasLost = lost;
    if (isBack) listener();
  });
}

/**
 * @typedef {'offline' | 'unauthenticated' | 'forbidden' | 'missing' | 'limited' | 'invalid' | 'failed' |
 *   'aborted'} Kind
 */

/** A request that failed. */
export class ApiError extends Error {
  /**
   * @param {Kind} kind
   * @param {string} detail
   * @param {{status?: number, retryAfter?: number, scope?: string}} [more] seconds; the missing scope
   */
  constructor(kind, detail, { status = 0, retryAfter = 0, scope = '' } = {}) {
    super(detail);
    this.kind = kind;
    this.detail = detail;
    this.status = status;
    this.retryAfter = retryAfter;
    this.scope = scope;
  }

  /** The message for the user: what went wrong, and what to do. */
  get sentence() {
    if (this.kind === 'limited') return `Too many requests. Try again in ${this.retryAfter || 60} s.`;
    if (this.kind === 'forbidden' && this.scope) return `This token lacks the scope “${this.scope}”.`;
    return this.detail;
  }
}

export const get = (path, options = {}) => request('GET', path, undefined, options);
export const post = (path, /** @type {any} */ body = undefined) => request('POST', path, body).then(readJson);
export const put = (path, body) => request('PUT', path, body).then(readJson);
export const del = (path) => request('DELETE', path).then(readJson);

/** GET a path and parse the body. */
export const getJson = (path, options = {}) => get(path, options).then(readJson);

/** Return a path with encoded parts and the parameters that are not empty. */
export function address(parts, query = {}) {
  const path = [parts]
    .flat()
    .map((part, index) => (index ? encodeURIComponent(part) : part))
    .join('/');
  const given = Object.entries(query).filter(([, value]) => value != null && value !== '');
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** Return the text of a successful response. If a token is needed and missing, no request is sent. */
async function request(
  method,
  path,
  /** @type {any} */ body = undefined,
  /** @type {{signal?: AbortSignal, hear?: (headers: Headers) => void}} */ { signal, hear } = {},
) {
  if (locked.value && !OPEN_TO_ALL.has(path)) throw new ApiError('unauthenticated', locked.value);
  const used = credential.value;
  const { response, text } = await send(method, withProject(method, path), { headers: authorization(), body, signal });
  const isOurs = used === credential.value;
  if (isOurs) hearScopes(response.headers.get('X-Loki-Scopes'));
  if (response.ok) hear?.(response.headers);
  if (response.ok) return text;
  const error = refusal(response, text);
  if (isOurs && error.scope) denied.set(new Set([...denied.value, error.scope]));
  if (isOurs && error.status === 401) {
    const isSignIn = used && !token.value;
    if (isSignIn) csrf.set('');
    locked.set(isSignIn ? 'The sign-in has ended.' : used ? 'The server does not accept this token.' : WANTED);
  }
  throw error;
}

/** Name the project that is shown: a change without a name is made in the one of the server. */
function withProject(method, path) {
  const name = project || (method === 'GET' ? '' : acting.value);
  if (!name || !path.startsWith('api/') || OF_SERVER.test(path)) return path;
  return `${path}${path.includes('?') ? '&' : '?'}${new URLSearchParams({ project: name })}`;
}

/** Return the address of a view of a project; without its id or path, of the one that the server shows. */
export const projectLink = (name, view = 'now') => `${address('./', { project: name })}#/${view}`;

/**
 * @param {string} method
 * @param {string} path
 * @param {{headers: Record<string, string>, body?: any, signal?: AbortSignal}} how
 */
async function send(method, path, { headers, body, signal }) {
  const deadline = AbortSignal.timeout(contact.value.lost ? LOST_TIMEOUT : TIMEOUT);
  const isJson = body !== undefined;
  let response, text;
  try {
    response = await fetch(new URL(path, BASE), {
      method,
      headers: isJson ? { ...headers, 'Content-Type': 'application/json' } : headers,
      body: isJson ? JSON.stringify(body) : undefined,
      credentials: 'same-origin',
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    });
    text = await response.text();
  } catch {
    if (signal?.aborted) throw new ApiError('aborted', 'No longer wanted');
    contact.set({ ...contact.value, lost: true });
    throw new ApiError(
      'offline',
      deadline.aborted ? 'The server took too long to answer' : 'The server does not answer',
    );
  }
  setClock(response.headers.get('Date'));
  contact.set({ at: Date.now(), lost: false });
  return { response, text };
}

/**
 * The headers with the token of this tab, or what goes with the cookie.
 *
 * @returns {Record<string, string>}
 */
export const authorization = (held = token.value) =>
  held ? { Authorization: `Bearer ${held}` } : csrf.value ? { 'X-CSRF-Token': csrf.value } : {};

function hearScopes(held) {
  if (held === null || held === scopes.value) return;
  scopes.set(held);
  denied.set(new Set(SCOPES.filter((scope) => !held.split(' ').includes(scope))));
}

function readJson(text) {
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError('failed', 'The answer was not JSON; something between here and the server changed it');
  }
}

function refusal({ status, headers }, text) {
  const detail = detailIn(text) || `The server answered ${status}`;
  const kinds = /** @type {const} */ ({ 401: 'unauthenticated', 403: 'forbidden', 404: 'missing', 429: 'limited' });
  const scope = status === 403 ? (/scope (\S+)/.exec(detail)?.[1] ?? '') : '';
  return new ApiError(kinds[status] ?? (status < 500 ? 'invalid' : 'failed'), detail, {
    status,
    retryAfter: Number(headers.get('Retry-After')) || 0,
    scope,
  });
}

function detailIn(text) {
  try {
    return String(JSON.parse(text).detail ?? '');
  } catch {
    return '';
  }
}

const SESSION = 'api/auth/session';

/**
 * Sign all tabs in with a token. This tab alone keeps the token where that is not possible: in a frame of another site,
 * if the server cannot store the sign-in, for tokens that open only some views, or if only a proxy needs the token.
 */
export async function signIn(next) {
  const { response, text } = await send('POST', SESSION, { headers: authorization(next) });
  if ([401, 429, 503].includes(response.status)) throw refusal(response, text);
  const isKept = response.ok && (await send('GET', SESSION, { headers: {} })).response.ok;
  token.set(isKept ? '' : next);
  if (isKept) csrf.set(readJson(text).csrf_token);
  tryAgain();
}

/** Sign all tabs out; a token that only this tab has is forgotten. */
export async function signOut() {
  const isEnded = token.value || locked.value;
  if (!isEnded) await request('DELETE', SESSION);
  token.set('');
  csrf.set('');
}

/** Let the page in again with what it has. */
export const tryAgain = () => locked.set('');

for (const each of [token, csrf]) each.watch(() => credential.set(token.value || csrf.value));
let known = credential.value;
credential.watch((next) => {
  if (next === known) return;
  known = next;
  scopes.set(null);
  denied.set(new Set());
  locked.set(next || !isClosed ? '' : WANTED);
});
