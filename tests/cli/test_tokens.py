"""`loki-web token`: the accounts of a server, running or not, without any server."""

import json
from pathlib import Path
from typing import Any

import pytest

from loki_web.audit.verify import verify_log
from tests.cli.commands import is_one_complaint, run
from tests.support import accounts
from tests.support.places import Place
from tests.support.recordings import FIXTURE
from tests.support.registered import add_project
from tests.support.servers import serving

AUTH = {"LOKI_ENTERPRISE_AUTH": "true"}
HEADS = ["ID", "NAME", "SCOPES", "STATE", "CREATED", "EXPIRES", "LAST", "USED"]


def store(place: Place) -> Path:
    return place.home / ".loki/dashboard/tokens.json"


def stored(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store(place).read_text())["tokens"]
    return found


def created(place: Place, *arguments: str) -> str:
    """The token that a new one's standard output is, taken as a shell's $(…) takes it."""
    done = run(place, "token", "create", *arguments)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    return done.stdout.strip()


def listed(place: Place, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        run(place, "token", "list", "--json", *arguments).stdout
    )
    return found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_token_is_limited_to_projects(place: Place) -> None:
    other = add_project(place, "other")
    folders = sorted([str(place.loki.parent), str(other.loki.parent)])
    created(place, "some", "--project", "id-other", "--project", str(place.loki.parent))
    assert [each["projects"] for each in listed(place)] == [folders]
    refused = run(place, "token", "create", "more", "--project", "unknown")
    assert is_one_complaint(refused)
    assert len(listed(place)) == 1


def test_a_new_token_works_at_once_and_a_revoked_one_at_no_worker(place: Place) -> None:
    with serving(place, workers=3, LOKI_ENTERPRISE_AUTH="true") as server:

        def answers(token: str) -> set[int]:
            """What many connections get: all workers are met."""
            return {server.get("/api/status", headers=bearer(token)).status_code for _ in range(30)}

        assert answers("loki_nobody") == {401}
        token = created(place, "ops", "--role", "operator")
        assert answers(token) == {200}
        assert server.post("/api/control/pause", headers=bearer(token)).status_code == 200
        assert run(place, "token", "revoke", "ops").returncode == 0
        assert answers(token) == {401}


@pytest.mark.parametrize(
    ("arguments", "scopes"),
    [
        ([], ["read"]),
        (["--scope", "audit"], ["audit"]),
        (["--scope", "read", "--scope", "control"], ["read", "control"]),
        (["--role", "admin"], ["*"]),
        (["--role", "auditor"], ["read", "audit"]),
    ],
)
def test_rights_are_as_asked_for_and_the_least_by_default(
    place: Place, arguments: list[str], scopes: list[str]
) -> None:
    created(place, "x", *arguments)
    assert [entry["scopes"] for entry in listed(place)] == [scopes]


def test_a_token_is_printed_once_and_its_store_is_private(place: Place) -> None:
    store(place).parent.mkdir(parents=True, mode=0o755)
    done = run(place, "token", "create", "x", "--expires-days", "7")
    token = done.stdout.strip()
    assert token not in done.stderr
    assert str(store(place)) in done.stderr
    assert store(place).stat().st_mode & 0o777 == 0o600
    assert store(place).parent.stat().st_mode & 0o777 == 0o700
    secrets = [token, *(entry[key] for entry in stored(place).values() for key in ("hash", "salt"))]
    for arguments in (["list"], ["list", "--all"], ["list", "--all", "--json"]):
        said = run(place, "token", *arguments)
        assert not [secret for secret in secrets if secret in said.stdout + said.stderr]


def test_the_list_is_a_table(place: Place) -> None:
    accounts.everybody(place)
    head, *rows = run(place, "token", "list", "--all").stdout.splitlines()
    assert head.split() == HEADS
    states = {row.split()[1]: row[head.index("STATE") :].split()[0] for row in rows}
    assert states["viewer"] == "active"
    assert states["expired"] == "expired"
    assert states["revoked"] == "revoked"
    shown = run(place, "token", "list").stdout
    assert "expired" in shown
    assert "revoked" not in shown


def test_names_of_others_have_no_power_over_the_terminal(place: Place) -> None:
    accounts.store(place, accounts.entry("a\x1b[31m\nb\u202e", "read"))
    done = run(place, "token", "list")
    assert len(done.stdout.splitlines()) == 2
    assert r"a\x1b[31m\nb\u202e" in done.stdout


