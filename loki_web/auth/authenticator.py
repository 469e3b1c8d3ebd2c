"""Authentication of raw tokens, without Flask, so that routes and sockets share it."""

import hmac
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from cachetools import TTLCache

from loki_web.auth import scopes, sign_ins, token_store
from loki_web.auth.identity import PERSON, TOKEN, UNRESTRICTED, Identity
from loki_web.errors import StorageError
from loki_web.services.context import Sources, WritableSources
from loki_web.services.machines.roster import get_roster
from loki_web.store.coerce import Json, as_dict, first_text
from loki_web.store.times import isoformat, parse_time

if TYPE_CHECKING:
    from loki_web.auth.oidc import Verifier

_USE_SECONDS = 60.0
_LOCK_SECONDS = 0.25
_MAX_REMEMBERED = 10_000
MAX_LENGTH = 16 * 1024


class Authenticator:
    """Map raw tokens to identities, and check identities again later."""

    def __init__(self, sources: WritableSources) -> None:
        self._sources = sources
        self._verifier = _create_verifier(sources) if sources.settings.oidc_enabled else None
        self._roster = get_roster(sources)
        self._recorded: TTLCache[str, bool] = TTLCache(_MAX_REMEMBERED, _USE_SECONDS)
        self._lock = threading.Lock()

    @property
    def is_required(self) -> bool:
        """Whether requests need a token."""
        return self._sources.settings.auth_required

    def authenticate(self, raw: str | None) -> Identity | None:
        """Return the identity of a token's holder, None for an invalid token.

        While authentication is off, every request is UNRESTRICTED.

        :param raw: the token without `Bearer`, None for a request without one.
        :raises Unavailable: when the keys of the OIDC issuer are needed and cannot be fetched.
        """
        if not self.is_required:
            return UNRESTRICTED
        if not raw or len(raw) > MAX_LENGTH:
            return None
        if raw.startswith(token_store.PREFIX):
            return self._find_token_holder(raw)
        return self._verifier.verify(raw) if self._verifier else None

    def find_signed_in(self, cookie: str) -> Identity | None:
        """Return the identity that has signed in with a cookie; None if nobody has, or no longer.

        The scopes of a token are those that it has now, those of an OIDC user the ones at the
        time of the sign-in.
        """
        key = sign_ins.hash_secret(cookie)
        entry = sign_ins.find_entry(self._sources, key) or {}
        holder, expires = self._restore(entry), parse_time(entry.get("expires_at"))
        return replace(holder, sign_in=key, expires_at=expires) if holder else None

    def is_csrf_token(self, token: str, holder: Identity) -> bool:
        """Return whether a CSRF token is that of the holder's sign-in."""
        entry = sign_ins.find_entry(self._sources, holder.sign_in) or {}
        stored, computed = first_text(entry.get("csrf")), sign_ins.hash_secret(token)
        return hmac.compare_digest(computed.encode(), stored.encode("utf-8", "surrogatepass"))

    def is_still_valid(self, identity: Identity) -> bool:
        """Return whether an identity still has any scope, without a request to the issuer.

        The scopes of a token may have been reduced, so check a needed scope with
        `get_current_scopes`.
        """
        return bool(self.get_current_scopes(identity))

    def get_current_scopes(self, identity: Identity) -> frozenset[str]:
        """Return the scopes that an identity has now; none after revocation, expiry or sign-out.

        None either if the token is limited to other projects than before.

        Sockets call this at each keepalive.
        """
        if not self.is_required:
            return UNRESTRICTED.scopes
        if identity.sign_in and not sign_ins.find_entry(self._sources, identity.sign_in):
            return frozenset()
        if identity.kind == TOKEN:
            entry = token_store.load_tokens(self._sources).get(identity.key)
            if entry is None or not self._is_active(identity.key, entry):
                return frozenset()
            if token_store.read_limit(entry) != identity.projects:
                return frozenset()
            return scopes.expand_scopes(scopes.read_scopes(entry))
        if identity.kind == PERSON:
            is_expired = (
                identity.expires_at is not None and identity.expires_at.timestamp() < time.time()
            )
            return frozenset() if is_expired else identity.scopes
        return frozenset()

    def record_use(self, identity: Identity) -> None:
        """Store when a token was last used, at most once a minute.

        The use is not stored if another process holds the lock for longer than
        _LOCK_SECONDS, so that requests are not delayed.
        """
        if identity.kind != TOKEN or not self._is_due(identity.key):
            return
        with (
            suppress(StorageError),
            token_store.update_tokens(self._sources, _LOCK_SECONDS) as tokens,
        ):
            entry = as_dict(tokens.get(identity.key))
            if entry:
                tokens[identity.key] = {**entry, "last_used": isoformat(self._sources.now())}

    def _is_due(self, key: str) -> bool:
        entry: Json = token_store.load_tokens(self._sources).get(key, {})
        used = parse_time(entry.get("last_used"))
        minute = timedelta(seconds=_USE_SECONDS)
        if used is not None and abs(self._sources.now() - used) < minute:
            return False
        with self._lock:
            if key in self._recorded:
                return False
            self._recorded[key] = True
        return True

    def _find_token_holder(self, raw: str) -> Identity | None:
        if not self._sources.settings.enterprise_auth:
            return None
        token = token_store.find_token(self._sources, raw)
        return self._make_holder(*token) if token else None

    def _restore(self, signed_in: Json) -> Identity | None:
        """Return who has signed in, from the entry of the sign-in."""
        settings, key = self._sources.settings, first_text(signed_in.get("key"))
        if signed_in.get("kind") == TOKEN and settings.enterprise_auth:
            entry = token_store.load_tokens(self._sources).get(key)
            return self._make_holder(key, entry) if entry else None
        client = sign_ins.get_client(self._sources)
        if (
            signed_in.get("kind") != PERSON
            or not self._verifier
            or signed_in.get("client") != client
        ):
            return None
        granted = scopes.expand_scopes(scopes.read_scopes(signed_in))
        name = first_text(signed_in.get("name"), default=key)
        return Identity(PERSON, key, name, granted)

    def _make_holder(self, key: str, entry: Json) -> Identity | None:
        """Return the identity of a stored token; None if it is revoked or expired."""
        if not self._is_active(key, entry):
            return None
        name = first_text(entry.get("name"), default=key)
        expires = parse_time(entry.get("expires_at"))
        granted = scopes.expand_scopes(scopes.read_scopes(entry))
        return Identity(TOKEN, key, name, granted, expires, token_store.read_limit(entry))

    def _is_active(self, key: str, entry: Json) -> bool:
        """Return whether a token is active here, and no other machine has revoked it."""
        now = self._sources.now()
        if self._roster is not None and self._roster.is_revoked(key, now.timestamp()):
            return False
        return token_store.is_active(entry, now)


def _create_verifier(sources: Sources) -> "Verifier":
    from loki_web.auth.oidc import Verifier  # imports 9 MB of cryptography, only with an issuer

    return Verifier(sources)
