"""gunicorn's settings: `gunicorn -c gunicorn.conf.py wsgi:app`."""

from loki_web.server.conf import *  # noqa: F403