def test_deleting_asks_first(place: Place) -> None:
    accounts.everybody(place)
    for answer in ("", "n\n"):
        done = run(place, "token", "delete", "viewer", answers=answer)
        assert done.returncode == 1
        assert "nothing was deleted" in done.stderr
        assert "viewer" in str(stored(place))
    assert run(place, "token", "delete", "viewer", answers="y\n").returncode == 0
    assert run(place, "token", "delete", "admin", "--yes").returncode == 0
    assert not {"viewer", "admin"} & {entry["name"] for entry in stored(place).values()}


@pytest.mark.parametrize(
    ("grace", "old_opens"), [([], True), (["--grace", "90m"], True), (["--grace", "0"], False)]
)
def test_rotating_hands_out_a_successor(place: Place, grace: list[str], old_opens: bool) -> None:
    old = created(place, "x", "--scope", "control")
    done = run(place, "token", "rotate", "x", *grace)
    client = place.client(**AUTH)

    def opens(token: str) -> bool:
        return client.get("/api/status", headers=bearer(token)).status_code == 200

    assert opens(done.stdout.strip())
    assert opens(old) is old_opens
    assert [entry["scopes"] for entry in listed(place)] == [["control"], ["control"]]


def test_each_change_is_in_the_audit_log(place: Place) -> None:
    created(place, "x", "--role", "viewer")
    run(place, "token", "rotate", "x", "--grace", "1h")
    run(place, "token", "revoke", "x")
    run(place, "token", "delete", "x", "--yes")
    run(place, "token", "delete", "nobody", "--yes")
    entries = json.loads(run(place, "audit", "query", "--json").stdout)
    assert [entry["action"] for entry in entries] == ["delete", "revoke", "rotate", "create"]
    for entry in entries:
        assert (entry["resource_type"], entry["user_id"]) == ("token", "cli")
        assert entry["details"]["source"] == "cli"
    assert entries[-1]["details"]["name"] == "x"
    assert verify_log(place.sources()).entries == 4


def test_the_store_of_the_real_programs_stays_valid(session: Place) -> None:
    before = stored(session)
    token = created(session, "new")
    after = stored(session)
    assert {key: after[key] for key in before} == before
    client = session.client(**AUTH)
    manifest = json.loads((FIXTURE / "manifest.json").read_text())
    kept = list(manifest["tokens_for_tests"].values())
    codes = [client.get("/api/status", headers=bearer(raw)).status_code for raw in (*kept, token)]
    assert codes.count(200) == len(kept)  # all but the one that is revoked, and the new one


@pytest.mark.parametrize(
    "settings",
    [
        {"LOKI_DASHBOARD_PORT": "no"},
        {"LOKI_DASHBOARD_HOST": "0.0.0.0"},
        {"LOKI_DIR": __file__},
        {"LOKI_TLS_CERT": "/no/such.pem"},
        {"LOKI_OIDC_SKIP_SIGNATURE_VERIFY": "true"},
    ],
)
def test_settings_that_are_not_its_business_stop_no_token(
    place: Place, settings: dict[str, str]
) -> None:
    assert run(place, "token", "create", "x", settings=settings).returncode == 0
    assert run(place, "token", "revoke", "x", settings=settings).returncode == 0


def test_tokens_need_no_session(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "nowhere" / ".loki")
    created(place, "first", "--role", "admin")
    assert len(listed(place)) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["create"],
        ["create", ""],
        ["create", "a\x1bb"],
        ["create", "viewer"],
        ["create", "x", "--scope", "bogus"],
        ["create", "x", "--role", "root"],
        ["create", "x", "--role", "viewer", "--scope", "read"],
        ["create", "x", "--expires-days", "0"],
        ["create", "x", "--expires-days", "soon"],
        ["revoke", "nobody"],
        ["delete", "nobody", "--yes"],
        ["delete", "nobody"],
        ["delete", ""],
        ["rotate", "nobody"],
        ["rotate", "revoked"],
        ["rotate", "viewer", "--grace", "forever"],
        ["rotate", "viewer", "--grace", "31d"],
        ["bogus"],
    ],
)
def test_invalid_arguments_are_one_line_and_change_nothing(
    place: Place, arguments: list[str]
) -> None:
    accounts.everybody(place)
    before = store(place).read_bytes()
    assert is_one_complaint(run(place, "token", *arguments))
    assert store(place).read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["create", "x"], *([each, "viewer"] for each in ("revoke", "delete", "rotate"))],
)
@pytest.mark.parametrize("content", ['{"tokens": {', "[]", '{"tokens": []}', ""])
def test_a_store_in_disorder_is_told_and_left_as_it_is(
    place: Place, arguments: list[str], content: str
) -> None:
    place.write_home("dashboard/tokens.json", content)
    done = run(place, "token", *arguments)
    assert is_one_complaint(done)
    assert f"{store(place)} is damaged" in done.stderr
    assert store(place).read_text() == content
