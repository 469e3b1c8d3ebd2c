"""Scopes, the scopes that they imply, and the roles that bundle them."""

from collections.abc import Iterable
from typing import Any

from loki_web.errors import BadRequest, Forbidden
from loki_web.store.coerce import texts_in

EVERYTHING, ADMIN, CONTROL, WRITE, READ, AUDIT = "*", "admin", "control", "write", "read", "audit"
METRICS = "metrics"  # for Prometheus: opens `/metrics` and nothing else
SCOPES = (EVERYTHING, ADMIN, CONTROL, WRITE, READ, AUDIT, METRICS)
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
    """Return the scopes with all that they imply; unknown scopes are ignored."""
    expanded: set[str] = set()
    for scope in scopes:
        if scope in SCOPES:
            expanded |= _IMPLIED.get(scope, {scope})
    return frozenset(expanded)


def read_scopes(entry: dict[str, Any]) -> list[str]:
    """Return the scopes of a stored token, stripped; those of its role if it has no list."""
    if isinstance(entry.get("scopes"), list):
        return [scope.strip() for scope in texts_in(entry["scopes"])]
    role = entry.get("role")
    return list(ROLES.get(role, ())) if isinstance(role, str) else []


def choose_scopes(scopes: Iterable[str] | None, role: str | None) -> list[str]:
    """Return the scopes of a new token: as given, those of the role, or only `read`.

    :raises BadRequest: for an unknown scope or role, an empty list, or scopes and a role at once.
    """
    if role is not None:
        if scopes is not None:
            raise BadRequest("Give scopes or a role, not both")
        if role not in ROLES:
            raise BadRequest(f"role must be one of {', '.join(ROLES)}")
        return list(ROLES[role])
    if scopes is None:
        return [READ]
    unique = list(dict.fromkeys(scopes))
    if not unique or not all(scope in SCOPES for scope in unique):
        raise BadRequest(f"scopes must be one or more of {', '.join(SCOPES)}")
    return unique


def check_grant(scopes: Iterable[str], granted_by: frozenset[str]) -> None:
    """Check that a caller grants only scopes of their own.

    :param granted_by: the expanded scopes of the caller.
    :raises Forbidden: when `scopes` allow more than that.
    """
    if not expand_scopes(scopes) <= granted_by:
        raise Forbidden("You cannot grant scopes that you do not have")
