"""Requests that the server sends: whether an address is on this machine, and how to open it."""

import socket
import urllib.request
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from loki_web.config.parsers import is_this_machine


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Raise `HTTPError` for a redirect: only the configured address is requested."""

    def redirect_request(self, *_: Any) -> None:
        """Return no request to follow with."""
        return


def build_opener(
    address: str, *handlers: urllib.request.BaseHandler
) -> urllib.request.OpenerDirector:
    """Return an opener for an address; it uses no proxy for an address on this machine."""
    direct = [urllib.request.ProxyHandler({})] if is_local(address) else []
    return urllib.request.build_opener(*direct, *handlers)


def is_local(address: str) -> bool:
    """Return whether a URL is on this machine, however its host is written."""
    host = (urlsplit(address).hostname or "").removesuffix(".")
    with suppress(OSError):
        host = socket.inet_ntoa(socket.inet_aton(host))  # 127.1, 0x7f000001, 2130706433
    return is_this_machine(host) or host.endswith(".localhost")
