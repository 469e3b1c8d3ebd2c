"""Trusted proxies: whose forwarded headers count, and the address of the client."""

from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from loki_web.config.parsers import Address, Network, parse_address, unmapped

_FORWARDED = "HTTP_X_FORWARDED_FOR"
_PEER = "REMOTE_ADDR"

Environ = dict[str, Any]


class TrustedProxies:
    """WSGI middleware that evaluates the X-Forwarded headers of trusted proxies.

    The address of a client has one spelling, without a port, so that limits and the audit log
    know one client. If it is malformed, the address of the proxy is used.

    :param trusted: how many proxies are trusted, or the networks of those that are.
    """

    def __init__(self, wsgi_app: Any, trusted: int | tuple[Network, ...]) -> None:
        self._wsgi_app = wsgi_app
        self._trusted = trusted

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        """Call the application with the scheme, host and address of the client."""
        if isinstance(self._trusted, int):
            hops = of_others = self._trusted
        else:
            hops = self._count_trusted(environ, self._trusted)
            of_others = min(hops, 1)  # the nearest proxy answers for scheme, host and prefix
        if not hops:
            return self._wsgi_app(environ, start_response)
        fix = ProxyFix(
            self._answer, x_for=hops, x_proto=of_others, x_host=of_others, x_prefix=of_others
        )
        return fix(environ, start_response)

    def _answer(self, environ: Environ, start_response: Any) -> Any:
        client = parse_client(environ.get(_PEER) or "")
        if client is None:
            environ[_PEER] = environ["werkzeug.proxy_fix.orig"][_PEER]
        else:
            environ[_PEER] = str(client)
        return self._wsgi_app(environ, start_response)

    @staticmethod
    def _count_trusted(environ: Environ, networks: tuple[Network, ...]) -> int:
        """Return how many proxies in a row are trusted, from this server outwards."""
        forwarded = environ.get(_FORWARDED, "").split(",")
        addresses = [environ.get(_PEER) or "", *reversed(forwarded[1:])]
        for count, text in enumerate(addresses):
            client = parse_client(text)
            is_local = count == 0 and not text  # a unix socket has no address
            if not is_local and not (client and any(client in one for one in networks)):
                return count
        return len(addresses)


def parse_client(text: str) -> Address | None:
    """Return the address in an entry of X-Forwarded-For.

    Quotes, port and zone are dropped, and `::ffff:10.0.0.1` is 10.0.0.1.
    """
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    address = parse_address(bare.partition("%")[0])
    return unmapped(address) if address else None
