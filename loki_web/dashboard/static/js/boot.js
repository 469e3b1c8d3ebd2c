// Runs before the first paint and before any module.

try {
  const theme = localStorage.getItem('loki-theme');
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // storage is forbidden: the theme of the system
}

// A module that another one imports can be missing if the server is updated while the page is being loaded.
addEventListener(
  'error',
  ({ target }) => {
    if (!(target instanceof HTMLScriptElement)) return;
    const message = document.createElement('p');
    message.className = 'card';
    message.setAttribute('role', 'alert');
    message.textContent = 'The page could not be loaded. Reload it.';
    const main = document.getElementById('main');
    main?.replaceChildren(message);
    main?.removeAttribute('aria-busy');
  },
  true,
);
