// Create and update elements. Text is inserted as text nodes: nothing here parses HTML.

const SVG = 'http://www.w3.org/2000/svg';
const PROPERTIES = new Set(['value', 'checked', 'indeterminate']);

/**
 * Create an HTML element: `h('p.note.small', {id: 'x', onclick: f}, 'text', child, [more])`.
 *
 * Values: `on…` are listeners, `vars` are CSS custom properties, `key` identifies an element in a list
 * that is drawn again, `props` are passed to a component. All others are attributes (true: present,
 * false and null: absent). The second argument may be left out.
 */
export function h(tag, ...rest) {
  const [name, ...classes] = tag.split('.');
  return build(document.createElement(name), classes, rest);
}

/** Create an SVG element, as `h` does. */
export function s(tag, ...rest) {
  const [name, ...classes] = tag.split('.');
  return build(document.createElementNS(SVG, name), classes, rest);
}

/**
 * Return the element of index.html with an id.
 *
 * @param {string} id
 * @returns {any}
 */
export const byId = (id) => document.getElementById(id);

/** Return an icon: a symbol of index.html. */
export function icon(name) {
  return s('svg.icon', { 'aria-hidden': 'true' }, s('use', { href: `#i-${name}` }));
}

/** Content for screen readers only. */
export const spoken = (...text) => h('span.spoken', text);

function build(element, classes, rest) {
  if (classes.length) element.setAttribute('class', classes.join(' '));
  const [first] = rest;
  const isProps = first?.constructor === Object;
  if (isProps) for (const [name, value] of Object.entries(first)) give(element, name, value);
  element.append(...nodes(isProps ? rest.slice(1) : rest));
  if (isProps && 'value' in first) element.value = first.value;
  return element;
}

function give(element, name, value) {
  if (value == null || (value === false && !PROPERTIES.has(name))) return;
  if (name === 'key') element.$key = String(value);
  else if (name === 'props') element.props = value;
  else if (name === 'class')
    element.setAttribute('class', [element.getAttribute('class'), value].filter(Boolean).join(' '));
  else if (name === 'vars') setVars(element, value);
  else if (name.startsWith('on')) listen(element, name, value);
  else if (PROPERTIES.has(name) && name in element) {
    element[name] = value;
    element.$has = { ...element.$has, [name]: value };
  } else element.setAttribute(name, value === true ? '' : value);
}

function listen(element, name, listener) {
  element[name] = listener;
  element.$on = { ...element.$on, [name]: listener };
}

function setVars(element, vars) {
  for (const [name, value] of Object.entries(vars)) element.style.setProperty(`--${name}`, value);
  element.$vars = vars;
}

/**
 * Return the nodes of children, each with its slot (its position). An omitted child keeps its slot, so
 * that children after it are still matched with their own elements.
 */
function nodes(children, path = '') {
  return children.flatMap((child, index) => {
    if (Array.isArray(child)) return nodes(child, `${path}${index}.`);
    if (child == null || child === false || child === true || child === '') return [];
    const node = /** @type {any} */ (child instanceof Node ? child : document.createTextNode(String(child)));
    node.$slot = `${path}${index}`;
    return [node];
  });
}

/**
 * Update the children of `parent` to those given, and keep existing elements. So focus, scroll
 * positions, open disclosures, input that is being typed and a click that has begun are not lost.
 * Existing elements are matched by their `key`, or by their slot if they have none.
 */
export function draw(parent, ...children) {
  match(parent, nodes(children));
}

function match(parent, children) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const left = new Set(parent.childNodes);
  const named = Map.groupBy(left, nameOf);
  const wanted = children.map((fresh) => {
    const known = left.has(fresh)
      ? fresh
      : named.get(nameOf(fresh))?.find((each) => left.has(each) && isSame(each, fresh));
    if (!known) return fresh;
    left.delete(known);
    patch(known, fresh);
    return known;
  });
  for (const node of left) if (node.parentNode === parent) node.remove();
  let at = parent.firstChild;
  for (const node of wanted) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  if (focused !== document.activeElement && focused?.isConnected && parent.contains(focused))
    focused.focus({ preventScroll: true });
}

const nameOf = ({ $key, $slot }) => ($key == null ? $slot : `key ${$key}`);

function isSame(known, fresh) {
  return known.nodeName === fresh.nodeName && known.type === fresh.type;
}

function patch(known, fresh) {
  if (known === fresh) return;
  if (known.$busy) {
    known.$later = () => patch(known, fresh);
    return;
  }
  if (known.nodeType === Node.TEXT_NODE) {
    if (known.data !== fresh.data) known.data = fresh.data;
    return;
  }
  patchAttributes(known, fresh);
  for (const name of Object.keys(known.$on ?? {})) if (!fresh.$on?.[name]) known[name] = null;
  known.$on = undefined;
  for (const [name, listener] of Object.entries(fresh.$on ?? {})) listen(known, name, listener);
  if (fresh.$vars) setVars(known, fresh.$vars);
  if (fresh.props) {
    known.props = fresh.props;
    return;
  }
  match(known, [...fresh.childNodes]);
  const given = fresh.$has;
  for (const name of Object.keys(given ?? {})) {
    if (known[name] !== given[name] && known !== document.activeElement) known[name] = given[name];
  }
}

function patchAttributes(known, fresh) {
  for (const { name } of [...known.attributes]) {
    const isUsers = name === 'style' || (name === 'open' && known.nodeName === 'DETAILS');
    if (!isUsers && !fresh.hasAttribute(name)) known.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (name !== 'style' && known.getAttribute(name) !== value) known.setAttribute(name, value);
  }
}

/** A custom element that is kept when it is drawn again: its `props` are replaced, then `update()` is called. */
export class Component extends HTMLElement {
  /** @type {any} */
  #props = {};

  get props() {
    return this.#props;
  }

  set props(props) {
    this.#props = props;
    if (this.isConnected) this.update();
  }

  /** Draw the element; called after the props were replaced. */
  update() {}

  /** Called when the element enters the page. */
  connected() {}

  /** Called when the element leaves the page. */
  disconnected() {}

  connectedCallback() {
    if (Object.hasOwn(this, 'props')) {
      // given before the code of the element was loaded
      this.#props = this.props;
      Reflect.deleteProperty(this, 'props');
    }
    this.connected();
    this.update();
  }

  disconnectedCallback() {
    this.disconnected();
  }
}
