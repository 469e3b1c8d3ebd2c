"""The applications for gunicorn: `gunicorn -c gunicorn.conf.py wsgi:app`, and `wsgi:sidecar`.

The sidecar is for a proxy that sends `/ws` and `/api/events` to it. Only the one that gunicorn
loads is created.
"""

from flask import Flask

from loki_web import app as applications

_MAKERS = {"app": applications.create_app, "sidecar": applications.create_sidecar}


def __getattr__(name: str) -> Flask:
    if name not in _MAKERS:
        raise AttributeError(name)
    made = globals()[name] = _MAKERS[name]()
    return made
