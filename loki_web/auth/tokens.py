"""Access tokens: made, listed, rotated, revoked and deleted, beside the CLI that does so too."""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from loki_web.auth import scopes as rights
from loki_web.auth.token_store import PREFIX, changing, entries, hash_of, is_active, is_revoked
from loki_web.errors import BadRequest, NotFound
from loki_web.services.context import Sources
from loki_web.store.coerce import Json, first_text
from loki_web.store.times import isoformat, parse_time, tidy_time
from loki_web.text import is_clean

MAX_NAME_LENGTH = 255
MAX_EXPIRY_DAYS = 3650
GRACE_SECONDS = 24 * 60 * 60
_ANYTHING = rights.effective([rights.EVERYTHING])


def create(
    src: Sources,
    name: str,
    *,
    scopes: Iterable[str] | None = None,
    role: str | None = None,
    expires_days: int | None = None,
    granted_by: frozenset[str] = _ANYTHING,
) -> Json:
    """Make a token. The answer is the only place where it can be read, under `token`.

    :param scopes: what it may do; only `read` where neither scopes nor a role are given.
    :param granted_by: the effective scopes of who asks; at the command line the machine's owner.
    :raises BadRequest: for a name, scope, role or expiry that cannot be, or a name that is taken.
    :raises Forbidden: when it would allow more than `granted_by`.
    :raises StorageError: when the store cannot be read or written.
    """
    name = _checked_name(name)
    chosen = rights.chosen(scopes, role)
    rights.refuse_more_than_held(chosen, granted_by)
    now = src.now()
    raw, entry = _new(name, chosen, role, now, _expiry(now, expires_days))
    with changing(src.user) as tokens:
        if any(isinstance(held, dict) and held.get("name") == name for held in tokens.values()):
            raise BadRequest("There is a token of this name already")
        tokens[entry["id"]] = entry
    return {**_public(entry["id"], entry), "token": raw}


def tokens(src: Sources, *, include_revoked: bool = False) -> list[Json]:
    """The stored tokens, oldest first, without what could prove to be one."""
    listed = [_public(identity, entry) for identity, entry in entries(src.user).items()]
    return [token for token in listed if include_revoked or not token["revoked"]]


def revoke(src: Sources, identifier: str) -> None:
    """Let a token open nothing from now on; its entry stays.

    :param identifier: its id, or else its name.
    :raises BadRequest: when it can be neither.
    :raises NotFound: when there is no such token.
    """
    with changing(src.user) as tokens:
        identity = _found(tokens, identifier)
        if is_revoked(tokens[identity]):
            return
        revoked = {"revoked": True, "revoked_at": isoformat(src.now())}
        tokens[identity] = {**tokens[identity], **revoked}


def delete(src: Sources, identifier: str) -> None:
    """Remove a token and its entry; raises as `revoke`."""
    with changing(src.user) as tokens:
        del tokens[_found(tokens, identifier)]


def rotate(src: Sources, identifier: str, *, grace_seconds: int = GRACE_SECONDS) -> Json:
    """Replace a token by a new one with its name, rights and length of life.

    The old one lives on for the grace period under a name of its own, so that whoever holds it
    can be given the new one; with 0 it ends at once.

    :return: as `create`, and `replaces`: the id of the old token.
    :raises BadRequest: when the token is revoked or expired, or the grace period is not from 0
        seconds to 30 days.
    :raises NotFound: when there is no such token.
    """
    if not 0 <= grace_seconds <= 30 * 24 * 60 * 60:
        raise BadRequest("The grace period must be from 0 seconds to 30 days")
    now = src.now()
    with changing(src.user) as tokens:
        identity = _found(tokens, identifier)
        old = tokens[identity]
        if not is_active(old, now):
            raise BadRequest("The token is revoked or expired; create a new one")
        name = first_text(old.get("name"), default=identity)
        role = old.get("role") if isinstance(old.get("role"), str) else None
        raw, entry = _new(name, rights.of_entry(old), role, now, _renewed_expiry(old, now))
        tokens[identity] = _outgoing(identity, old, name, now + timedelta(seconds=grace_seconds))
        tokens[entry["id"]] = entry
    return {**_public(entry["id"], entry), "token": raw, "replaces": identity}


def _new(
    name: str, scopes: list[str], role: str | None, now: datetime, expires: datetime | None
) -> tuple[str, Json]:
    raw = PREFIX + secrets.token_urlsafe(32)
    salt = secrets.token_hex(16)
    digest = hash_of(raw, salt)
    entry: Json = {
        "id": digest[:12],
        "name": name,
        "hash": digest,
        "salt": salt,
        "scopes": scopes,
        "created_at": isoformat(now),
        "expires_at": isoformat(expires) if expires else None,
        "last_used": None,
        "revoked": False,
    }
    return raw, {**entry, "role": role} if role else entry


def _public(identity: str, entry: Json) -> Json:
    shown: Json = {
        "id": identity,
        "name": first_text(entry.get("name"), default=identity),
        "scopes": rights.of_entry(entry),
        "created_at": tidy_time(entry.get("created_at")),
        "expires_at": tidy_time(entry.get("expires_at")) or None,
        "last_used": tidy_time(entry.get("last_used")) or None,
        "revoked": is_revoked(entry),
    }
    if isinstance(entry.get("role"), str):
        shown["role"] = entry["role"]
    if tidy_time(entry.get("revoked_at")):
        shown["revoked_at"] = tidy_time(entry["revoked_at"])
    return shown


def _checked_name(name: str) -> str:
    trimmed = name.strip()
    if not _can_be_name(trimmed):
        raise BadRequest("name must be 1 to 255 characters, none of them a control character")
    return trimmed


def _can_be_name(text: str) -> bool:
    return 1 <= len(text) <= MAX_NAME_LENGTH and is_clean(text)


def _found(tokens: dict[str, Any], identifier: str) -> str:
    if not _can_be_name(identifier):
        raise BadRequest("identifier must be the id or the name of a token")
    usable = {identity: entry for identity, entry in tokens.items() if isinstance(entry, dict)}
    if identifier in usable:
        return identifier
    named = [identity for identity, entry in usable.items() if entry.get("name") == identifier]
    if not named:
        raise NotFound("Token not found")
    return named[0]


def _expiry(now: datetime, days: int | None) -> datetime | None:
    if days is None:
        return None
    if not 1 <= days <= MAX_EXPIRY_DAYS:
        raise BadRequest(f"expires_days must be from 1 to {MAX_EXPIRY_DAYS}")
    return now + timedelta(days=days)


def _renewed_expiry(old: Json, now: datetime) -> datetime | None:
    created, expires = parse_time(old.get("created_at")), parse_time(old.get("expires_at"))
    if expires is None:
        return None
    return now + (expires - created) if created and created < expires else expires


def _outgoing(identity: str, old: Json, name: str, ends: datetime) -> Json:
    expires = parse_time(old.get("expires_at"))
    ends = min(ends, expires) if expires else ends
    own_name = f"{name[: MAX_NAME_LENGTH - 40]} (rotated {identity[:20]})"
    return {**old, "name": own_name, "expires_at": isoformat(ends)}
