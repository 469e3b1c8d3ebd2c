"""What all workers share: the cache folder, rate windows and counts."""
