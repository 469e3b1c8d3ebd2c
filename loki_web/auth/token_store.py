"""`~/.loki/dashboard/tokens.json`, which the CLI rewrites too (docs/files.md, section 15.2).

The file is read again whenever its version changes. A malformed file counts as empty and is never
overwritten.
"""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from loki_web.errors import StorageError
from loki_web.services.context import Sources, WritableSources
from loki_web.store.coerce import Json, as_dict, texts_in
from loki_web.store.times import parse_time

FILE = "dashboard/tokens.json"
PREFIX = "loki_"
MAX_TOKEN_LENGTH = 512
_LOCK_SECONDS = 5.0


def load_tokens(sources: Sources) -> dict[str, Json]:
    """Return the stored tokens by id; malformed entries are skipped. Shared, do not change."""
    tokens = as_dict(as_dict(sources.user.strict_document(FILE)).get("tokens"))
    return {identity: entry for identity, entry in tokens.items() if isinstance(entry, dict)}


def is_readable(sources: Sources) -> bool:
    """Return whether the token store is absent or well-formed."""
    return not sources.user.exists(FILE) or _is_store(sources.user.strict_document(FILE))


def find_token(sources: Sources, raw: str) -> tuple[str, Json] | None:
    """Return the id and entry of a raw token, also if it is revoked or expired.

    All entries are compared, so that the duration does not show which one matches.
    """
    if not raw.startswith(PREFIX) or len(raw) > MAX_TOKEN_LENGTH:
        return None
    match = None
    for identity, entry in load_tokens(sources).items():
        if _is_match(entry, raw):
            match = identity, entry
    return match


def is_revoked(entry: Json) -> bool:
    """Return whether `revoked` is anything but absent, null or false."""
    return entry.get("revoked") not in (None, False)


def is_active(entry: Json, now: datetime) -> bool:
    """Return whether a token is neither revoked nor expired; a malformed expiry has passed."""
    if is_revoked(entry):
        return False
    if entry.get("expires_at") is None:
        return True
    expires = parse_time(entry["expires_at"])
    return expires is not None and now < expires


def read_limit(entry: Json) -> frozenset[str] | None:
    """Return the projects to which a token is limited, see `Sources.limit`; None for all.

    A malformed value allows no project.
    """
    projects = entry.get("projects")
    return None if projects is None else frozenset(texts_in(projects))


def hash_token(raw: str, salt: str) -> str:
    """Return the SHA-256 of salt and token as hex; the CLI's own tokens have an empty salt."""
    return hashlib.sha256((salt + raw).encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def update_tokens(
    sources: WritableSources, seconds: float = _LOCK_SECONDS
) -> Iterator[dict[str, Any]]:
    """Lock the store and yield its tokens by id; changes are written when the block succeeds.

    :param seconds: how long to wait for the lock.
    :raises StorageError: when the store cannot be read or written; it is then unchanged.
    """
    user = sources.user
    user.make_private("dashboard")
    with user.locked(FILE, seconds=seconds):
        document = user.document_for_update(FILE)
        if document is None:
            document = {"version": "1.0", "tokens": {}}
        if not _is_store(document):
            raise StorageError("The token store is malformed; it was not changed")
        tokens: dict[str, Any] = dict(document.get("tokens", {}))
        yield tokens
        user.write_json(FILE, {**document, "tokens": tokens}, mode=0o600)


def _is_store(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("tokens", {}), dict)


def _is_match(entry: Json, raw: str) -> bool:
    stored, salt = entry.get("hash"), entry.get("salt")
    if not isinstance(stored, str) or not (salt is None or isinstance(salt, str)):
        return False
    computed = hash_token(raw, salt or "").encode()
    return hmac.compare_digest(computed, stored.encode("utf-8", "surrogatepass"))
