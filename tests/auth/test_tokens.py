"""Creation, rotation, revocation and deletion of tokens on the command line."""

import hashlib
import json
from typing import Any

import pytest

from loki_web.auth import tokens
from loki_web.auth.authenticator import Authenticator
from loki_web.auth.scopes import expand_scopes
from loki_web.errors import BadRequest, Forbidden, NotFound, StorageError
from loki_web.services.context import WritableSources
from tests.support.accounts import FAR, PAST, entry, everybody, raw, store
from tests.support.places import Place

ON = {"LOKI_ENTERPRISE_AUTH": "true"}


@pytest.fixture
def src(place: Place) -> WritableSources:
    return place.sources(**ON)


def stored(place: Place) -> dict[str, Any]:
    path = place.home / ".loki/dashboard/tokens.json"
    found: dict[str, Any] = json.loads(path.read_text())["tokens"]
    return found


def opens(src: WritableSources, token: str) -> bool:
    return Authenticator(src).authenticate(token) is not None


def test_a_new_token_is_stored_as_the_old_server_does(place: Place, src: WritableSources) -> None:
    made = tokens.create(src, "  first ")
    assert made["name"] == "first"
    assert made["scopes"] == ["read"]
    assert len(made["token"]) == len("loki_") + 43
    kept = stored(place)[made["id"]]
    text = kept["salt"] + made["token"]
    assert kept["hash"] == hashlib.sha256(text.encode()).hexdigest()
    assert made["id"] == kept["id"] == kept["hash"][:12]
    assert len(kept["salt"]) == 32
    assert made["token"] not in json.dumps(stored(place))
    assert (place.home / ".loki/dashboard/tokens.json").stat().st_mode & 0o777 == 0o600
    assert (place.home / ".loki/dashboard").stat().st_mode & 0o777 == 0o700
    assert opens(src, made["token"])


def test_an_open_store_is_closed_by_the_next_write(place: Place, src: WritableSources) -> None:
    everybody(place)
    path = place.home / ".loki/dashboard/tokens.json"
    path.chmod(0o644)
    path.parent.chmod(0o755)
    tokens.create(src, "new")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("options", "scopes"),
    [
        ({}, ["read"]),
        ({"role": "admin"}, ["*"]),
        ({"role": "operator"}, ["control", "read", "write"]),
        ({"role": "auditor"}, ["read", "audit"]),
        ({"role": "viewer"}, ["read"]),
        ({"scopes": ["write", "read", "write"]}, ["write", "read"]),
    ],
)
def test_a_token_gets_the_scopes_of_its_options(
    src: WritableSources, options: dict[str, Any], scopes: list[str]
) -> None:
    assert tokens.create(src, "x", **options)["scopes"] == scopes


@pytest.mark.parametrize(
    "options",
    [
        *({"scopes": []}, {"scopes": ["bogus"]}, {"role": "boss"}, {"name": ""}, {"name": " "}),
        *({"name": "a\nb"}, {"name": "a\x1b[0m"}, {"name": "x" * 256}, {"name": "viewer"}),
        *({"expires_days": 0}, {"expires_days": 3651}, {"scopes": ["read"], "role": "viewer"}),
    ],
)
def test_invalid_tokens_are_not_created(
    place: Place, src: WritableSources, options: dict[str, Any]
) -> None:
    everybody(place)
    before = stored(place)
    with pytest.raises(BadRequest):
        tokens.create(src, **{"name": "new", **options})
    assert stored(place) == before


@pytest.mark.parametrize(
    ("held", "wanted", "granted"),
    [
        (["read"], ["read"], True),
        (["control"], ["write", "read"], True),
        (["read", "audit"], ["control"], False),
        (["control"], ["audit"], False),
        (["control"], ["admin"], False),
        (["control"], ["*"], False),
        (["admin"], ["*"], True),
    ],
)
def test_scopes_that_the_caller_lacks_cannot_be_granted(
    src: WritableSources, held: list[str], wanted: list[str], granted: bool
) -> None:
    if granted:
        assert tokens.create(src, "x", scopes=wanted, granted_by=expand_scopes(held))
        return
    with pytest.raises(Forbidden):
        tokens.create(src, "x", scopes=wanted, granted_by=expand_scopes(held))
    assert tokens.list_tokens(src) == []


