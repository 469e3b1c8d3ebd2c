/** A value that others follow: `watch(fn)` calls at once and at each change, and returns the end. */
export function cell(value) {
  const watchers = new Set();
  return {
    get value() { return value; },
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const watcher of [...watchers]) watcher(value);
    },
    watch(watcher) {
      watchers.add(watcher);
      watcher(value);
      return () => watchers.delete(watcher);
    },
  };
}

/** A cell kept in the browser under a name; it works without where storage is forbidden. */
export function keptCell(name, value, storage = 'localStorage') {
  const place = attempt(() => window[storage]);
  const kept = cell(attempt(() => place.getItem(`loki-${name}`)) ?? value);
  const { set } = kept;
  kept.set = (next) => {
    attempt(() => (next ? place.setItem(`loki-${name}`, next) : place.removeItem(`loki-${name}`)));
    set(next);
  };
  return kept;
}

function attempt(read) {
  try {
    return read();
  } catch {
    return null;
  }
}
