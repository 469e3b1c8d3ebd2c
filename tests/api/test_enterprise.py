"""/api/enterprise: enabled features, tokens and queries of the audit log."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from loki_web.app import create_app
from loki_web.audit.verify import verify_log
from tests.support.accounts import bearer, everybody
from tests.support.places import Place
from tests.support.servers import serving

ON = {"LOKI_ENTERPRISE_AUTH": "true", "LOKI_ENTERPRISE_AUDIT": "true"}
TOKENS, AUDIT = "/api/enterprise/tokens", "/api/enterprise/audit"


@pytest.fixture
def admin(place: Place) -> FlaskClient:
    """Return a client that sends an administrator's token."""
    everybody(place)
    client = place.client(**ON)
    client.environ_base["HTTP_AUTHORIZATION"] = bearer("admin")["Authorization"]
    return client


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (False, False, False, False)),
        ({"LOKI_ENTERPRISE_AUTH": "true"}, (True, False, False, True)),
        ({"LOKI_ENTERPRISE_AUDIT": "1"}, (False, False, True, True)),
        (
            {"LOKI_OIDC_ISSUER": "https://id.example", "LOKI_OIDC_CLIENT_ID": "x"},
            (False, True, False, True),
        ),
        ({"LOKI_OIDC_ISSUER": "https://id.example"}, (False, False, False, False)),
    ],
)
def test_the_status_tells_which_features_are_on(
    place: Place, settings: dict[str, str], expected: tuple[bool, ...]
) -> None:
    answer = place.client(**settings).get("/api/enterprise/status").get_json()
    names = ("auth_enabled", "oidc_enabled", "audit_enabled", "enterprise_mode")
    assert tuple(answer[name] for name in names) == expected


def test_a_token_is_created_shown_once_and_opens(admin: FlaskClient, place: Place) -> None:
    response = admin.post(TOKENS, json={"name": "new", "scopes": ["read"], "expires_days": 30})
    assert response.status_code == 201
    created = response.get_json()
    lifetime = datetime.fromisoformat(created["expires_at"]) - datetime.fromisoformat(
        created["created_at"]
    )
    assert lifetime == timedelta(days=30)
    headers = {"Authorization": f"Bearer {created['token']}"}
    other = place.client(**ON)
    assert other.get("/api/status", headers=headers).status_code == 200
    assert other.post(TOKENS, json={"name": "more"}, headers=headers).status_code == 403
    assert created["token"] not in admin.get(TOKENS).get_data(as_text=True)


@pytest.mark.parametrize(
    "body",
    [
        *({"scopes": "admin"}, {"scopes": "*"}, {"scopes": {"a": 1}}, {"scopes": 5}),
        *({"scopes": [1]}, {"scopes": []}, {"scopes": ""}, {"scopes": ["bogus"]}, {"scopes": [[]]}),
        *({"role": "root"}, {"role": 1}, {"expires_days": "5"}, {"expires_days": True}),
        *({"expires_days": -1}, {"expires_days": 10**9}, {"expires_days": 1.5}, {"name": 5}),
        *({"name": ""}, {"name": "\x00"}, {"name": "viewer"}, {"token": "loki_chosen"}),
    ],
)
def test_a_bad_request_makes_no_token(admin: FlaskClient, body: dict[str, Any]) -> None:
    before = admin.get(f"{TOKENS}?include_revoked=true").get_json()
    response = admin.post(TOKENS, json={"name": "new", **body})
    assert response.status_code == 400
    assert admin.get(f"{TOKENS}?include_revoked=true").get_json() == before


def test_the_first_token_cannot_be_created_over_http(place: Place) -> None:
    client = place.client(**ON)
    for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}):
        assert client.post(TOKENS, json={"name": "evil"}, headers=headers).status_code == 401
    assert not (place.home / ".loki/dashboard/tokens.json").exists()


def test_without_authentication_there_are_no_tokens(client: FlaskClient) -> None:
    assert client.post(TOKENS, json={"name": "x"}).status_code == 403
    assert client.get(TOKENS).status_code == 403
    assert client.delete(f"{TOKENS}/x").status_code == 403


