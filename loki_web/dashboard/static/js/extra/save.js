// Files that the page makes: what is shown, saved by the browser.

import { h } from '../core/dom.js';
import { status } from '../core/store.js';

/** Save texts as a file, named after the project. */
export function saveFile(name, texts, type = 'text/plain') {
  const url = URL.createObjectURL(new Blob(texts, { type }));
  h('a', { href: url, download: [status.data?.project, name].filter(Boolean).join('-') }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/**
 * Save all rows of a table in the order that is shown.
 *
 * @param {'csv' | 'json'} kind
 * @param {{caption: string, columns: any[]}} props of the table
 * @param {any[]} rows
 */
export function open(kind, { caption, columns }, rows) {
  const named = columns.filter(({ label, class: more }) => label && more !== 'pick');
  const values = rows.map((row) => named.map((column) => cellValue(column, row)));
  const labels = named.map(({ label }) => label);
  const text =
    kind === 'csv'
      ? [labels, ...values].map((line) => `${line.map(quoted).join(',')}\r\n`).join('')
      : `${JSON.stringify(
          values.map((line) => Object.fromEntries(line.map((value, index) => [labels[index], value]))),
          null,
          2,
        )}\n`;
  const type = { csv: 'text/csv', json: 'application/json' }[kind];
  saveFile(`${caption.toLowerCase().replaceAll(' ', '-')}.${kind}`, [text], type);
}

/** What a cell says: the number or the moment itself, where it is written in another form for people. */
function cellValue({ cell, sort, class: more }, row) {
  const shown = h('td', cell(row));
  const moment = shown.querySelector('time')?.getAttribute('datetime');
  if (moment) return moment;
  const known = more?.includes('num') ? sort?.(row) : null;
  return Number.isFinite(known) ? known : shown.textContent;
}

/** A value in CSV (RFC 4180); spreadsheets must not take a text for a formula. */
function quoted(value) {
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
