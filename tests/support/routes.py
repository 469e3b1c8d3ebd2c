"""Every route of an application, from its URL map: a new one is covered on the day it is added."""

from dataclasses import dataclass

from flask import Flask
from werkzeug.routing import Rule

from loki_web.services.metrics import DOCUMENTED

# The metrics of the session; those of the server change with each request.
SESSION_METRICS = "/metrics?" + "&".join(f"name[]={family.name}" for family in DOCUMENTED)
_READING = {"GET", "HEAD"}


@dataclass(frozen=True)
class Route:
    """:param path: the rule with something in the place of its variables."""

    method: str
    rule: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.rule}"

    @property
    def changes(self) -> bool:
        return self.method not in _READING


def routes(app: Flask) -> list[Route]:
    """All of them, sockets and preflights left out."""
    return [
        Route(method, rule.rule, _path(app, rule))
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"})
        if not rule.websocket and rule.rule != "/ws"
    ]


def _path(app: Flask, rule: Rule) -> str:
    with app.test_request_context():
        return app.url_map.bind("localhost").build(
            rule.endpoint, dict.fromkeys(rule.arguments, "x1"), method=None, force_external=False
        )
