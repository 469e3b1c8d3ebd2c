"""gunicorn: settings, hooks, worker and access log."""
