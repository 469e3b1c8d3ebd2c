"""Access to the sources of the current application."""

from typing import cast

from flask import current_app

from loki_web.services.context import Sources, WritableSources

EXTENSION = "loki_web"


def sources() -> Sources:
    """Return the sources of the current application, for views that read."""
    return writable_sources()


def writable_sources() -> WritableSources:
    """Return the sources of the current application, for views that change something."""
    return cast(WritableSources, current_app.extensions[EXTENSION])
