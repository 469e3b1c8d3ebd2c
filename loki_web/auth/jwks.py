"""The public keys of the OIDC issuer: one fetch at a time, and nobody waits for long."""

import json
import logging
import threading
import time
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from loki_web.config.parsers import is_loopback
from loki_web.errors import Unavailable
from loki_web.store.coerce import Json, as_dict, dicts_in, first_text

FRESH_SECONDS = 600.0  # after that they are fetched again, while the old ones still serve
USABLE_SECONDS = 3600.0  # after that they serve no more
WAIT_SECONDS = 4.0  # how long a caller waits for a fetch
PAUSE_SECONDS = 5.0  # after a fetch that failed
_BURST, _REFILL_SECONDS = 5, 10.0  # fetches in a row, and how soon there is another one
_SOCKET_SECONDS = 3.0
_FETCH_SECONDS = 10.0
_MAX_BYTES = 512 * 1024
_MAX_KEYS = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublicKey:
    """:param algorithm: the only one it may be used with, None where the issuer says nothing.
    :param data: the key as the issuer publishes it (RFC 7517).
    """

    key_id: str | None
    algorithm: str | None
    data: Json


class IssuerKeys:
    """:param issuer: the address as configured, which has to be the one that it states itself."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._keys: list[PublicKey] = []
        self._fetched_at = -USABLE_SECONDS
        self._began_at = -_FETCH_SECONDS
        self._failed_at = -PAUSE_SECONDS
        self._fetching = False
        self._allowance, self._counted_at = float(_BURST), time.monotonic()
        self._changed = threading.Condition()

    def find_keys(self, key_id: str | None) -> list[PublicKey]:
        """The keys that may have made a signature: those of that id, or all where there is none.

        An id that is not known leads to one fetch, since issuers change their keys.

        :raises Unavailable: when there are no keys that may still be used and none can be had.
        """
        with self._changed:
            age = time.monotonic() - self._fetched_at
            if age > USABLE_SECONDS:
                self._keys = []
            found = self._find_cached(key_id)
            if not found or age > FRESH_SECONDS:
                self._begin_fetch()
            if not found:
                self._changed.wait_for(lambda: not self._is_fetching(), WAIT_SECONDS)
                found = self._find_cached(key_id)
            if not self._keys:
                raise Unavailable("The OIDC issuer does not answer", int(PAUSE_SECONDS))
            return found

    def _find_cached(self, key_id: str | None) -> list[PublicKey]:
        return [key for key in self._keys if key_id is None or key.key_id == key_id]

    def _is_fetching(self) -> bool:
        return self._fetching and time.monotonic() - self._began_at < 2 * _FETCH_SECONDS

    def _begin_fetch(self) -> None:
        now = time.monotonic()
        gained = (now - self._counted_at) / _REFILL_SECONDS
        self._allowance, self._counted_at = min(_BURST, self._allowance + gained), now
        if self._is_fetching() or now - self._failed_at < PAUSE_SECONDS or self._allowance < 1:
            return
        self._allowance -= 1
        self._fetching, self._began_at = True, now
        threading.Thread(target=self._fetch, name="oidc-keys", daemon=True).start()

    def _fetch(self) -> None:
        keys: list[PublicKey] = []
        try:
            keys = _fetch_keys(self._issuer)
        except (OSError, ValueError, RecursionError) as error:
            log.warning("the keys of the OIDC issuer cannot be fetched: %s", error)
        finally:
            with self._changed:
                self._fetching = False
                if keys:
                    self._keys, self._fetched_at = keys, time.monotonic()
                else:
                    self._failed_at = time.monotonic()
                self._changed.notify_all()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys come from where the issuer says, not from where somebody leads us."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _fetch_keys(issuer: str) -> list[PublicKey]:
    described = _fetch_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if described.get("issuer") != issuer:
        raise ValueError("the address describes another issuer")
    published = dicts_in(_fetch_json(first_text(described.get("jwks_uri"))).get("keys"))
    keys = [
        PublicKey(_text_or_none(entry.get("kid")), _text_or_none(entry.get("alg")), entry)
        for entry in published[:_MAX_KEYS]
        if entry.get("use") in (None, "sig") and entry.get("kty") in ("RSA", "EC", "OKP")
    ]
    if not keys:
        raise ValueError("the issuer has no key that can be used")
    return keys


def _fetch_json(address: str) -> Json:
    parts = urlsplit(address)
    is_local = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if parts.scheme != "https" and not is_local:
        raise ValueError("the issuer names an address that is not https")
    deadline = time.monotonic() + _FETCH_SECONDS
    data = b""
    with _OPENER.open(address, timeout=_SOCKET_SECONDS) as response:
        while block := response.read1(64 * 1024):
            data += block
            if len(data) > _MAX_BYTES or time.monotonic() > deadline:
                raise ValueError("the issuer sends too much or too slowly")
    return as_dict(json.loads(data))


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None
