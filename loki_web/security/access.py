"""Who asks, and may they? Deny by default, with a short list of what anyone may see."""

from flask import Request

from loki_web.services.sources import Sources


def check(asked: Request, sources: Sources) -> None:
    """Nothing to check while no authentication is asked for."""


def client_of(asked: Request) -> str:
    """Whom a limit counts: the address of the caller; a unix socket has none."""
    return asked.remote_addr or "local"
