"""`~/.loki/dashboard/tokens.json`, which the CLI rewrites at any moment (`spec` 15.2).

Read anew whenever its version changes. A store that cannot be read holds no token, and is never
written over.
"""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from loki_web.errors import StorageError
from loki_web.store.coerce import Json, as_dict
from loki_web.store.folder import Folder
from loki_web.store.times import parse_time

FILE = "dashboard/tokens.json"
PREFIX = "loki_"
MAX_TOKEN_LENGTH = 512
_LOCK_SECONDS = 10.0


def load_tokens(user: Folder) -> dict[str, Json]:
    """The stored tokens by id, shared and not to be changed; what is no object is left out."""
    found = as_dict(as_dict(user.strict_document(FILE)).get("tokens"))
    return {identity: entry for identity, entry in found.items() if isinstance(entry, dict)}


def is_readable(user: Folder) -> bool:
    """False where there is a store that cannot be read or is none."""
    return not user.exists(FILE) or _is_store(user.strict_document(FILE))


def find_token(user: Folder, raw: str) -> tuple[str, Json] | None:
    """The id and entry of a token, whatever state it is in.

    Every entry is looked at, so that the time it takes tells nothing about where it stands.
    """
    if not raw.startswith(PREFIX) or len(raw) > MAX_TOKEN_LENGTH:
        return None
    found = None
    for identity, entry in load_tokens(user).items():
        if _is_match(entry, raw):
            found = identity, entry
    return found


def is_revoked(entry: Json) -> bool:
    """True for anything but an absent, null or false `revoked`."""
    return entry.get("revoked") not in (None, False)


def is_active(entry: Json, now: datetime) -> bool:
    """Neither revoked nor expired; an expiry that tells no time has passed."""
    if is_revoked(entry):
        return False
    if entry.get("expires_at") is None:
        return True
    expires = parse_time(entry["expires_at"])
    return expires is not None and now < expires


def hash_token(raw: str, salt: str) -> str:
    """The salt as text, then the whole token; the CLI's own tokens have an empty salt."""
    return hashlib.sha256((salt + raw).encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def update_tokens(user: Folder, seconds: float = _LOCK_SECONDS) -> Iterator[dict[str, Any]]:
    """The latest tokens by id, to be changed in place; written when the block ends without error.

    :param seconds: how long to wait for others who change them.
    :raises StorageError: when the store cannot be read or written; it is then as it was.
    """
    user.make_private("dashboard")
    with user.locked(FILE, seconds=seconds):
        document = user.document_for_update(FILE)
        if document is None:
            document = {"version": "1.0", "tokens": {}}
        if not _is_store(document):
            raise StorageError("The token store is not in order, so it was left as it is")
        tokens: dict[str, Any] = dict(document.get("tokens", {}))
        yield tokens
        user.write_json(FILE, {**document, "tokens": tokens}, mode=0o600)


def _is_store(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("tokens", {}), dict)


def _is_match(entry: Json, raw: str) -> bool:
    stored, salt = entry.get("hash"), entry.get("salt")
    if not isinstance(stored, str) or not (salt is None or isinstance(salt, str)):
        return False
    made = hash_token(raw, salt or "").encode()
    return hmac.compare_digest(made, stored.encode("utf-8", "surrogatepass"))
