"""Tokens for tests, as the CLI and the old server store them."""

import hashlib
from typing import Any

from tests.support.places import Place

CREATED = "2026-02-19T16:20:00.282955+00:00"
PAST, FAR = "2026-02-19T17:00:00+00:00", "2099-01-01T00:00:00+00:00"


def raw(name: str) -> str:
    return f"loki_test-only-{name}-{'0' * 20}"


def bearer(name: str) -> dict[str, str]:
    """The header of who holds the token of this name."""
    return {"Authorization": f"Bearer {raw(name)}"}


def entry(name: str, *scopes: str, salt: str | None = None, **more: Any) -> dict[str, Any]:
    digest = hashlib.sha256(((salt or "") + raw(name)).encode()).hexdigest()
    salted = {"salt": salt} if salt is not None else {}
    return {
        "id": digest[:12],
        "name": name,
        "hash": digest,
        **salted,
        "scopes": list(scopes),
        "created_at": CREATED,
        "expires_at": None,
        "last_used": None,
        "revoked": False,
        **more,
    }


def store(place: Place, *entries: dict[str, Any]) -> None:
    tokens = {held["id"]: held for held in entries}
    path = place.write_home("dashboard/tokens.json", {"version": "1.0", "tokens": tokens})
    path.chmod(0o600)


def everybody(place: Place) -> None:
    """A token for each role, under its name, and ones that open nothing."""
    store(
        place,
        entry("admin", "*"),
        entry("operator", "control", "read", "write", salt="5a" * 16, role="operator"),
        entry("viewer", "read", salt="e8" * 16, role="viewer"),
        entry("auditor", " read", "audit"),
        entry("bogus", "bogus"),
        entry("expired", "*", expires_at=PAST),
        entry("revoked", "*", revoked=True, revoked_at=PAST),
    )
