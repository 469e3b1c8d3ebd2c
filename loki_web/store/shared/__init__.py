"""State that all workers share: the cache folder, rate windows and counters."""
