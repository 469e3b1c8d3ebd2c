"""From the application at hand to the sources its services read."""

from typing import cast

from flask import current_app

from loki_web.services.context import Sources

EXTENSION = "loki_web"


def sources() -> Sources:
    return cast(Sources, current_app.extensions[EXTENSION])
