"""gunicorn's settings: `gunicorn -c gunicorn.conf.py wsgi:app`."""

from loki_web.gunicorn_conf import *  # noqa: F403
