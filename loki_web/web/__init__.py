"""Flask plumbing that belongs to no resource: the guard, kept answers, errors, OpenAPI."""
