"""Sign-ins of browsers: `~/.loki/dashboard/sign-ins.json` (docs/files.md, section 15.2).

A browser gets two secrets for its token: one in a cookie, and one that its pages keep and send with
each change (CSRF). Only their hashes are stored, so all workers know a sign-in, also after a
restart, and it ends when its entry is removed.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

from loki_web.auth.identity import PERSON, Identity
from loki_web.errors import Conflict, StorageError
from loki_web.services.context import Sources, WritableSources
from loki_web.store.coerce import Json, as_dict
from loki_web.store.times import isoformat, parse_time, sort_key

FILE = "dashboard/sign-ins.json"
MAX_OF_HOLDER = 20  # with one more, the holder's oldest sign-in ends
MAX_OF_ALL = 1000
_BYTES = 32


@dataclass(frozen=True)
class SignIn:
    """A new sign-in, with the secrets that are not stored.

    :param cookie: the secret in the cookie.
    :param csrf_token: the secret that the pages send.
    """

    cookie: str
    csrf_token: str
    expires_at: datetime


class SignedInDict(TypedDict):
    """The holder of a token or session cookie, and until when (ISO 8601)."""

    name: str
    scopes: list[str]
    expires_at: str | None


class SignInDict(SignedInDict):
    """A new sign-in. `csrf_token` is not stored."""

    csrf_token: str


def begin(sources: WritableSources, holder: Identity, replaced: str | None = None) -> SignIn:
    """Sign a browser in as the holder of a token, until the token or the sign-in expires.

    :param replaced: the cookie that the browser had before; its sign-in ends.
    :raises Conflict: while authentication is off.
    :raises StorageError: when the sign-in cannot be stored.
    """
    if not holder.key:
        raise Conflict("Authentication is off, so nobody has to sign in")
    now = sources.now()
    ends = now + timedelta(hours=sources.settings.sign_in_hours)
    expires = min(ends, holder.expires_at) if holder.expires_at else ends
    created = SignIn(secrets.token_urlsafe(_BYTES), secrets.token_urlsafe(_BYTES), expires)
    entry: Json = {
        "kind": holder.kind,
        "key": holder.key,
        "csrf": hash_secret(created.csrf_token),
        "created_at": isoformat(now),
        "expires_at": isoformat(expires),
    }
    if holder.kind == PERSON:  # the claims of a token that is not stored
        claims = {"name": holder.name, "scopes": sorted(holder.scopes)}
        entry |= {**claims, "client": get_client(sources)}
    with _update(sources) as entries:
        entries.pop(hash_secret(replaced or ""), None)
        _drop_surplus(entries, entry, now)
        entries[hash_secret(created.cookie)] = entry
    return created


def end(sources: WritableSources, key: str) -> None:
    """End a sign-in.

    :param key: of its entry; without one there is nothing to end.
    :raises StorageError: when that cannot be stored.
    """
    if not key:
        return
    with _update(sources) as entries:
        entries.pop(key, None)


def find_entry(sources: Sources, key: str) -> Json | None:
    """Return the entry of a sign-in that has neither ended nor expired, else None.

    :param key: the hash of its cookie.
    """
    entry = as_dict(as_dict(sources.user.strict_document(FILE)).get("sign_ins")).get(key)
    return entry if _is_current(entry, sources.now()) else None


def format_holder(holder: Identity, expires: datetime | None) -> SignedInDict:
    """Return who has signed in, for clients."""
    return {
        "name": holder.name,
        "scopes": sorted(holder.scopes),
        "expires_at": isoformat(expires) if expires else None,
    }


def get_client(sources: Sources) -> str:
    """Return the issuer and client for which people sign in."""
    return f"{sources.settings.oidc_issuer} {sources.settings.oidc_client_id}"


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret as hex; 256 random bits need no salt."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def _update(sources: WritableSources) -> Iterator[dict[str, Any]]:
    """Lock the file and yield its entries; changes are written when the block succeeds."""
    user = sources.user
    user.make_private("dashboard")
    with user.locked(FILE):
        document = user.document_for_update(FILE)
        content = document.get("sign_ins", {}) if isinstance(document, dict) else document or {}
        if not isinstance(content, dict):
            raise StorageError("The file of sign-ins is malformed; it was not changed")
        entries = dict(content)
        yield entries
        user.write_json(FILE, {"version": "1.0", "sign_ins": entries}, mode=0o600)


def _drop_surplus(entries: dict[str, Any], added: Json, now: datetime) -> None:
    """Remove entries that have expired, and the oldest ones above the limits."""
    for key in [key for key, entry in entries.items() if not _is_current(entry, now)]:
        del entries[key]
    by_age = sorted(entries, key=lambda key: sort_key(entries[key].get("created_at")))
    of_holder = [key for key in by_age if _holder_of(entries[key]) == _holder_of(added)]
    surplus = of_holder[: max(0, len(of_holder) + 1 - MAX_OF_HOLDER)]
    for key in surplus or by_age[: max(0, len(by_age) + 1 - MAX_OF_ALL)]:
        del entries[key]


def _holder_of(entry: Json) -> tuple[Any, Any]:
    return entry.get("kind"), entry.get("key")


def _is_current(entry: Any, now: datetime) -> bool:
    expires = parse_time(entry.get("expires_at")) if isinstance(entry, dict) else None
    return expires is not None and now < expires
