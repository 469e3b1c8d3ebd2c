"""What a token or a person may do: scopes, what one implies, and the roles that bundle them."""

from collections.abc import Iterable
from typing import Any

from loki_web.errors import BadRequest, Forbidden
from loki_web.store.coerce import texts_in

EVERYTHING, ADMIN, CONTROL, WRITE, READ, AUDIT = "*", "admin", "control", "write", "read", "audit"
SCOPES = (EVERYTHING, ADMIN, CONTROL, WRITE, READ, AUDIT)
ROLES: dict[str, tuple[str, ...]] = {
    "admin": (EVERYTHING,),
    "operator": (CONTROL, READ, WRITE),
    "viewer": (READ,),
    "auditor": (READ, AUDIT),
}
LEAST_ROLE = "viewer"
_IMPLIED = {
    EVERYTHING: frozenset(SCOPES),
    ADMIN: frozenset(SCOPES),
    CONTROL: frozenset({CONTROL, WRITE, READ}),
    WRITE: frozenset({WRITE, READ}),
}


def expand_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """All that these scopes allow; words that are no scope allow nothing."""
    held: set[str] = set()
    for scope in scopes:
        if scope in SCOPES:
            held |= _IMPLIED.get(scope, {scope})
    return frozenset(held)


def read_scopes(entry: dict[str, Any]) -> list[str]:
    """The scopes in a stored token, without blanks; those of its role where it has no list."""
    if isinstance(entry.get("scopes"), list):
        return [scope.strip() for scope in texts_in(entry["scopes"])]
    role = entry.get("role")
    return list(ROLES.get(role, ())) if isinstance(role, str) else []


def choose_scopes(scopes: Iterable[str] | None, role: str | None) -> list[str]:
    """The scopes of a new token: as given, those of the role, or only to read.

    :raises BadRequest: for words that are no scope or role, for none at all, or for both.
    """
    if role is not None:
        if scopes is not None:
            raise BadRequest("Give scopes or a role, not both")
        if role not in ROLES:
            raise BadRequest(f"role must be one of {', '.join(ROLES)}")
        return list(ROLES[role])
    if scopes is None:
        return [READ]
    wanted = list(dict.fromkeys(scopes))
    if not wanted or not all(scope in SCOPES for scope in wanted):
        raise BadRequest(f"scopes must be one or more of {', '.join(SCOPES)}")
    return wanted


def check_grant(wanted: Iterable[str], held: frozenset[str]) -> None:
    """:raises Forbidden: where somebody would give away what is not theirs."""
    if not expand_scopes(wanted) <= held:
        raise Forbidden("Nobody can grant more than they hold")
