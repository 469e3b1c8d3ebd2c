"""Which pages of other origins may read answers: exactly those that are configured."""

import re

from flask import Flask, Response
from flask_cors import CORS

from loki_web.config.settings import Settings

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def install(app: Flask, settings: Settings) -> None:
    """Have the library's hook run before `complete_headers` is called, by the guard's own hook."""
    CORS(app, origins=_exactly(settings.cors_origins), methods=_METHODS, allow_headers="*")


def _exactly(origins: tuple[str, ...]) -> list[str | re.Pattern[str]]:
    """Plain strings would be compared without regard to case."""
    return [o if o == "*" else re.compile(re.escape(o) + r"\Z") for o in origins]


def complete_headers(response: Response) -> None:
    """Give the headers of CORS the form of the reference, and say that the answer depends on the
    origin."""
    headers = response.headers
    headers.pop("Access-Control-Allow-Private-Network", None)
    if "Access-Control-Allow-Methods" in headers:
        headers["Access-Control-Allow-Methods"] = "*"
        asked = headers.get("Access-Control-Allow-Headers", "").lower()
        # The star covers every header except this one, which has to be named.
        headers["Access-Control-Allow-Headers"] = (
            "*, Authorization" if "authorization" in asked else "*"
        )
    response.vary.add("Origin")
