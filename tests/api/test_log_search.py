"""The search in the whole log: what it finds, where it goes on, and what it does not reveal."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from loki_web.services.logs import search
from tests.support.places import Place

KEY = "sk-ant-api03-" + "a1B2c3D4e5F6g7H8i9J0" * 4
CURSOR = "X-Loki-Cursor"
Entries = list[dict[str, Any]]
STORY = [
    "2026-02-20 08:00:00 INFO Session begins",
    "2026-02-20 08:00:01 ERROR Build failed",
    "    at main.py:7",
    "2026-02-20 08:10:00 WARN Slow build",
    "",
    "2026-02-20 09:00:00 CRITICAL Out of budget",
    "2026-02-20 09:00:00 DEBUG build again",
]


@pytest.fixture
def client(place: Place) -> FlaskClient:
    return place.client()


def messages(entries: Entries) -> list[str]:
    return [entry["message"] for entry in entries]


def get(client: FlaskClient, query: str) -> tuple[Entries, str | None]:
    response = client.get(f"/api/logs?{query}")
    assert response.status_code == 200, response.get_json()
    return response.get_json(), response.headers.get(CURSOR)


def get_all(client: FlaskClient, query: str, name: str, start: str = "") -> tuple[Entries, int]:
    """Follow the cursors; return all entries, oldest first, and the number of requests."""
    entries, cursor = get(client, f"{query}{start}")
    for requests in range(1, 500):
        if cursor is None:
            return entries, requests
        more, cursor = get(client, f"{query}&{name}={cursor}")
        entries = more + entries if name == "before" else entries + more
    raise AssertionError("It does not end")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("query=build", ["Build failed", "Slow build", "build again"]),
        ("query=BUILD&lines=2", ["Slow build", "build again"]),
        ("query=nothing", []),
        ("query=main.py", ["    at main.py:7"]),
        ("level=error,critical", ["Build failed", "Out of budget"]),
        ("level=warning&query=build", ["Slow build"]),
        ("since=2026-02-20T08:10:00Z", ["Slow build", "Out of budget", "build again"]),
        ("until=2026-02-20T08:00:00", ["Session begins"]),
        ("since=2026-02-20T10:05:00%2B02:00&until=2026-02-20T08:59:59Z", ["Slow build"]),
        ("since=2027-01-01", []),
        ("since=2026-02-20T09:00:00Z&until=2026-02-20T08:00:00Z", []),
        ("after=start&lines=1", ["Session begins"]),
    ],
)
def test_a_search_returns_what_matches(
    place: Place, client: FlaskClient, query: str, expected: list[str]
) -> None:
    place.write("logs/session.log", "\n".join(STORY) + "\n")
    assert messages(get(client, query)[0]) == expected


@pytest.mark.parametrize(
    "query",
    [
        *("query=", f"query={'x' * 201}", "level=", "level=fatal", "level=error,", "level=ERROR"),
        *("since=", "since=yesterday", "until=2026-13-01", "before=", "before=start", "before=5"),
        *("before=1.-1", "before=1.2.3", "after=-1", "after=1.1e3", "query=a&query=b"),
        *("query=a&lines=0", f"after=1.{'9' * 30}"),
    ],
)
def test_bad_values_are_refused(place: Place, client: FlaskClient, query: str) -> None:
    place.write("logs/session.log", "\n".join(STORY) + "\n")
    response = client.get(f"/api/logs?{query}")
    assert response.status_code == 400
    assert isinstance(response.get_json()["detail"], str)


def test_cursors_lead_from_line_to_line(place: Place, client: FlaskClient) -> None:
    place.write("logs/session.log", "\n".join(STORY) + "\n")
    everything, cursor = get(client, "after=start")
    assert cursor is None
    assert len(everything) == 6
    for index, entry in enumerate(everything):
        before, _ = get(client, f"before={entry['cursor']}")
        after, _ = get(client, f"after={entry['cursor']}")
        assert before == everything[:index]
        assert after == everything[index + 1 :]
    between, _ = get(client, f"after={everything[1]['cursor']}&before={everything[4]['cursor']}")
    assert between == everything[2:4]


@pytest.mark.slow
def test_each_direction_finds_every_line_of_a_long_log_once(
    place: Place, client: FlaskClient
) -> None:
    """Whatever falls on the bounds of blocks and requests: lines of all lengths, without times."""
    text = "".join(
        f"{f'2026-02-20 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02} INFO ' if n % 3 else ''}"
        f"line {n} {'x' * (n * 7 % 400)}\n"
        for n in range(7_000)
    )
    assert len(text) > 1.2 * search.MAX_BYTES
    place.write("logs/session.log", text)
    expected = [f"line {n}" for n in range(7_000)]

    def heads(entries: Entries) -> list[str]:
        return [" ".join(message.split()[:2]) for message in messages(entries)]

    backwards, requests = get_all(client, "level=info&lines=10000", "before")
    assert heads(backwards) == expected
    assert requests > 1
    forwards, _ = get_all(client, "level=info&lines=999", "after", "&after=start")
    assert heads(forwards) == expected
    rare, _ = get_all(client, "query=line 42 ", "before")
    assert heads(rare) == ["line 42"]
    hour, requests = get_all(
        client, "since=2026-02-20T01:00:01&until=2026-02-20T01:00:02&lines=5", "before"
    )
    assert heads(hour) == ["line 3601", "line 3602", "line 3603"]
    assert requests == 1


def test_a_search_does_not_reveal_what_is_redacted(place: Place, client: FlaskClient) -> None:
    block = ["-----BEGIN PRIVATE KEY-----", *["MIIEvQIBADANBgkqhkiG9w0BAQ" * 2] * 3]
    place.write(
        "logs/session.log",
        "\n".join(
            [
                f"[INFO] using {KEY} now",
                *block,
                "-----END PRIVATE KEY-----",
                "export DB_PASSWORD=hunter2hunter2",
                "[INFO] " + "x" * 5000 + "beyond",
            ]
        ),
    )
    for needle in (KEY, KEY[:16], "MIIEvQ", "hunter2", "beyond"):
        assert get(client, f"query={needle}") == ([], None)
    assert messages(get(client, "query=[redacted] now")[0]) == ["using [redacted] now"]
    cursors = [entry["cursor"] for entry in get(client, "after=start")[0]]
    for cursor in cursors:
        shown = messages(get(client, f"after={cursor}")[0])
        assert not any(secret in "".join(shown) for secret in ("MIIEvQ", "hunter2", KEY[:16]))


def test_a_cursor_of_another_log_is_not_found(place: Place, client: FlaskClient) -> None:
    path = place.write("logs/session.log", "[INFO] one\n[INFO] two\n")
    _, cursor = get(client, "level=info&lines=1")
    path.rename(path.with_name("session.old"))
    assert client.get(f"/api/logs?before={cursor}").status_code == 404
    place.write("logs/session.log", "[INFO] three\n")
    assert client.get(f"/api/logs?after={cursor}").status_code == 404
    assert messages(get(client, "after=start")[0]) == ["three"]


def test_a_line_that_is_appended_is_found_by_the_same_search(
    place: Place, client: FlaskClient
) -> None:
    path = place.write("logs/session.log", "[ERROR] one\n")
    (first,), _ = get(client, "level=error")
    with path.open("a") as stream:
        stream.write("[ERROR] two\n")
    assert messages(get(client, "level=error")[0]) == ["one", "two"]
    assert messages(get(client, f"after={first['cursor']}")[0]) == ["two"]


def test_a_search_that_has_ended_is_not_said_to_be_unchanged(
    place: Place, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A client keeps the headers that a 304 does not repeat, so it would go on with the old cursor.
    monkeypatch.setattr(search, "MAX_BYTES", 30)
    place.write("logs/session.log", "[INFO] one\n" * 9)
    before = client.get("/api/logs?query=x")
    place.write("logs/session.log", "[INFO] one\n")
    after = client.get("/api/logs?query=x", headers={"If-None-Match": before.headers["ETag"]})
    assert (before.get_json(), CURSOR in before.headers) == ([], True)
    assert (after.status_code, after.get_json(), CURSOR in after.headers) == (200, [], False)


def test_a_search_without_a_log_is_empty(client: FlaskClient) -> None:
    assert get(client, "query=x") == ([], None)
    assert get(client, "after=start") == ([], None)


def test_lines_alone_have_no_cursor(place: Place, client: FlaskClient) -> None:
    place.write("logs/session.log", "\n".join(STORY) + "\n")
    entries, cursor = get(client, "lines=2")
    assert cursor is None
    assert [set(entry) for entry in entries] == [{"message", "level", "timestamp"}] * 2


@pytest.mark.parametrize(
    ("line", "colors"),
    [
        ("\x1b[31mred\x1b[0m plain", [(0, 3, "red")]),
        ("\x1b[0;32m[INFO]\x1b[0m plain", []),
        ("[INFO] a \x1b[1;33mb", [(2, 3, "yellow")]),
        ("\x1b[34m[INFO] both\x1b[39m, no", [(0, 4, "blue")]),
        ("\x1b[91mx\x1b[35my\x1b[my", [(0, 1, "red"), (1, 2, "magenta")]),
        ("\x1b[38;5;31mx\x1b[48;2;31;1;1my\x1b[999mz\x1b[;mz", []),
        ("\U0001f600 \x1b[36mx\x07y", [(2, 4, "cyan")]),
        ("50%\r\x1b[31m100%", []),
        (f"\x1b[31mtoken={KEY}\x1b[0m", []),
        ("\x1b[31m" + json.dumps({"message": "red"}), []),
    ],
)
def test_colors_of_the_terminal_are_named(
    place: Place, client: FlaskClient, line: str, colors: list[tuple[int, int, str]]
) -> None:
    place.write("logs/session.log", f"{line}\n")
    (entry,), _ = get(client, "after=start")
    assert [tuple(each.values()) for each in entry.get("colors", [])] == colors
    assert "\x1b" not in entry["message"]
    assert "colors" not in client.get("/api/logs").get_json()[0]
