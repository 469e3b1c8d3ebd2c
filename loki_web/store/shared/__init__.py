"""State that all workers share: the cache folder, rate windows, limits, and counts for metrics."""
