"""Refuse redirects of the addresses that the server itself requests."""

import urllib.request
from typing import Any


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Raise `HTTPError` for a redirect: only the configured address is requested."""

    def redirect_request(self, *_: Any) -> None:
        """Return no request to follow with."""
        return
