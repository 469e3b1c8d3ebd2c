"""Creation, listing, rotation, revocation and deletion of access tokens."""

import secrets
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NotRequired, TypedDict

from loki_web.auth.scopes import EVERYTHING, check_grant, choose_scopes, expand_scopes, read_scopes
from loki_web.auth.token_store import (
    PREFIX,
    hash_token,
    is_active,
    is_revoked,
    load_tokens,
    read_limit,
    update_tokens,
)
from loki_web.errors import BadRequest, NotFound
from loki_web.services.context import Sources, WritableSources
from loki_web.services.fleet import selection
from loki_web.services.machines.names import is_elsewhere
from loki_web.services.machines.roster import get_roster
from loki_web.services.registry.project import has_loki_dir
from loki_web.store import scan
from loki_web.store.coerce import Json, first_text
from loki_web.store.times import isoformat, parse_time, tidy_time
from loki_web.text import is_clean, is_name

MAX_NAME_LENGTH = 255
MAX_EXPIRY_DAYS = 3650
GRACE_SECONDS = 24 * 60 * 60
_ALL_SCOPES = expand_scopes([EVERYTHING])


class TokenDict(TypedDict):
    """A token without its hash and salt. Times are in ISO 8601."""

    id: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    last_used: str | None
    revoked: bool
    role: NotRequired[str]
    projects: NotRequired[list[str]]
    revoked_at: NotRequired[str]


class CreatedTokenDict(TokenDict):
    """A new token. `token` is the raw one, which is not stored."""

    token: str


class RotatedTokenDict(CreatedTokenDict):
    """A new token, and the id of the one that it replaces."""

    replaces: str


def create(
    sources: WritableSources,
    name: str,
    *,
    scopes: Iterable[str] | None = None,
    role: str | None = None,
    expires_days: int | None = None,
    projects: Iterable[str] | None = None,
    granted_by: frozenset[str] = _ALL_SCOPES,
) -> CreatedTokenDict:
    """Create a token and return it; the raw token is returned only here, under `token`.

    :param scopes: the scopes; only `read` if neither scopes nor a role are given.
    :param expires_days: the lifetime, None for a token that does not expire.
    :param projects: ids, aliases or paths of the projects to which it is limited; None for all.
    :param granted_by: the expanded scopes of the caller; the command line has all.
    :raises BadRequest: for an invalid name, scope, role, expiry or project, or a name already in
        use.
    :raises Forbidden: when the token would have scopes that are not in `granted_by`.
    :raises StorageError: when the store cannot be read or written.
    """
    name = _check_name(name)
    granted = choose_scopes(scopes, role)
    check_grant(granted, granted_by)
    now = sources.now()
    raw, entry = _generate(name, granted, role, now, _compute_expiry(now, expires_days))
    if projects is not None:
        entry["projects"] = _find_projects(sources, projects)
    with update_tokens(sources) as tokens:
        if any(_get_name(other) == name for other in tokens.values()):
            raise BadRequest("A token with this name already exists")
        tokens[entry["id"]] = entry
    return {**_format_token(entry["id"], entry), "token": raw}


def list_tokens(sources: Sources, *, include_revoked: bool = False) -> list[TokenDict]:
    """Return the stored tokens, oldest first, without their hashes and salts.

    :param include_revoked: also return revoked tokens; expired ones are always returned.
    """
    tokens = [_format_token(identity, entry) for identity, entry in load_tokens(sources).items()]
    return [token for token in tokens if include_revoked or not token["revoked"]]


def revoke(sources: WritableSources, identifier: str) -> None:
    """Revoke a token; its entry stays in the store.

    :param identifier: the token's id, or else its name.
    :raises BadRequest: when the identifier is malformed.
    :raises NotFound: when there is no such token.
    """
    with update_tokens(sources) as tokens:
        identity = _find_id(tokens, identifier)
        if is_revoked(tokens[identity]):
            return
        revoked = {"revoked": True, "revoked_at": isoformat(sources.now())}
        tokens[identity] = {**tokens[identity], **revoked}
    _tell_machines(sources, identity, sources.now())


def delete(sources: WritableSources, identifier: str) -> None:
    """Delete the entry of a token.

    :param identifier: the token's id, or else its name.
    :raises BadRequest: when the identifier is malformed.
    :raises NotFound: when there is no such token.
    """
    with update_tokens(sources) as tokens:
        identity = _find_id(tokens, identifier)
        del tokens[identity]
    _tell_machines(sources, identity, sources.now())


def check_exists(sources: Sources, identifier: str) -> None:
    """Check that there is a token with an id or name, before its deletion is confirmed.

    :raises: as `delete`.
    """
    _find_id(load_tokens(sources), identifier)


