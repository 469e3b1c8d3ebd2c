// Where the page is: `#/view/part?name=value`, so that every place is a link.

import { cell } from './cell.js';

/** @typedef {{view: string, parts: string[], query: URLSearchParams}} Route */

/** The present {@link Route}. */
export const route = cell(read());

addEventListener('hashchange', () => route.set(read()));

function read() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [view = '', ...parts] = path.split('/').map(decoded);
  return { view: view || 'now', parts, query: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The link to a place: `link('tasks', id)`, `link('logs', [], {q: 'error'})`. */
export function link(view, parts = [], query = {}) {
  const path = [view, ...[].concat(parts)].map(encodeURIComponent).join('/');
  const given = Object.entries(query).filter(([, value]) => value != null && value !== '');
  return `#/${path}${given.length ? `?${new URLSearchParams(given)}` : ''}`;
}

export function go(...place) {
  location.hash = link(...place);
}

/** The same for filters and the like: no entry in the history. */
export function replace(...place) {
  history.replaceState(null, '', link(...place));
  route.set(read());
}
