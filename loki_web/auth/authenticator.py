"""From a raw token to who holds it, without Flask: routes and sockets ask the same."""

import threading
import time
from contextlib import suppress
from datetime import timedelta

from loki_web.auth import scopes, token_store
from loki_web.auth.identity import PERSON, TOKEN, UNRESTRICTED, Identity
from loki_web.auth.oidc import Verifier
from loki_web.errors import StorageError
from loki_web.services.context import Sources
from loki_web.store.coerce import Json, as_dict, first_text
from loki_web.store.times import isoformat, parse_time

USE_NOTED_SECONDS = 60.0
_NOTING_WAIT_SECONDS = 0.25
_MAX_REMEMBERED = 10_000
MAX_LENGTH = 16 * 1024


class Authenticator:
    """Tells who holds a raw token, and whether somebody who was let in still may stay."""

    def __init__(self, src: Sources) -> None:
        self._src = src
        settings = src.settings
        self._people = Verifier(settings) if settings.oidc_enabled else None
        self._noted: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def required(self) -> bool:
        return self._src.settings.auth_required

    def authenticate(self, raw: str | None) -> Identity | None:
        """Who holds this token; None where it opens nothing.

        While no authentication is required everybody is ANYONE, who may do everything.

        :param raw: the token alone, without `Bearer`; None where none was given.
        :raises Unavailable: when only the OIDC issuer could tell and it does not answer.
        """
        if not self.required:
            return UNRESTRICTED
        if not raw or len(raw) > MAX_LENGTH:
            return None
        if raw.startswith(token_store.PREFIX):
            return self._find_token_holder(raw)
        return self._people.verify(raw) if self._people else None

    def is_still_valid(self, identity: Identity) -> bool:
        """Whether somebody who was let in earlier would be let in now, without asking the issuer.

        A socket asks at each keepalive; the scopes of a token may have become fewer as well, so
        compare what is needed with `current_scopes`.
        """
        return bool(self.get_current_scopes(identity))

    def get_current_scopes(self, identity: Identity) -> frozenset[str]:
        """What somebody who was let in earlier may do now; nothing after revocation or expiry."""
        now = self._src.now()
        if not self.required:
            return UNRESTRICTED.scopes
        if identity.kind == TOKEN:
            entry = token_store.load_tokens(self._src.user).get(identity.key)
            if entry is None or not token_store.is_active(entry, now):
                return frozenset()
            return scopes.expand_scopes(scopes.read_scopes(entry))
        if identity.kind == PERSON:
            ended = (
                identity.expires_at is not None and identity.expires_at.timestamp() < time.time()
            )
            return frozenset() if ended else identity.scopes
        return frozenset()

    def record_use(self, identity: Identity) -> None:
        """Write when a token was last used, at most once a minute and only if that is quick."""
        if identity.kind != TOKEN or not self._is_due(identity.key):
            return
        with (
            suppress(StorageError),
            token_store.update_tokens(self._src.user, _NOTING_WAIT_SECONDS) as tokens,
        ):
            entry = as_dict(tokens.get(identity.key))
            if entry:
                tokens[identity.key] = {**entry, "last_used": isoformat(self._src.now())}

    def _is_due(self, key: str) -> bool:
        entry: Json = token_store.load_tokens(self._src.user).get(key, {})
        used = parse_time(entry.get("last_used"))
        minute = timedelta(seconds=USE_NOTED_SECONDS)
        if used is not None and abs(self._src.now() - used) < minute:
            return False
        now = time.monotonic()
        with self._lock:
            if now - self._noted.get(key, -USE_NOTED_SECONDS) < USE_NOTED_SECONDS:
                return False
            if len(self._noted) >= _MAX_REMEMBERED:
                self._noted.clear()
            self._noted[key] = now
        return True

    def _find_token_holder(self, raw: str) -> Identity | None:
        if not self._src.settings.enterprise_auth:
            return None
        found = token_store.find_token(self._src.user, raw)
        if found is None or not token_store.is_active(found[1], self._src.now()):
            return None
        key, entry = found
        name = first_text(entry.get("name"), default=key)
        expires = parse_time(entry.get("expires_at"))
        return Identity(TOKEN, key, name, scopes.expand_scopes(scopes.read_scopes(entry)), expires)