def test_a_token_is_revoked_then_deleted(admin: FlaskClient) -> None:
    def names(query: str = "") -> list[str]:
        return [token["name"] for token in admin.get(TOKENS + query).get_json()]

    response = admin.delete(f"{TOKENS}/viewer")
    assert (response.status_code, response.data) == (204, b"")
    assert "viewer" not in names()
    assert "viewer" in names("?include_revoked=true")
    assert admin.delete(f"{TOKENS}/viewer").status_code == 204
    assert admin.delete(f"{TOKENS}/viewer?permanent=true").status_code == 204
    assert "viewer" not in names("?include_revoked=true")
    assert admin.delete(f"{TOKENS}/viewer").status_code == 404


@pytest.mark.parametrize(
    "identifier", ["..", "..%2f..%2fetc", "a%0A", "a%00", "%2e%2e", ".", "a" * 5000, "ä", "%20"]
)
def test_a_malformed_identifier_removes_no_token(admin: FlaskClient, identifier: str) -> None:
    assert admin.delete(f"{TOKENS}/{identifier}").status_code in (400, 404)


def test_a_store_in_disorder_is_a_clean_error(place: Place) -> None:
    everybody(place)
    client = place.client(**ON)
    path = place.home / ".loki/dashboard/tokens.json"
    admin = bearer("admin")
    assert client.get("/api/status", headers=admin).status_code == 200
    content = path.read_text().replace('"tokens"', '"tokens')
    path.write_text(content)
    assert client.post(TOKENS, json={"name": "x"}, headers=admin).status_code == 401
    assert path.read_text() == content


def line(moment: str, action: str = "stop", **more: Any) -> dict[str, Any]:
    return {
        "timestamp": moment,
        "action": action,
        "resource_type": "session",
        "resource_id": None,
        "user_id": None,
        "token_id": None,
        "ip_address": None,
        "user_agent": None,
        "success": True,
        "error": None,
        "details": {},
        **more,
    }


def log(place: Place, day: str, *lines: Any) -> None:
    written = [text if isinstance(text, str) else json.dumps(text) for text in lines]
    place.write_home(f"dashboard/audit/audit-{day}.jsonl", "".join(f"{text}\n" for text in written))


@pytest.fixture
def audit(place: Place) -> FlaskClient:
    """Return a client of a server with audit queries enabled and entries in its log."""
    log(
        place,
        "2026-02-18",
        line("2026-02-18T10:00:00+00:00", "create", resource_type="token", resource_id="a"),
        line("2026-02-18T11:00:00+00:00", "login", success=False, error="no", user_id="maria"),
    )
    log(
        place,
        "2026-02-19",
        "5",
        "[1]",
        '{"timestamp": 5, "action": "x"}',
        '{"timestamp": "never", "action": "x"}',
        '{"action": "x"}',
        line("2026-02-19T10:00:00.5+00:00", "kill", resource_type="agent", resource_id="b"),
        '{"torn":',
        line("2026-02-19T12:00:00+00:00", token_id="t1", details=5, success="yes"),
    )
    log(place, "2026-02-20", line("2026-02-20T10:00:00+00:00", resource_id="café"))
    return place.client(LOKI_ENTERPRISE_AUDIT="true")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        *((name, name) for name in ("ci/deploy", "a/../b", "/lead", "a//b", ".", "%2F", "a?b#c")),
        *(("café", "cafe\u0301"), ("cafe\u0301", "café"), ("bot", " bot "), ("日本", "日本")),
    ],
)
def test_a_token_is_found_by_its_name(admin: FlaskClient, name: str, written: str) -> None:
    assert admin.post(TOKENS, json={"name": name}).status_code == 201
    assert admin.delete(f"{TOKENS}/{quote(written, safe='')}").status_code == 204


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("", ["20", "19", "19", "18", "18"]),
        ("?limit=2", ["20", "19"]),
        ("?limit=2&offset=2", ["19", "18"]),
        ("?offset=5", []),
        ("?start_date=2026-02-19", ["20", "19", "19"]),
        ("?end_date=2026-02-18", ["18", "18"]),
        ("?start_date=2026-02-19&end_date=2026-02-19", ["19", "19"]),
        ("?start_date=2026-02-21", []),
        ("?action=stop", ["20", "19"]),
        ("?action=sto", []),
        ("?resource_type=agent", ["19"]),
        ("?resource_id=caf%C3%A9", ["20"]),
        ("?action=stop&resource_type=session&limit=1&offset=1", ["19"]),
        ("?action=session", []),
    ],
)
def test_a_query_returns_the_matching_entries(
    audit: FlaskClient, query: str, days: list[str]
) -> None:
    answer = audit.get(AUDIT + query).get_json()
    assert [entry["timestamp"][8:10] for entry in answer] == days


