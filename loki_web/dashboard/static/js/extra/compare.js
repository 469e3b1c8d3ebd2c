// What differs between two checkpoints, by their metadata.

import { h } from '../core/dom.js';
import { link } from '../core/views.js';
import { dateTime, duration, moment, NONE, number } from '../core/words.js';
import { table } from '../ui/elements.js';
import { command } from './copy.js';
import { inWords, labelOf } from './facts.js';

// what differs always, and what stands in a line of its own
const SKIPPED = new Set(['id', 'files', 'message', 'created_at', 'timestamp', 'ts', 'sha', 'iter', 'git_sha']);

/** The names that only the first list has. */
const without = (names, others) => names.filter((name) => !others.includes(name));

/** The rows of what differs: how long lies between them, files, commits, and all other fields. */
function differences(one, other) {
  const [early, late] = [moment(other.created_at), moment(one.created_at)];
  const apart = early === null || late === null ? NONE : duration(Math.abs(late - early) / 1000);
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)])].filter((name) => !SKIPPED.has(name));
  const [here, there] = [without(one.files, other.files), without(other.files, one.files)];
  return [
    { name: 'Made', here: dateTime(one.created_at), there: [dateTime(other.created_at), `, ${apart} apart`] },
    { name: 'Files', here: number(one.files.length), there: number(other.files.length) },
    here.length + there.length > 0 && {
      name: 'Only here',
      here: here.join(', ') || NONE,
      there: there.join(', ') || NONE,
    },
    one.git_sha !== other.git_sha && { name: 'Commit', here: short(one) || NONE, there: short(other) || NONE },
    ...names
      .filter((name) => JSON.stringify(one[name]) !== JSON.stringify(other[name]))
      .map((name) => ({ name: labelOf(name), here: inWords(one[name], name), there: inWords(other[name], name) })),
  ].filter(Boolean);
}

const short = ({ git_sha: sha }) => sha.slice(0, 12);
const nameOf = ({ id, message }) => message || id;

/**
 * What differs between a checkpoint and another one, and the command that shows it in the code.
 *
 * @param {any} one
 * @param {any} other
 */
export function comparison(one, other) {
  const [first, last] = [other, one].sort((a, b) => (moment(a.created_at) ?? 0) - (moment(b.created_at) ?? 0));
  return [
    table({
      caption: 'Differences',
      isPassing: true,
      rows: differences(one, other),
      key: ({ name }) => name,
      columns: [
        { label: 'What', cell: ({ name }) => h('span.quiet', name) },
        { label: 'This one', cell: ({ here }) => here },
        { label: nameOf(other), cell: ({ there }) => there },
      ],
    }),
    one.git_sha && other.git_sha && one.git_sha !== other.git_sha
      ? command(`git diff ${short(first)} ${short(last)}`)
      : h('p.quiet', one.git_sha ? 'The code has the same commit in both.' : 'No commit was noted.'),
    h('p', h('a', { href: link('checkpoints', other.id, { with: one.id }) }, `Open ${nameOf(other)}`)),
  ];
}
