import { Component, draw, h, s } from '../core/dom.js';
import { NONE } from '../core/format.js';
import { LEFT, layout, plot } from './plot.js';
import { table } from './table.js';

/**
 * A chart: a crosshair by pointer or arrow keys that is also spoken, and a table behind it.
 *
 * @param {object} props
 * @param {string} props.label what it shows
 * @param {string} props.axis what a label is, as `Iteration`
 * @param {(string|number)[]} props.labels
 * @param {{name: string, kind: 'bar'|'line'|'area', values: (number|null)[], tone: string, format?: function(number): string}[]} props.series
 *   tones `t1`…`t6`, `tgood`, `twarn`, `tbad`
 * @param {function(number): string} props.format of the scale
 * @param {{at: number, shape: 'next'|'check'|'alert', tone: string, label: string}[]} [props.marks] by index
 * @param {{from: number, to: number, label: string}[]} [props.bands] by index
 * @param {{value: number, label: string}} [props.limit]
 * @param {{value: number, label: string}[]} [props.warnings] lines below it
 * @param {{steps: number, value: number}} [props.forecast] of the first series
 * @param {number} [props.height]
 */
export const chart = (props) => h('x-chart', { props });

class Chart extends Component {
  #at = null;
  #place = null;
  #key = h('p.chart-key', { 'aria-live': 'polite' });
  #svg = s('svg', { tabindex: 0, role: 'img' });
  #table = h('details', { ontoggle: () => this.#drawTable() });
  #figure = h('figure', this.#svg);
  #resized = new ResizeObserver(() => this.#drawPlot());

  connected() {
    this.#svg.onpointermove = ({ offsetX }) => this.#move(Math.floor((offsetX - LEFT) / this.#place.slot));
    this.#svg.onpointerleave = () => this.#move(null);
    this.#svg.onblur = () => this.#move(null);
    this.#svg.onkeydown = (event) => this.#press(event);
    draw(this, this.#key, this.#figure, this.#table);
    this.#resized.observe(this.#figure);
  }

  disconnected() { this.#resized.disconnect(); }

  update() {
    this.#svg.setAttribute('aria-label', `${this.props.label}. Arrow keys read it point by point; a table follows.`);
    this.#drawPlot();
    this.#drawTable();
  }

  #press(event) {
    const last = this.props.labels.length - 1;
    const at = this.#at ?? last;
    const aim = { ArrowLeft: this.#at === null ? last : at - 1, ArrowRight: this.#at === null ? last : at + 1, Home: 0, End: last, Escape: null }[event.key];
    if (aim === undefined) return;
    event.preventDefault();
    this.#move(aim);
  }

  #move(at) {
    const last = this.props.labels.length - 1;
    const next = at === null || last < 0 ? null : Math.min(last, Math.max(0, at));
    if (next === this.#at) return;
    this.#at = next;
    this.#drawKey();
    this.#drawCursor();
  }

  #drawPlot() {
    const width = this.#figure.clientWidth;
    if (!width) return;
    this.#place = layout(this.props, width);
    const { height } = this.#place;
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#svg.setAttribute('height', height);
    draw(this.#svg, plot(this.props, this.#place), s('g.cursors', { key: 'cursor' }));
    this.#drawKey();
    this.#drawCursor();
  }

  #drawCursor() {
    const group = this.#svg.lastElementChild;
    if (this.#at === null) return draw(group);
    const { x, y, top, bottom } = this.#place;
    const at = x(this.#at);
    return draw(group, s('line.cursor', { x1: at, x2: at, y1: top, y2: bottom }),
      this.props.series.map(({ values, tone }) => Number.isFinite(values[this.#at]) && s('circle.dot', { class: tone, cx: at, cy: y(values[this.#at]), r: 4 })));
  }

  #drawKey() {
    const { labels, series, axis, format, marks = [] } = this.props;
    const at = this.#at ?? labels.length - 1;
    const here = marks.filter((mark) => mark.at === at);
    draw(this.#key, h('b', at < 0 ? NONE : `${axis} ${labels[at]}`),
      series.map((each) => h('span', { class: each.tone }, h('i.swatch'), each.name, ' ', h('b', read(each, at, format)))),
      here.map((mark) => h('span', mark.label)));
  }

  #drawTable() {
    const { labels, series, axis, format, label, marks = [] } = this.props;
    if (!this.#table.open) return draw(this.#table, h('summary', 'Table'));
    const columns = [
      { label: axis, cell: (index) => labels[index] },
      ...series.map((each) => ({ label: each.name, class: 'num', cell: (index) => read(each, index, format), sort: (index) => each.values[index] })),
      ...(marks.length ? [{ label: 'Event', cell: (index) => marks.filter((mark) => mark.at === index).map((mark) => mark.label).join(', ') || NONE }] : []),
    ];
    return draw(this.#table, h('summary', 'Table'), h('div.scroll', { tabindex: 0, role: 'region', 'aria-label': `${label}: table` }, table({ caption: label, columns, rows: labels.map((_, index) => index), key: String })));
  }
}

const read = ({ values, format: own }, at, format) => (Number.isFinite(values[at]) ? (own ?? format)(values[at]) : NONE);

customElements.define('x-chart', Chart);
