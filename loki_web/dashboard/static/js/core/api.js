// Every request of the page. Addresses are relative to where the page is.

import { cell, keptCell } from './cell.js';
import { heardTime } from './clock.js';

export const BASE = new URL('.', document.baseURI);
const TIMEOUT = 20_000;
const SCOPES = ['read', 'control', 'audit', 'admin'];
const WANTED = 'This server wants an access token.';
const OPEN_TO_ALL = new Set(['health', 'api/enterprise/status', 'api/auth/info']);

/** The access token of this tab; empty where none is needed or known. */
export const token = keptCell('token', '', 'sessionStorage');
const isClosed = document.body.dataset.access === 'token';
/** Whether the server wants a token that we do not have: `''`, or why. */
export const locked = cell(isClosed && !token.value ? WANTED : '');
/** What the token may do, as the server said last; null where nobody has to say who they are. */
export const scopes = cell(null);
/** The scopes that the token lacks. */
export const denied = cell(new Set());
/** When the server last answered (ms), and whether it has stopped answering. */
export const contact = cell({ at: 0, lost: false });

/**
 * What went wrong with a request.
 * `kind`: offline, unauthenticated, forbidden, missing, limited, invalid, failed or aborted.
 */
export class ApiError extends Error {
  constructor(kind, detail, { status = 0, retryAfter = 0, scope = '' } = {}) {
    super(detail);
    Object.assign(this, { kind, detail, status, retryAfter, scope });
  }

  /** What to tell people, with what they can do about it. */
  get sentence() {
    if (this.kind === 'limited') return `Too many requests. Try again in ${this.retryAfter || 60} s.`;
    if (this.kind === 'forbidden' && this.scope) return `This token lacks the scope “${this.scope}”.`;
    return this.detail;
  }
}

export const get = (path, options) => request('GET', path, undefined, options);
export const post = (path, body) => request('POST', path, body).then(readJson);
export const put = (path, body) => request('PUT', path, body).then(readJson);
export const del = (path) => request('DELETE', path).then(readJson);

/** GET and read in one. */
export const getJson = (path, options) => get(path, options).then(readJson);

/** A path with its parts made safe and its empty parameters left out. */
export function address(parts, query = {}) {
  const path = [].concat(parts).map((part, index) => (index ? encodeURIComponent(part) : part)).join('/');
  const given = Object.entries(query).filter(([, value]) => value != null && value !== '');
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** The text of an answer, once the server said yes. While no token opens the server it is not even asked. */
async function request(method, path, body, { signal } = {}) {
  if (locked.value && !OPEN_TO_ALL.has(path)) throw new ApiError('unauthenticated', locked.value);
  const held = token.value;
  const { response, text } = await send(method, path, { headers: authorization(), body, signal });
  const isOurs = held === token.value;
  if (isOurs) hearScopes(response.headers.get('X-Loki-Scopes'));
  if (response.ok) return text;
  const error = refusal(response, text);
  if (isOurs && error.scope) denied.set(new Set([...denied.value, error.scope]));
  if (isOurs && error.status === 401) locked.set(held ? 'The server does not accept this token.' : WANTED);
  throw error;
}

async function send(method, path, { headers, body, signal }) {
  const deadline = AbortSignal.timeout(TIMEOUT);
  const isJson = body !== undefined;
  let response, text;
  try {
    response = await fetch(new URL(path, BASE), {
      method, headers: isJson ? { ...headers, 'Content-Type': 'application/json' } : headers, body: isJson ? JSON.stringify(body) : undefined,
      credentials: 'same-origin', signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    });
    text = await response.text();
  } catch {
    if (signal?.aborted) throw new ApiError('aborted', 'No longer wanted');
    contact.set({ ...contact.value, lost: true });
    throw new ApiError('offline', deadline.aborted ? 'The server took too long to answer' : 'The server does not answer');
  }
  heardTime(response.headers.get('Date'));
  contact.set({ at: Date.now(), lost: false });
  return { response, text };
}

/** The headers that say who asks. */
export const authorization = (held = token.value) => (held ? { Authorization: `Bearer ${held}` } : {});

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
  const known = { 401: 'unauthenticated', 403: 'forbidden', 404: 'missing', 429: 'limited' };
  const scope = status === 403 ? (/scope (\S+)/.exec(detail)?.[1] ?? '') : '';
  return new ApiError(known[status] ?? (status < 500 ? 'invalid' : 'failed'), detail, { status, retryAfter: Number(headers.get('Retry-After')) || 0, scope });
}

function detailIn(text) {
  try {
    return String(JSON.parse(text).detail ?? '');
  } catch {
    return '';
  }
}

/** Use another token from now on, once the server has said that it opens something. */
export async function tryToken(next) {
  const { response, text } = await send('GET', 'api/status', { headers: authorization(next) });
  if (!response.ok && response.status !== 403) throw refusal(response, text);
  useToken(next);
}

/** Use another token, or none, from now on. */
export function useToken(next) {
  scopes.set(null);
  denied.set(new Set());
  token.set(next);
  locked.set(next || !isClosed ? '' : WANTED);
}