def test_a_list_shows_nothing_that_proves_a_token(place: Place, src: WritableSources) -> None:
    everybody(place)
    store(place, entry("a", "read"), entry("b", "read", revoked=True, revoked_at=PAST))
    (shown,) = tokens.list_tokens(src)
    assert not {"hash", "salt", "token"} & set(shown)
    assert [held["name"] for held in tokens.list_tokens(src, include_revoked=True)] == ["a", "b"]


def test_malformed_entries_are_listed_as_far_as_possible(
    place: Place, src: WritableSources
) -> None:
    odd = {"x": {"name": 5, "scopes": "read", "expires_at": 1e400, "role": []}, "y": 5}
    place.write_home("dashboard/tokens.json", json.dumps({"tokens": odd}))
    (shown,) = tokens.list_tokens(src)
    assert (shown["id"], shown["name"], shown["scopes"]) == ("x", "x", [])
    assert (shown["expires_at"], shown["revoked"], shown["created_at"]) == (None, False, "")


@pytest.mark.parametrize("by", ["id", "name"])
@pytest.mark.parametrize("end", [tokens.revoke, tokens.delete])
def test_a_revoked_or_deleted_token_is_rejected(
    place: Place, src: WritableSources, by: str, end: Any
) -> None:
    everybody(place)
    held = next(one for one in tokens.list_tokens(src) if one["name"] == "viewer")
    assert opens(src, raw("viewer"))
    end(src, held["id"] if by == "id" else held["name"])
    assert not opens(src, raw("viewer"))
    assert opens(src, raw("admin"))
    assert (held["id"] in stored(place)) is (end is tokens.revoke)


@pytest.mark.parametrize("change", [tokens.revoke, tokens.delete, tokens.rotate])
def test_changes_of_unknown_tokens_are_refused(
    place: Place, src: WritableSources, change: Any
) -> None:
    everybody(place)
    with pytest.raises(NotFound):
        change(src, "nothing")
    with pytest.raises(BadRequest):
        change(src, "a\n")


def test_a_rotated_token_stays_valid_for_the_grace_period(
    place: Place, src: WritableSources
) -> None:
    store(place, entry("bot", "read", "write", role="viewer", expires_at=FAR, own="kept"))
    made = tokens.rotate(src, "bot", grace_seconds=3600)
    assert made["scopes"] == ["read", "write"]
    assert made["name"] == "bot"
    assert opens(src, made["token"])
    assert opens(src, raw("bot"))
    old = stored(place)[made["replaces"]]
    assert old["own"] == "kept"
    assert old["name"] != "bot"
    assert old["expires_at"] < FAR
    tokens.rotate(src, "bot", grace_seconds=0)
    assert not opens(src, made["token"])


@pytest.mark.parametrize("name", ["expired", "revoked"])
def test_a_revoked_or_expired_token_is_not_rotated(
    place: Place, src: WritableSources, name: str
) -> None:
    everybody(place)
    with pytest.raises(BadRequest):
        tokens.rotate(src, name)


def test_unknown_keys_in_the_store_are_preserved(place: Place, src: WritableSources) -> None:
    content = {"version": "2", "own": 1, "tokens": {"a": {"name": "x", "own": 2}, "b": 5}}
    path = place.write_home("dashboard/tokens.json", content)
    made = tokens.create(src, "new")
    after = json.loads(path.read_text())
    del after["tokens"][made["id"]]
    assert after == content


@pytest.mark.parametrize("content", ["{", "", "[]", '{"tokens": []}', '{"tokens": null}', "5"])
@pytest.mark.parametrize("change", ["create", "revoke", "delete", "rotate"])
def test_a_malformed_store_is_never_overwritten(
    place: Place, src: WritableSources, content: str, change: str
) -> None:
    path = place.write_home("dashboard/tokens.json", content)
    with pytest.raises(StorageError):
        getattr(tokens, change)(src, "x")
    assert path.read_text() == content
