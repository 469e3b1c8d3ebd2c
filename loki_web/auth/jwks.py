"""The public keys (JWKS) of the OIDC issuer, fetched by one thread at a time and cached."""

import json
import logging
import math
import threading
import time
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from loki_web import __version__, outgoing
from loki_web.errors import Unavailable
from loki_web.outgoing import NoRedirect
from loki_web.store.coerce import Json, as_dict, dicts_in, first_text

FRESH_SECONDS = 600.0  # older keys are fetched again in the background
USABLE_SECONDS = 3600.0  # older keys are discarded
WAIT_SECONDS = 4.0  # how long the caller that started a fetch waits for it
_OTHERS_WAIT_SECONDS = 1.0  # how long other callers wait for the first fetch, from its start
PAUSE_SECONDS = 5.0  # back-off after a failed fetch
_BURST, _REFILL_SECONDS = 5, 10.0  # token bucket of fetches: its size, seconds for one more
_SOCKET_SECONDS = 3.0
_FETCH_SECONDS = 10.0
_MAX_BYTES = 512 * 1024
_MAX_KEYS = 1024
_MAX_TRIED = 16  # keys for one token: each of them costs a verification

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublicKey:
    """A key of the issuer.

    :param algorithm: the only algorithm the key may be used with, None for any.
    :param data: the key as the issuer publishes it (RFC 7517).
    """

    key_id: str | None
    algorithm: str | None
    data: Json


class IssuerKeys:
    """The cached keys of an issuer.

    :param issuer: the configured URL, which the discovery document must name as its `issuer`.
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._keys: list[PublicKey] = []
        self._fetched_at = -USABLE_SECONDS
        self._began_at = -_FETCH_SECONDS
        self._failed_at = -math.inf
        self._fetching = False
        self._allowance, self._counted_at = float(_BURST), time.monotonic()
        self._changed = threading.Condition()

    def find_keys(self, key_id: str | None) -> list[PublicKey]:
        """Return the keys that may have made a signature.

        An unknown id starts a fetch, since issuers rotate their keys. The caller that starts it
        waits. Others wait only for the very first fetch, and briefly: anybody can send unknown
        ids, and waiting callers occupy threads.

        :param key_id: the id in the token's header; None returns all keys.
        :raises Unavailable: when no usable keys are cached and none can be fetched, and while
            another caller waits for them.
        """
        with self._changed:
            age = time.monotonic() - self._fetched_at
            if age > USABLE_SECONDS:
                self._keys = []
            keys = self._find_cached(key_id)
            has_begun = (not keys or age > FRESH_SECONDS) and self._begin_fetch()
            if not keys:
                self._changed.wait_for(
                    lambda: not self._is_fetching(), self._wait_seconds(has_begun=has_begun)
                )
                keys = self._find_cached(key_id)
                if not keys and not has_begun and self._is_fetching():
                    raise Unavailable("The keys of the OIDC issuer are being fetched", 1)
            if not self._keys:
                raise Unavailable("The OIDC issuer does not respond", int(PAUSE_SECONDS))
            return keys

    def _find_cached(self, key_id: str | None) -> list[PublicKey]:
        if key_id is None:
            return self._keys[:_MAX_TRIED]
        return [key for key in self._keys if key.key_id == key_id][:_MAX_TRIED]

    def _is_fetching(self) -> bool:
        return self._fetching and time.monotonic() - self._began_at < 2 * _FETCH_SECONDS

    def _wait_seconds(self, *, has_begun: bool) -> float:
        """Return how many seconds a caller without a key waits for a fetch."""
        if has_begun:
            return WAIT_SECONDS
        is_first = not self._keys and self._failed_at == -math.inf
        return self._began_at + _OTHERS_WAIT_SECONDS - time.monotonic() if is_first else 0.0

    def _begin_fetch(self) -> bool:
        """Start a fetch if none is running and one is allowed; return whether it was started."""
        now = time.monotonic()
        gained = (now - self._counted_at) / _REFILL_SECONDS
        self._allowance, self._counted_at = min(_BURST, self._allowance + gained), now
        if self._is_fetching() or now - self._failed_at < PAUSE_SECONDS or self._allowance < 1:
            return False
        self._allowance -= 1
        self._fetching, self._began_at = True, now
        threading.Thread(target=self._fetch, name="oidc-keys", daemon=True).start()
        return True

    def _fetch(self) -> None:
        keys: list[PublicKey] = []
        try:
            keys = _fetch_keys(self._issuer)
        except (OSError, ValueError, RecursionError) as error:
            log.warning("cannot fetch the keys of the OIDC issuer: %s", error)
        finally:
            with self._changed:
                self._fetching = False
                if keys:
                    self._keys, self._fetched_at = keys, time.monotonic()
                else:
                    self._failed_at = time.monotonic()
                self._changed.notify_all()


# Some issuers refuse the default User-Agent of urllib.
_HEADERS = {"User-Agent": f"loki-web/{__version__}", "Accept": "application/json"}


def is_issuer(value: Any, issuer: str) -> bool:
    """Return whether `value` is the issuer's URL, with or without a slash at its end."""
    return isinstance(value, str) and value.removesuffix("/") == issuer.removesuffix("/")


def check_address(address: str, issuer: str) -> None:
    """Check an address from which keys would be fetched.

    :raises ValueError: unless it is https. Addresses of this machine, also with http, are allowed
        for an issuer on this machine alone.
    """
    scheme, is_local = urlsplit(address).scheme, outgoing.is_local(address)
    if is_local and not outgoing.is_local(issuer):
        raise ValueError("the issuer publishes an address of this machine")
    if scheme != "https" and not (scheme == "http" and is_local):
        raise ValueError("the issuer publishes an address that is not https")


def _fetch_keys(issuer: str) -> list[PublicKey]:
    check_address(issuer, issuer)
    configuration = _fetch_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if not is_issuer(configuration.get("issuer"), issuer):
        raise ValueError("the discovery document names another issuer")
    address = first_text(configuration.get("jwks_uri"))
    check_address(address, issuer)
    published = dicts_in(_fetch_json(address).get("keys"))
    keys = [
        PublicKey(_text_or_none(entry.get("kid")), _text_or_none(entry.get("alg")), entry)
        for entry in published[:_MAX_KEYS]
        if entry.get("use") in (None, "sig") and entry.get("kty") in ("RSA", "EC", "OKP")
    ]
    if not keys:
        raise ValueError("the issuer publishes no usable key")
    return keys


def _fetch_json(address: str) -> Json:
    deadline = time.monotonic() + _FETCH_SECONDS
    data = b""
    request = urllib.request.Request(address, headers=_HEADERS)  # noqa: S310  # checked above
    opener = outgoing.build_opener(address, NoRedirect())
    with opener.open(request, timeout=_SOCKET_SECONDS) as response:
        while block := response.read1(64 * 1024):
            data += block
            if len(data) > _MAX_BYTES or time.monotonic() > deadline:
                raise ValueError("the issuer's response is too large or too slow")
    return as_dict(json.loads(data))


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None
