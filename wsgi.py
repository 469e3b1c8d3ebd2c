"""What gunicorn serves: `gunicorn -c gunicorn.conf.py wsgi:app`, and beside it, behind a proxy that
sends `/ws` and `/api/events` there, `wsgi:sidecar`. Only the one that is asked for is made."""

from flask import Flask

from loki_web import app as applications

_MAKERS = {"app": applications.create_app, "sidecar": applications.create_sidecar}


def __getattr__(name: str) -> Flask:
    if name not in _MAKERS:
        raise AttributeError(name)
    made = globals()[name] = _MAKERS[name]()
    return made
