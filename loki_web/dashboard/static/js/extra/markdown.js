// Markdown as elements. What it does not know stays text; links are shown, not followed.

import { h } from '../core/dom.js';

/** @param {string} source @returns {HTMLElement} */
export function markdown(source) {
  const lines = String(source ?? '').split(/\r?\n/);
  const blocks = [];
  let at = 0;
  const while_ = (test) => {
    const from = at;
    while (at < lines.length && test(lines[at])) at += 1;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at];
    const fence = /^\s*(```|~~~)/.exec(line);
    const heading = /^(#{1,6})\s+(.*)/.exec(line);
    if (!line.trim()) at += 1;
    else if (fence) {
      at += 1;
      const code = while_((each) => !each.trim().startsWith(fence[1]));
      at += 1;
      blocks.push(h('pre', code.join('\n')));
    } else if (heading) {
      at += 1;
      blocks.push(h('h3', inline(heading[2])));
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      at += 1;
      blocks.push(h('hr'));
    } else if (isRow(line) && /^[\s|:-]+$/.test(lines[at + 1] ?? '')) blocks.push(grid(while_(isRow)));
    else if (ITEM.test(line)) blocks.push(list(while_((each) => ITEM.test(each) || /^\s+\S/.test(each))));
    else if (line.startsWith('>'))
      blocks.push(
        h(
          'blockquote.quiet',
          while_((each) => each.startsWith('>')).map((each) => h('p', inline(each.replace(/^>\s?/, '')))),
        ),
      );
    else {
      at += 1;
      const more = while_(
        (each) => each.trim() && !/^(#|>|\s*(```|~~~))/.test(each) && !ITEM.test(each) && !isRow(each),
      );
      blocks.push(h('p', inline([line, ...more].join('\n'))));
    }
  }
  return h('div.prose', blocks);
}

const ITEM = /^\s*([-*+]|\d+[.)])\s+/;
const isRow = (line) => line.trim().startsWith('|');
const cells = (line) =>
  line
    .trim()
    .replace(/^\||\|$/g, '')
    .split('|')
    .map((cell) => cell.trim());

function grid(/** @type {string[]} */ [head, , ...body]) {
  return h(
    'table',
    h(
      'thead',
      h(
        'tr',
        cells(head).map((cell) => h('th', { scope: 'col' }, inline(cell))),
      ),
    ),
    h(
      'tbody',
      body.map((line) =>
        h(
          'tr',
          cells(line).map((cell) => h('td', inline(cell))),
        ),
      ),
    ),
  );
}

function list(lines) {
  const items = [];
  for (const line of lines) {
    if (ITEM.test(line)) items.push(line.replace(ITEM, ''));
    else items[items.length - 1] += `\n${line.trim()}`;
  }
  return h(
    /^\s*\d/.test(lines[0]) ? 'ol' : 'ul',
    items.map((item) => h('li', task(item))),
  );
}

function task(item) {
  const box = /^\[([ xX])\]\s+/.exec(item);
  return box ? [box[1] === ' ' ? '☐ ' : '☑ ', inline(item.slice(box[0].length))] : inline(item);
}

const INLINE = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|\*([^*\s][^*\n]*)\*|\[([^\]\n]+)\]\(([^)\s]+)\)/;

function inline(text) {
  const parts = [];
  let rest = text;
  for (let found = INLINE.exec(rest); found; found = INLINE.exec(rest)) {
    const [whole, code, strong, emphasis, label, target] = found;
    parts.push(rest.slice(0, found.index));
    parts.push(
      code ? h('code', code) : strong ? h('strong', strong) : emphasis ? h('em', emphasis) : `${label} (${target})`,
    );
    rest = rest.slice(found.index + whole.length);
  }
  return [...parts, rest];
}
