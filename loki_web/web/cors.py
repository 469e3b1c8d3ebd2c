"""CORS: pages of the configured origins may read responses."""

import re

from flask import Flask, Response
from flask_cors import CORS

from loki_web.config.settings import Settings

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_EXPOSED = [
    "ETag", "Retry-After", "X-Loki-Cursor", "X-Loki-Project", "X-Loki-Scopes", "X-Request-ID",
]  # fmt: skip


def install(app: Flask, settings: Settings) -> None:
    """Add the CORS headers of the configured origins.

    Install after the guard: hooks run in reverse order, and the guard's hook calls
    `complete_headers`, which needs the headers of this library.
    """
    CORS(
        app,
        origins=_exactly(settings.cors_origins),
        methods=_METHODS,
        allow_headers="*",
        expose_headers=_EXPOSED,
    )


def _exactly(origins: tuple[str, ...]) -> list[str | re.Pattern[str]]:
    """Return case-sensitive patterns; the library compares plain strings without case."""
    return [o if o == "*" else re.compile(re.escape(o) + r"\Z") for o in origins]


def complete_headers(response: Response) -> None:
    """Rewrite the CORS headers as the API reference documents them, and add `Vary: Origin`."""
    headers = response.headers
    headers.pop("Access-Control-Allow-Private-Network", None)
    if "Access-Control-Allow-Methods" in headers:
        headers["Access-Control-Allow-Methods"] = "*"
        requested = headers.get("Access-Control-Allow-Headers", "").lower()
        # The wildcard does not cover Authorization (Fetch standard).
        headers["Access-Control-Allow-Headers"] = (
            "*, Authorization" if "authorization" in requested else "*"
        )
    response.vary.add("Origin")
