import { h } from '../core/dom.js';

export function view() {
  return h('h1', 'Cost and context');
}
