import { Component, draw, h } from '../core/dom.js';

const SPARE = 400; // pixels that are drawn beyond the visible area

/**
 * A virtual list of any length: only the visible rows are drawn. Rows may differ in height.
 *
 * @param {object} props
 * @param {any[]} props.items
 * @param {(item: any) => string} props.key
 * @param {(item: any, index: number) => any} props.row what stands in a row
 * @param {number} props.estimate the usual height of a row
 * @param {string} props.label
 * @param {string} [props.role] `list` (then rows are its items) or `log`
 * @param {boolean} [props.follow] scroll to the end when rows are added
 * @param {(isAtEnd: boolean) => void} [props.onfollow] called when the user scrolls to the end, or away from it
 * @param {string} [props.class] more classes
 * @param {string} [props.layout] rows are measured again when it changes
 */
export const rows = ({ class: more, ...props }) =>
  h('x-rows', {
    props,
    class: more,
    tabindex: '0',
    'aria-label': props.label,
    role: props.role ?? 'list',
    'aria-live': props.role === 'log' ? 'off' : null,
  });

class Rows extends Component {
  #heights = new Map();
  #tops = [0];
  #inner = h('div', { role: 'presentation' });
  #frame = 0;
  #width = 0;
  #layout = '';
  #aim = -1;
  #resized = new ResizeObserver(() => {
    if (this.clientWidth !== this.#width) this.#heights.clear();
    this.#width = this.clientWidth;
    this.update();
  });

  connected() {
    if (!this.#inner.isConnected) this.append(this.#inner);
    this.onscroll = () => this.#scrolled();
    this.#resized.observe(this);
  }

  disconnected() {
    this.#resized.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  update() {
    const { items, key, layout = '' } = this.props;
    if (layout !== this.#layout) this.#heights.clear();
    this.#layout = layout;
    if (this.#heights.size > items.length * 2 + 500) {
      const known = new Set(items.map(key));
      for (const each of this.#heights.keys()) if (!known.has(each)) this.#heights.delete(each);
    }
    this.#measureTops();
    this.#draw();
    if (this.props.follow) this.#toEnd();
  }

  /** Bring a row into view. */
  show(index) {
    this.scrollTop = this.#tops[index] - this.clientHeight / 3;
    this.#draw();
  }

  #toEnd() {
    for (let tries = 0; tries < 3; tries += 1) {
      this.#aim = this.scrollHeight - this.clientHeight;
      this.scrollTop = this.#aim;
      this.#draw();
      if (this.scrollHeight - this.clientHeight - this.scrollTop < 2) return;
    }
  }

  #scrolled() {
    if (!this.#frame)
      this.#frame = requestAnimationFrame(() => {
        this.#frame = 0;
        this.#draw();
      });
    const isAtEnd = this.scrollHeight - this.clientHeight - this.scrollTop < 8;
    const isOurs = Math.abs(this.scrollTop - this.#aim) < 2;
    if (!isOurs && isAtEnd !== Boolean(this.props.follow)) this.props.onfollow?.(isAtEnd);
  }

  #measureTops() {
    const { items, key, estimate } = this.props;
    const tops = new Array(items.length + 1);
    tops[0] = 0;
    for (let index = 0; index < items.length; index += 1)
      tops[index + 1] = tops[index] + (this.#heights.get(key(items[index])) ?? estimate);
    this.#tops = tops;
  }

  /** Return the index of the row at a vertical position. */
  #at(y) {
    let [low, high] = [0, Math.max(0, this.#tops.length - 2)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #draw() {
    const { items, key, row, role = 'list' } = this.props;
    const top = this.scrollTop;
    const first = this.#at(top - SPARE);
    const end = Math.min(items.length, this.#at(top + this.clientHeight + SPARE) + 1);
    const seen = this.#at(top);
    this.#pad(first, end);
    const item =
      role === 'list'
        ? (index) => ({ role: 'listitem', 'aria-setsize': items.length, 'aria-posinset': index + 1 })
        : () => ({});
    draw(
      this.#inner,
      items
        .slice(first, end)
        .map((each, index) => h('div', { key: key(each), ...item(first + index) }, row(each, first + index))),
    );
    if (!this.#remember(first, end)) return;
    const before = this.#tops[seen];
    this.#measureTops();
    this.#pad(first, end);
    const moved = this.#tops[seen] - before;
    if (moved && !this.props.follow) this.scrollTop = this.#aim = top + moved;
  }

  #pad(first, end) {
    const { style } = this.#inner;
    style.paddingTop = `${this.#tops[first]}px`;
    style.paddingBottom = `${this.#tops[this.#tops.length - 1] - this.#tops[end]}px`;
  }

  /** Measure the heights of the drawn rows; return whether one has changed. */
  #remember(first, end) {
    const { items, key, estimate } = this.props;
    let isNews = false;
    for (let index = first; index < end; index += 1) {
      const name = key(items[index]);
      const height = this.#inner.children[index - first]?.offsetHeight ?? 0;
      if (height && height !== (this.#heights.get(name) ?? estimate)) {
        this.#heights.set(name, height);
        isNews = true;
      }
    }
    return isNews;
  }
}

customElements.define('x-rows', Rows);
