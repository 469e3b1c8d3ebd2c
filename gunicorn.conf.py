"""gunicorn's settings, from the same LOKI_* variables as the application's."""

from loki_web.settings import Settings

_settings = Settings.from_env()

bind = [f"{_settings.host}:{_settings.port}"]
worker_class = "gthread"
workers = _settings.workers
threads = _settings.threads