@pytest.mark.parametrize(
    "identifier", ["café", "a/b", "a&<b>'", "é", 'a"b\\c', "日本", "a:b-c_d e.f"]
)
def test_a_query_finds_what_other_programs_have_written(place: Place, identifier: str) -> None:
    entry = line("2026-02-20T10:00:00Z", resource_id=identifier)
    ours, raw = json.dumps(entry), json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
    escaped = ours.replace("/", "\\/").replace("<", "\\u003c")
    log(place, "2026-02-20", ours, raw, escaped, line("2026-02-20T11:00:00Z", resource_id="x"))
    client = place.client(LOKI_ENTERPRISE_AUDIT="true")
    query = {"resource_id": identifier, "action": "stop"}
    assert len(client.get(AUDIT, query_string=query).get_json()) == 3


def test_secrets_that_other_programs_have_recorded_are_redacted(place: Place) -> None:
    now, secret = datetime.now(UTC), "ghp_9fK2xQ7bVn4TzL8w"
    texts = ("action", "resource_type", "resource_id", "user_id", "user_agent", "error")
    entry = line(now.isoformat(), **dict.fromkeys(texts, secret), success=False)
    entry["details"] = {"password": "hunter2", "list": [secret]}
    log(place, str(now.date()), entry)
    client = place.client(LOKI_ENTERPRISE_AUDIT="true")
    for path in (AUDIT, f"{AUDIT}/summary"):
        text = client.get(path).get_data(as_text=True)
        assert "[redacted]" in text
        assert not any(word in text for word in (secret, "hunter2"))


def test_entries_have_the_documented_types(audit: FlaskClient) -> None:
    for entry in audit.get(AUDIT).get_json():
        assert isinstance(entry["success"], bool)
        assert isinstance(entry["details"], dict)
        assert set(line("")) <= set(entry)


@pytest.mark.parametrize(
    "query",
    [
        *("limit=-1", "limit=0", "limit=1001", "limit=x", "offset=-1", "start_date=zzzz"),
        *("start_date=2020-13-99", "end_date=2026-02-30", "end_date=../../x", "start_date="),
        *("start_date=2026-2-1", "start_date=2026-02-20T10:00", "limit=1&limit=2"),
    ],
)
def test_a_malformed_query_is_refused(audit: FlaskClient, query: str) -> None:
    assert audit.get(f"{AUDIT}?{query}").status_code == 400


@pytest.mark.parametrize("days", ["-1", "0", "366", "999999999", "x", "1.5", ""])
def test_a_malformed_period_is_refused(audit: FlaskClient, days: str) -> None:
    assert audit.get(f"{AUDIT}/summary?days={days}").status_code == 400


def test_queries_need_the_setting(client: FlaskClient) -> None:
    assert client.get(AUDIT).status_code == 403
    assert client.get(f"{AUDIT}/summary").status_code == 403


