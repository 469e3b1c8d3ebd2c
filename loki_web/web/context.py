"""Access to the sources of the current application."""

from typing import cast

from flask import current_app

from loki_web.services.context import Sources

EXTENSION = "loki_web"


def sources() -> Sources:
    """Return the sources that the services of the current application read."""
    return cast(Sources, current_app.extensions[EXTENSION])
