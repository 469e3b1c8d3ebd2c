import { Component, draw, h } from '../core/dom.js';
import { count } from '../core/format.js';

const AT_ONCE = 100;

/**
 * A table: sortable where a column says how, a hundred rows at a time, cards on a phone.
 *
 * @param {object} props
 * @param {string} props.caption for screen readers
 * @param {{label: string, cell: function(*): *, sort?: function(*): *, class?: string}[]} props.columns
 *   `class` may be `num` or `acts`
 * @param {*[]} props.rows
 * @param {function(*): string} props.key of a row; rows of the same one are told apart by their order
 */
export const table = (props) => h('x-table', { props });

class Table extends Component {
  #by = -1;
  #isDown = false;
  #shown = AT_ONCE;

  update() {
    const { caption, columns, rows, key } = this.props;
    const sorted = this.#sorted(rows, columns[this.#by]?.sort);
    draw(this,
      h('table.stacks', h('caption.spoken', caption),
        h('thead', h('tr', columns.map((column, index) => this.#head(column, index)))),
        h('tbody', sorted.slice(0, this.#shown).map((row) =>
          h('tr', { key: key(row) }, columns.map(({ cell, label, class: more }) => h('td', { key: label, class: more, 'data-label': label }, cell(row))))))),
      sorted.length > this.#shown && h('p.row', h('button.button.small', { type: 'button', onclick: () => this.#more() }, 'Show more'),
        h('span.quiet', `${this.#shown} of ${count(sorted.length, 'row')}`)));
  }

  #head({ label, sort, class: more }, index) {
    if (!sort) return h('th', { key: label, scope: 'col', class: more }, label || h('span.spoken', 'Actions'));
    const order = this.#by !== index ? 'none' : this.#isDown ? 'descending' : 'ascending';
    return h('th', { key: label, scope: 'col', class: more, 'aria-sort': order }, h('button', { type: 'button', onclick: () => this.#sort(index) }, label));
  }

  #sort(index) {
    this.#isDown = this.#by === index ? !this.#isDown : false;
    this.#by = index;
    this.update();
  }

  #more() {
    this.#shown += AT_ONCE;
    this.update();
  }

  #sorted(rows, value) {
    if (!value) return rows;
    const sign = this.#isDown ? -1 : 1;
    return rows.map((row) => [value(row), row]).sort(([a], [b]) => sign * compare(a, b)).map(([, row]) => row);
  }
}

function compare(a, b) {
  if (a == null || b == null) return (a == null) - (b == null);
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true });
}

customElements.define('x-table', Table);