def test_a_summary_of_the_recorded_log(session: Place) -> None:
    client = session.client(LOKI_ENTERPRISE_AUDIT="true")
    entries = client.get(f"{AUDIT}?limit=1000").get_json()
    answer = client.get(f"{AUDIT}/summary?days=30").get_json()
    assert answer["total_events"] == len(entries)
    assert answer["failed_events"] == sum(not entry["success"] for entry in entries)
    assert answer["successful_events"] + answer["failed_events"] == answer["total_events"]
    assert sum(answer["by_action"].values()) == sum(answer["by_user"].values()) == len(entries)
    assert set(answer["recent_failures"][0]) == {"timestamp", "action", "resource_type", "error"}


def test_a_summary_looks_back_to_the_minute_and_sees_what_is_new(place: Place) -> None:
    now = datetime.now(UTC)
    for age in (timedelta(days=2, minutes=5), timedelta(days=2, minutes=-5), timedelta(0)):
        moment = now - age
        path = place.home / f".loki/dashboard/audit/audit-{moment.date()}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            stream.write(json.dumps(line(moment.isoformat())) + "\n")
    client = place.client(LOKI_ENTERPRISE_AUDIT="true")

    def total(days: int) -> int:
        return int(client.get(f"{AUDIT}/summary?days={days}").get_json()["total_events"])

    assert (total(1), total(2), total(3)) == (1, 2, 3)
    client.post("/api/control/pause")
    assert (total(1), total(3)) == (2, 4)


def test_a_summary_forgets_each_entry_when_it_leaves_the_period(place: Place) -> None:
    began = datetime(2026, 3, 4, 23, 50, tzinfo=UTC)
    moments = [began + timedelta(minutes=minutes) for minutes in (0, 5, 15)]  # midnight between
    for moment in moments:
        log(
            place,
            str(moment.date()),
            *[line(one.isoformat()) for one in moments if one.date() == moment.date()],
        )
    now = began
    app = create_app(place.settings(LOKI_ENTERPRISE_AUDIT="true"), now=lambda: now)
    totals = []
    for seconds in (-60, 0, 1, 300, 301, 900, 901, 0):
        now = began + timedelta(days=1, seconds=seconds)
        answer = app.test_client().get(f"{AUDIT}/summary?days=1").get_json()
        totals.append(answer["total_events"])
    assert totals == [3, 3, 2, 2, 1, 1, 0, 3]


def test_a_long_log_is_counted_as_a_whole(place: Place) -> None:
    now = datetime.now(UTC).isoformat()
    log(place, now[:10], *[line(now, success=number % 3 > 0) for number in range(12_000)])
    client = place.client(LOKI_ENTERPRISE_AUDIT="true")
    answer = client.get(f"{AUDIT}/summary").get_json()
    assert (answer["total_events"], answer["failed_events"]) == (12_000, 4_000)
    assert len(answer["recent_failures"]) == 10


def test_creating_and_using_at_once_loses_no_token_across_workers(place: Place) -> None:
    everybody(place)
    codes: list[int] = []
    created: list[str] = []
    with serving(place, workers=3, LOKI_THREADS="8", **ON) as server:

        def create(number: int) -> None:
            body = {"name": f"new-{number}"}
            response = server.post(TOKENS, json=body, headers=bearer("admin"))
            created.append(response.json()["token"])

        def use() -> None:
            for _ in range(10):
                codes.append(server.get("/api/status", headers=bearer("viewer")).status_code)

        threads = [threading.Thread(target=create, args=(number,)) for number in range(40)]
        threads += [threading.Thread(target=use) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(created) == 40
        for token in created:
            headers = {"Authorization": f"Bearer {token}"}
            assert server.get("/api/status", headers=headers).status_code == 200
    assert set(codes) == {200}
    result = verify_log(place.sources())
    assert (result.entries, result.ok, result.forks, result.torn) == (40, True, [], [])


def test_the_chain_holds_across_workers(place: Place) -> None:
    with serving(place, workers=3) as server:

        def work() -> None:
            for _ in range(10):
                assert server.post("/api/control/pause").status_code == 200

        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    result = verify_log(place.sources())
    assert (result.entries, result.ok, result.forks, result.torn) == (200, True, [], [])