def rotate(
    sources: WritableSources, identifier: str, *, grace_seconds: int = GRACE_SECONDS
) -> RotatedTokenDict:
    """Replace a token by a new one with the same name, scopes, projects and lifetime.

    The old one is renamed and stays valid for the grace period, so that its users can switch.

    :param identifier: the id or the name of the old token.
    :param grace_seconds: how long the old token stays valid; with 0 it expires at once.
    :return: as `create`, and `replaces`: the id of the old token.
    :raises BadRequest: when the token is revoked or expired, or the grace period is not from 0
        seconds to 30 days.
    :raises NotFound: when there is no such token.
    """
    if not 0 <= grace_seconds <= 30 * 24 * 60 * 60:
        raise BadRequest("The grace period must be from 0 seconds to 30 days")
    now = sources.now()
    with update_tokens(sources) as tokens:
        identity = _find_id(tokens, identifier)
        old = tokens[identity]
        if not is_active(old, now):
            raise BadRequest("The token is revoked or expired; create a new one")
        name = first_text(old.get("name"), default=identity)
        role = old.get("role") if isinstance(old.get("role"), str) else None
        raw, entry = _generate(name, read_scopes(old), role, now, _renew_expiry(old, now))
        if "projects" in old:
            entry["projects"] = old["projects"]
        tokens[identity] = _retire(identity, old, name, now + timedelta(seconds=grace_seconds))
        tokens[entry["id"]] = entry
    _tell_machines(sources, identity, now + timedelta(seconds=grace_seconds))
    return {**_format_token(entry["id"], entry), "token": raw, "replaces": identity}


def _tell_machines(sources: Sources, identity: str, since: datetime) -> None:
    """Let the other machines that know a token refuse it from a time on."""
    roster = get_roster(sources)
    if roster is not None:
        roster.revoke({identity: since.timestamp()})


def _generate(
    name: str, scopes: list[str], role: str | None, now: datetime, expires: datetime | None
) -> tuple[str, Json]:
    raw = PREFIX + secrets.token_urlsafe(32)
    salt = secrets.token_hex(16)
    digest = hash_token(raw, salt)
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


def _format_token(identity: str, entry: Json) -> TokenDict:
    token: TokenDict = {
        "id": identity,
        "name": first_text(entry.get("name"), default=identity),
        "scopes": read_scopes(entry),
        "created_at": tidy_time(entry.get("created_at")),
        "expires_at": tidy_time(entry.get("expires_at")) or None,
        "last_used": tidy_time(entry.get("last_used")) or None,
        "revoked": is_revoked(entry),
    }
    limit = read_limit(entry)
    if limit is not None:
        token["projects"] = sorted(limit)
    if isinstance(entry.get("role"), str):
        token["role"] = entry["role"]
    if tidy_time(entry.get("revoked_at")):
        token["revoked_at"] = tidy_time(entry["revoked_at"])
    return token


def _find_projects(sources: Sources, identifiers: Iterable[str]) -> list[str]:
    """Return the directories of projects, links resolved: ids and aliases can change.

    :param identifiers: ids, aliases or paths; paths for projects that are not registered. The name
        of a session of another machine is returned unchanged.
    :raises BadRequest: without any, or for an unknown one.
    """
    real = {each.root: each.real for each in selection.list_known(sources)}

    def find(identifier: str) -> str:
        try:
            return str(real[selection.find_root(sources, identifier)])
        except NotFound:
            if sources.settings.redis_url and is_elsewhere(sources, identifier):
                return identifier
            root = scan.resolve(identifier)
            if root is None or not has_loki_dir(root):
                raise BadRequest("projects: No project has this id, alias or path.") from None
            return str(root)

    roots = {find(identifier) for identifier in identifiers}
    if not roots:
        raise BadRequest("projects: Name at least one.")
    return sorted(roots)


def _check_name(name: str) -> str:
    trimmed = _normal_name(name)
    if not _is_valid_name(trimmed):
        raise BadRequest("name must have 1 to 255 characters and no control characters")
    if not is_name(trimmed):
        raise BadRequest("name must not have invisible characters or letters of mixed alphabets")
    return trimmed


def _normal_name(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _get_name(entry: Any) -> str | None:
    """Return the name of a stored token in the form in which names are compared."""
    name = entry.get("name") if isinstance(entry, dict) else None
    return _normal_name(name) if isinstance(name, str) else None


def _is_valid_name(text: str) -> bool:
    return 1 <= len(text) <= MAX_NAME_LENGTH and is_clean(text)


def _find_id(tokens: dict[str, Any], identifier: str) -> str:
    if not _is_valid_name(identifier):
        raise BadRequest("identifier must be the id or the name of a token")
    usable = {identity: entry for identity, entry in tokens.items() if isinstance(entry, dict)}
    if identifier in usable:
        return identifier
    name = _normal_name(identifier)
    matches = [identity for identity, entry in usable.items() if _get_name(entry) == name]
    if not matches:
        raise NotFound("Token not found")
    return next((each for each in matches if usable[each].get("name") == identifier), matches[0])


def _compute_expiry(now: datetime, days: int | None) -> datetime | None:
    if days is None:
        return None
    if not 1 <= days <= MAX_EXPIRY_DAYS:
        raise BadRequest(f"expires_days must be from 1 to {MAX_EXPIRY_DAYS}")
    return now + timedelta(days=days)


def _renew_expiry(old: Json, now: datetime) -> datetime | None:
    created, expires = parse_time(old.get("created_at")), parse_time(old.get("expires_at"))
    if expires is None:
        return None
    return now + (expires - created) if created and created < expires else expires


def _retire(identity: str, old: Json, name: str, ends: datetime) -> Json:
    expires = parse_time(old.get("expires_at"))
    ends = min(ends, expires) if expires else ends
    own_name = f"{name[: MAX_NAME_LENGTH - 40]} (rotated {identity[:20]})"
    return {**old, "name": own_name, "expires_at": isoformat(ends)}
