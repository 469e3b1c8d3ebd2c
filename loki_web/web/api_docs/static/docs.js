// Makes /docs more than a text: filter, copy, and sending a GET to this server.

const MOST = 100_000; // characters of an answer that are shown
const base = new URL(/** @type {string} */ (document.body.dataset.base), location.href);
const operations = [...document.querySelectorAll('details')];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function button(label, onclick) {
  return element('button', { type: 'button', textContent: label, onclick });
}

function showFilter() {
  const status = element('span', { role: 'status' });
  const field = element('input', { type: 'search', oninput: () => filter(field.value, status) });
  document.getElementById('filter')?.append(element('label', {}, 'Filter ', field), ' ', status);
}

function filter(text, status) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const each of operations) {
    const content = each.textContent.toLowerCase();
    each.hidden = !words.every((word) => content.includes(word));
  }
  for (const section of document.querySelectorAll('section'))
    section.hidden = !section.querySelector('details:not([hidden])');
  const found = operations.filter((each) => !each.hidden).length;
  status.textContent = words.length ? `${found} of ${operations.length}` : '';
}

/** Add a button that copies a text; commands get the address of this server. */
function addCopy(pre) {
  const text = pre.textContent.replace('$URL', base.href.replace(/\/$/, ''));
  const copy = button('Copy', async () => {
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = 'Copied';
    } catch {
      getSelection()?.selectAllChildren(pre);
      copy.textContent = 'Selected: press Ctrl C'; // the clipboard needs HTTPS, or localhost
    }
  });
  pre.before(element('div', { className: 'tools' }, copy));
}

/** Add a form that sends a GET; its path can be edited, as for the names in capitals. */
function addSender(pre) {
  const [, path] = /\$URL\/(.*)"$/.exec(pre.textContent) ?? [];
  const answer = element('pre', { tabIndex: 0, hidden: true });
  const field = element('input', { value: path, spellcheck: false, ariaLabel: 'Path and query' });
  const form = element('form', { className: 'tools' }, 'GET /', field, element('button', { textContent: 'Send' }));
  let sent = 0;
  form.onsubmit = async (event) => {
    event.preventDefault();
    sent += 1;
    const own = sent;
    answer.hidden = false;
    answer.textContent = '…';
    const text = await send(field.value);
    if (own === sent) answer.textContent = text; // answers may come in another order
  };
  pre.after(form, answer);
}

async function send(path) {
  const place = path.replace(/^\/+/, './');
  const url = URL.canParse(place, base) && new URL(place, base);
  if (!url || url.origin !== base.origin || !url.pathname.startsWith(base.pathname))
    return 'This is not a path of this server.';
  const end = new AbortController();
  try {
    const response = await fetch(url, { signal: end.signal, redirect: 'error' });
    const head = `${response.status} ${response.statusText}\n`;
    if (/event-stream/.test(response.headers.get('Content-Type') ?? '')) {
      end.abort();
      return `${head}\nAn endless stream: open it with curl.`;
    }
    const text = await response.text();
    const hint = response.status === 401 ? '\n\nSign in on the page of this server first.' : '';
    return head + format(text).slice(0, MOST) + hint;
  } catch {
    return 'The server does not answer.';
  }
}

function format(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Open what the address names. */
function openNamed() {
  const named = document.getElementById(decoded(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) named.open = true;
}

showFilter();
for (const each of operations)
  each.addEventListener(
    'toggle',
    () => {
      for (const pre of each.querySelectorAll('pre')) addCopy(pre);
      const curl = each.querySelector('.curl[data-method="GET"]');
      if (curl) addSender(curl);
    },
    { once: true },
  );
addEventListener('hashchange', openNamed);
openNamed();
