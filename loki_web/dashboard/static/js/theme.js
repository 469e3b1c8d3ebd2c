// Before the first paint: the theme that somebody chose here, if not the system's.
try {
  const chosen = localStorage.getItem('loki-theme');
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  // storage is forbidden: the system's theme it is
}
