"""/api/learning: counts, lists and aggregations of valid and malformed events and signals."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support import places
from tests.support.answers import strict_json
from tests.support.children import backdate
from tests.support.places import Place
from tests.support.work import bytes_read, tracing_memory

Ask = Callable[[str], Any]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LISTS = {
    "preferences": "user_preference",
    "errors": "error_pattern",
    "success": "success_pattern",
    "tools": "tool_efficiency",
}
NUMBERS = {
    "success_pattern": ["duration_seconds"],
    "tool_efficiency": ["tokens_used", "execution_time_ms", "success_rate"],
    "workflow_pattern": ["total_duration_seconds"],
    "context_relevance": ["precision", "recall"],
}
ARRAYS = {
    "user_preference": ["alternatives_rejected"],
    "error_pattern": ["recovery_steps"],
    "success_pattern": ["action_sequence", "preconditions", "postconditions"],
    "tool_efficiency": ["alternative_tools"],
}
GETS = ["metrics", "trends", "signals", "aggregation", *LISTS]


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """An empty session that is looked at at a certain moment."""
    found = places.empty(tmp_path_factory.mktemp("learning"))
    return Place(found.home, found.loki, NOW)


def ago(**time: float) -> str:
    return (NOW - timedelta(**time)).isoformat()


def event(kind: str = "session_start", **more: Any) -> dict[str, Any]:
    return {"timestamp": ago(minutes=5), "type": kind, "data": {}, **more}


def signal(kind: str, **more: Any) -> dict[str, Any]:
    common = {"id": "sig-1", "type": kind, "source": "cli", "action": "act", "context": {}}
    return {**common, "outcome": "success", "timestamp": ago(minutes=3) + "Z", **more}


def write_events(place: Place, *lines: Any) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    place.write("events.jsonl", "\n".join(texts) + "\n")


def write_signals(place: Place, *contents: Any) -> None:
    for number, content in enumerate(contents):
        place.write(f"learning/signals/2026-03-01T11-57-{number:02}_sig-{number}.json", content)


def get(client: FlaskClient, path: str) -> Any:
    response = client.get(f"/api/learning/{path}")
    assert response.status_code == 200, response.get_data(as_text=True)
    return strict_json(response)


def test_the_recorded_session_counts_each_record_once(session: Place, ask: Ask) -> None:
    events = len((session.loki / "events.jsonl").read_text().splitlines())
    files = len(list((session.loki / "learning/signals").glob("*.json")))
    metrics = ask("/api/learning/metrics")
    assert metrics["totalSignals"] == events + files
    assert sum(metrics["signalsByType"].values()) == events + files
    assert sum(metrics["signalsBySource"].values()) == events + files
    assert 0 < metrics["avgConfidence"] <= 1
    trends = ask("/api/learning/trends")
    assert sum(point["count"] for point in trends["dataPoints"]) == events + files
    assert trends["maxValue"] == max(point["count"] for point in trends["dataPoints"])
    assert len(ask("/api/learning/signals?limit=1000")) == events + files


def test_lists_and_counts_agree(ask: Ask) -> None:
    by_type = ask("/api/learning/metrics")["signalsByType"]
    counts = ask("/api/learning/aggregation")["signal_counts"]
    for path, kind in LISTS.items():
        listed = ask(f"/api/learning/{path}?limit=1000")
        assert len(listed) == by_type[kind]
        assert listed == ask(f"/api/learning/signals?limit=1000&signalType={kind}")
    assert sorted(counts.values()) == sorted(by_type[kind] for kind in LISTS.values())


def test_every_time_shown_is_one_that_a_browser_reads(ask: Ask) -> None:
    times = [entry["timestamp"] for entry in ask("/api/learning/signals?limit=1000")]
    assert times
    parsed = [datetime.fromisoformat(time.replace("Z", "+00:00")) for time in times]
    assert all(moment.tzinfo for moment in parsed)
    assert parsed == sorted(parsed, reverse=True)


def test_figures_are_those_of_the_learning_engine(session: Place, ask: Ask) -> None:
    (path,) = (session.loki / "learning/aggregated").glob("*.json")
    engine = json.loads(path.read_text())
    mine = ask("/api/learning/metrics")["aggregation"]
    for name, subject, figures in (
        ("preferences", "preference_key", ["preferred_value", "frequency"]),
        ("error_patterns", "error_type", ["frequency", "resolution_rate"]),
        ("success_patterns", "pattern_name", ["frequency", "avg_duration_seconds"]),
        (
            "tool_efficiencies",
            "tool_name",
            ["usage_count", "avg_execution_time_ms", "success_rate", "efficiency_score"],
        ),
    ):
        theirs = {entry[subject]: entry for entry in engine[name]}
        assert {entry[subject] for entry in mine[name]} == set(theirs)
        for entry in mine[name]:
            expected = {figure: theirs[entry[subject]][figure] for figure in figures}
            assert {figure: entry[figure] for figure in figures} == pytest.approx(expected)


ODD_LINES = [
    *("5", '"x"', "null", "[1]", "{", "", '{"type": 5}', "{}", "NaN", "\x00", "[" * 5000),
    *('{"type": ""}', '{"type": null, "data": null}', '{"timestamp": 7}', '{"data": "text"}'),
]


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("odd", ODD_LINES)
def test_an_odd_line_leaves_the_sound_ones(place: Place, path: str, odd: str) -> None:
    write_events(place, event("first"), odd, event("second"))
    client = place.client()
    get(client, path)
    types = [entry["type"] for entry in get(client, "signals")]
    assert types == ["second", "first"]


ODD_FIELDS: list[dict[str, Any]] = [
    *({"data": None}, {"data": "text"}, {"data": ["x"]}, {"timestamp": 1771578175}),
    *({"timestamp": ["x"]}, {"timestamp": None}, {"timestamp": 1e300}, {"timestamp": True}),
    *({"confidence": "0.9"}, {"confidence": [1]}, {"confidence": 17}, {"confidence": "high"}),
    *({"source": 5}, {"source": {"a": 1}}, {"action": 7}, {"outcome": {}}, {"id": 9}),
    *({"outcome": None, "success": "yes"}, {"preference_value": {"a": [None]}}, {"tool_name": []}),
    *({"tokens_used": "12"}, {"tokens_used": -4}, {"execution_time_ms": "1200.5"}),
    *({"execution_time_ms": "fast"}, {"success_rate": "x"}, {"success_rate": 99}),
    *({"duration_seconds": None}, {"duration_seconds": -1}, {"resolution": ["x"]}),
    *({"recovery_steps": "x"}, {"action_sequence": 5}, {"alternative_tools": {}}),
    *({"pattern_name": "x" * 100_000}, {"error_type": 4}, {"context": "x"}),
]


@pytest.mark.parametrize("kind", [*LISTS.values(), "workflow_pattern", "context_relevance"])
@pytest.mark.parametrize("where", ["event", "event data", "signal"])
def test_odd_fields_never_change_the_shape_of_an_answer(
    place: Place, kind: str, where: str
) -> None:
    records: list[Any] = [signal(kind, **odd) for odd in ODD_FIELDS]
    if where == "signal":
        write_signals(place, *records)
    elif where == "event":
        write_events(place, *records)
    else:
        write_events(place, *(event(kind, data=record) for record in records))
    client = place.client()
    for path in GETS:
        get(client, f"{path}?limit=1000" if path not in ("metrics", "trends") else path)
    for entry in get(client, "signals?limit=1000&timeRange=9999d"):
        assert all(isinstance(entry[name], str) for name in ("id", "type", "source", "action"))
        assert isinstance(entry["outcome"], str)
        assert entry["confidence"] is None or 0 <= entry["confidence"] <= 1
        assert all(type(entry[name]) in (int, float) for name in NUMBERS.get(kind, []))
        assert all(isinstance(entry[name], list) for name in ARRAYS.get(kind, []))
    for aggregation in (
        get(client, "metrics?timeRange=9999d")["aggregation"],
        client.post("/api/learning/aggregate").get_json(),
    ):
        _has_numbers(aggregation)


def _has_numbers(aggregation: Any) -> None:
    figures = {
        "preferences": ["frequency", "confidence"],
        "error_patterns": ["resolution_rate", "frequency", "confidence"],
        "success_patterns": ["avg_duration_seconds", "frequency", "confidence"],
        "tool_efficiencies": [
            *("efficiency_score", "count", "usage_count", "avg_execution_time_ms"),
            *("success_rate", "total_tokens_used", "confidence"),
        ],
    }
    for name, names in figures.items():
        for entry in aggregation[name]:
            assert all(type(entry[figure]) in (int, float) for figure in names)


@pytest.mark.parametrize(
    "odd",
    [
        *([], [signal("tool_efficiency")], 5, "text", None, {}, {"type": 4}, {"timestamp": 5}),
        *("", "{", b"\xff\xfe\x00", b"\0" * 100, "[" * 100_000, '{"type": NaN}'),
    ],
)
def test_an_odd_signal_file_leaves_the_sound_ones(place: Place, odd: Any) -> None:
    write_signals(place, signal("error_pattern"), odd, signal("tool_efficiency"))
    client = place.client()
    for path in GETS:
        get(client, path)
    assert len(get(client, "signals")) == 2
    assert client.post("/api/learning/aggregate").status_code == 200


def test_the_odd_shapes_that_were_met(place: Place) -> None:
    place.variant("events.mixed.jsonl", "events.jsonl")
    place.variant("signal.vscode.json", "learning/signals/2026-02-20T09-10-44.120Z_sig-a.json")
    place.variant("signal.empty.json", "learning/signals/2026-02-20T09-10-45_sig-b.json")
    client = place.client()
    entries = get(client, "signals?timeRange=30d")
    assert [entry["type"] for entry in entries] == [
        *("user_preference", "session_pause", "tool_efficiency"),
        *("rollback", "file_access", "session_start"),
    ]
    assert entries[0]["preference_value"] == "loki.start"
    (tool,) = get(client, "tools")
    assert (tool["tool_name"], tool["execution_time_ms"], tool["outcome"]) == (
        *("Bash", 120),
        "success",
    )
    assert tool["event_type"] == "learning_signal"


def test_newest_of_many_events_and_pages_of_them(place: Place) -> None:
    write_events(place, *(event(data={"n": n}) for n in range(12_000)))
    client = place.client()
    newest = get(client, "signals?limit=3")
    assert [entry["data"]["n"] for entry in newest] == [11_999, 11_998, 11_997]
    page = get(client, "signals?limit=2&offset=5")
    assert [entry["data"]["n"] for entry in page] == [11_994, 11_993]
    assert get(client, "signals?offset=12000") == []
    assert get(client, "metrics")["totalSignals"] == 12_000


@pytest.mark.slow
def test_long_lines_of_two_byte_characters(place: Place) -> None:
    line = json.dumps(event(data={"text": "é" * 600}), ensure_ascii=False)
    place.write("events.jsonl", (line + "\n") * 18_500)
    assert len(get(place.client(), "signals")) == 50


def test_order_is_by_instant_and_unknown_times_are_oldest(place: Place) -> None:
    write_events(
        place,
        event("c", timestamp="2026-03-01T10:00:00Z"),
        event("unknown", timestamp="yesterday"),
        event("a", timestamp="2026-03-01T12:00:00+05:00"),
        event("b", timestamp="2026-03-01T09:59:59.5"),
    )
    write_signals(place, signal("d", timestamp="2026-03-01T10:00:00.000001+00:00Z"))
    client = place.client()
    types = [entry["type"] for entry in get(client, "signals")]
    assert types == ["d", "c", "b", "a", "unknown"]
    assert get(client, "trends")["dataPoints"] == [
        {"label": "2026-03-01T07", "count": 1},
        {"label": "2026-03-01T09", "count": 1},
        {"label": "2026-03-01T10", "count": 2},
    ]


@pytest.mark.parametrize(
    ("time_range", "types"),
    [
        ("3m", {"now", "unknown"}),
        ("1h", {"now", "unknown", "minutes"}),
        ("2h", {"now", "unknown", "minutes", "hour"}),
        ("9999d", {"now", "unknown", "minutes", "hour", "month"}),
        (None, {"now", "unknown", "minutes", "hour"}),
    ],
)
def test_time_ranges_hold_for_both_sources(
    place: Place, time_range: str | None, types: set[str]
) -> None:
    times = {"now": ago(minutes=1), "minutes": ago(minutes=30), "hour": ago(minutes=90)}
    times |= {"month": ago(days=31), "unknown": ""}
    write_events(place, *(event(kind, timestamp=time) for kind, time in times.items()))
    write_signals(place, *(signal(kind, timestamp=time) for kind, time in times.items()))
    client = place.client()
    query = f"?timeRange={time_range}" if time_range else ""
    metrics = get(client, f"metrics{query}")
    assert set(metrics["signalsByType"]) == types
    assert metrics["totalSignals"] == 2 * len(types)
    assert {entry["type"] for entry in get(client, f"signals{query}")} == types
    trends = get(client, f"trends{query}")
    assert sum(p["count"] for p in trends["dataPoints"]) == 2 * len(types - {"unknown"})
    assert trends["period"] == (time_range or "7d")


@pytest.mark.parametrize("path", ["metrics", "trends", "signals"])
@pytest.mark.parametrize(
    "bad",
    [
        *("0h", "-1d", "1w", "99999d", "", "７d", "7", "d", "7D", "1.5h", "7d ", " 7d", "7d\n"),
        *("0000m", "99999999999d", "1h1h", "all", "7d&timeRange=7d"),
    ],
)
def test_a_time_range_that_is_none_is_refused(place: Place, path: str, bad: str) -> None:
    address = f"/api/learning/{path}?timeRange={bad}".replace("\n", "%0A").replace(" ", "%20")
    response = place.client().get(address)
    assert (response.status_code, set(response.get_json())) == (400, {"detail"})


@pytest.mark.parametrize(
    ("query", "count"),
    [
        *(("", 4), ("signalType=error_pattern", 2), ("source=cli", 2), ("source=unknown", 1)),
        *(("signalType=error_pattern&source=cli", 1), ("signalType=bogus", 0), ("source=bogus", 0)),
        *(("signalType=", 0), ("source=vscode", 1), ("signalType=learning_signal", 1)),
    ],
)
def test_filters_filter_in_all_three(place: Place, query: str, count: int) -> None:
    write_events(
        place,
        event("error_pattern", data={"source": "vscode"}),
        event("learning_signal", data={"signal_type": "success"}),
    )
    write_signals(place, signal("error_pattern"), signal("tool_efficiency"))
    client = place.client()
    assert get(client, f"metrics?{query}")["totalSignals"] == count
    assert len(get(client, f"signals?{query}")) == count
    assert sum(p["count"] for p in get(client, f"trends?{query}")["dataPoints"]) == count


@pytest.mark.parametrize("path", ["signals", *LISTS])
@pytest.mark.parametrize(
    ("query", "status"),
    [
        *(("limit=1", 200), ("limit=1000", 200), ("limit=0", 400), ("limit=-1", 400)),
        *(("limit=1001", 400), ("limit=1e3", 400), ("limit=abc", 400), ("limit=", 400)),
        *(("limit=1&limit=2", 400), ("limit=1.0", 400), ("limit=%2B5", 400), ("limit=１", 400)),
    ],
)
def test_a_limit_out_of_range_is_refused(place: Place, path: str, query: str, status: int) -> None:
    write_signals(place, *(signal(kind) for kind in LISTS.values() for _ in range(2)))
    response = place.client().get(f"/api/learning/{path}?{query}")
    assert response.status_code == status
    assert status == 200 or set(response.get_json()) == {"detail"}
    if query == "limit=1":
        assert len(response.get_json()) == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *(("offset=0", 200), ("offset=100000", 200), ("offset=-5", 400)),
        *(("offset=x", 400), ("offset=", 400), ("offset=1&offset=1", 400), ("offset=1e12", 400)),
        ("offset=1000000000000", 400),
    ],
)
def test_an_offset_out_of_range_is_refused(place: Place, query: str, status: int) -> None:
    assert place.client().get(f"/api/learning/signals?{query}").status_code == status


@pytest.mark.parametrize(
    ("word", "path"),
    [
        *(("preference", "preferences"), ("error", "errors"), ("success", "success")),
        *(("tool_usage", "tools"), ("tool_efficiency", "tools")),
    ],
)
@pytest.mark.parametrize("below", [True, False])
def test_learning_events_are_of_the_type_they_stand_for(
    place: Place, word: str, path: str, below: bool
) -> None:
    told = {"data": {"signal_type": word}} if below else {"signal_type": word}
    write_events(place, event("learning_signal", **told), event(LISTS[path]))
    client = place.client()
    assert [entry["type"] for entry in get(client, path)] == [LISTS[path]] * 2
    assert get(client, "metrics")["signalsByType"] == {LISTS[path]: 2}


def test_the_lists_end_after_thirty_days(place: Place) -> None:
    times = [ago(days=29), ago(days=31), "unknown"]
    write_signals(place, *(signal("error_pattern", timestamp=time) for time in times))
    listed = get(place.client(), "errors")
    assert [entry["timestamp"] for entry in listed] == [times[0], ""]


def test_fields_are_found_at_the_top_below_data_and_in_the_action(place: Place) -> None:
    write_events(
        place,
        event("tool_efficiency", data={"tool_name": "Bash", "duration_ms": 500, "success": False}),
        event("tool_efficiency", data={"action": "Read", "success": True}),
        event("tool_efficiency"),
    )
    write_signals(place, signal("tool_efficiency", tool_name="Bash", execution_time_ms=1500))
    tools = get(place.client(), "metrics")["aggregation"]["tool_efficiencies"]
    by_name = {tool["tool_name"]: tool for tool in tools}
    assert set(by_name) == {"Bash", "Read", "unknown"}
    bash = by_name["Bash"]
    assert (bash["count"], bash["success_rate"], bash["avg_execution_time_ms"]) == (2, 0.5, 1000)
    assert bash["efficiency_score"] == pytest.approx(0.7 * 0.5 + 0.3 / 1.1)


def test_records_are_aggregated_by_subject(place: Place) -> None:
    write_signals(
        place,
        *(
            signal("user_preference", preference_key="k", preference_value=value, confidence=sure)
            for value, sure in (({"a": 1}, 0.5), ("x", 1.0), ({"a": 1}, "0.6"))
        ),
        signal("error_pattern", error_type="E", resolution="restart"),
        signal("error_pattern", error_type="E", resolution=" "),
        signal("success_pattern", pattern_name="P", duration_seconds=1.5),
        signal("success_pattern", pattern_name="P", duration_seconds="x"),
        signal("tool_efficiency", tool_name="T", tokens_used=10, outcome="failure"),
        signal("tool_efficiency", tool_name="T", tokens_used=5, outcome="", success_rate=0.5),
    )
    made = place.client().post("/api/learning/aggregate").get_json()
    (preference,), (error,) = made["preferences"], made["error_patterns"]
    (success,), (tool,) = made["success_patterns"], made["tool_efficiencies"]
    assert preference == {
        "preference_key": "k",
        "preferred_value": {"a": 1},
        "frequency": 3,
        "confidence": pytest.approx(0.7),
    }
    assert error == {
        "error_type": "E",
        "resolution_rate": 0.5,
        "frequency": 2,
        "confidence": pytest.approx(0.2),
    }
    assert (success["avg_duration_seconds"], success["frequency"]) == (1.5, 2)
    assert (tool["total_tokens_used"], tool["success_rate"]) == (15, 0.25)


def test_aggregate_writes_what_it_answers_and_keeps_what_it_does_not_know(place: Place) -> None:
    write_signals(place, signal("success_pattern", pattern_name="p"))
    place.write("metrics/aggregation.json", {"note": "by somebody else", "preferences": [1]})
    response = place.client().post("/api/learning/aggregate")
    made = response.get_json()
    assert response.status_code == 200
    assert place.read("metrics/aggregation.json") == {"note": "by somebody else", **made}
    assert datetime.fromisoformat(made["aggregated_at"]) == NOW
    latest = get(place.client(), "aggregation")
    assert {name: latest[name] for name in made} == made


@pytest.mark.parametrize("body", [None, b"", b"{}"])
@pytest.mark.parametrize("before", [None, "{", "[1]", "", "null"])
def test_aggregate_in_an_empty_session(place: Place, body: bytes | None, before: Any) -> None:
    if before is not None:
        place.write("metrics/aggregation.json", before)
    response = place.client().post(
        "/api/learning/aggregate", data=body, content_type="application/json"
    )
    assert response.status_code == 200
    assert response.get_json()["preferences"] == []
    assert place.read("metrics/aggregation.json") == response.get_json()


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a": 1}'])
def test_aggregate_refuses_a_body_that_is_none(place: Place, body: bytes) -> None:
    response = place.client().post(
        "/api/learning/aggregate", data=body, content_type="application/json"
    )
    assert response.status_code == 400
    assert not (place.loki / "metrics").exists()


def test_a_stored_aggregation_is_answered_with_all_figures(place: Place) -> None:
    place.variant("aggregation.populated.json", "metrics/aggregation.json")
    latest = get(place.client(), "aggregation")
    stored = place.read("metrics/aggregation.json")
    for name, entries in stored.items():
        for mine, theirs in zip(latest[name], entries, strict=True):
            assert mine == theirs if name == "aggregated_at" else theirs.items() <= mine.items()
    _has_numbers(latest)
    assert set(latest["signal_counts"].values()) == {0}


def test_lists_that_are_not_stored_come_from_the_engine_and_else_from_the_signals(
    place: Place,
) -> None:
    place.write(
        "metrics/aggregation.json",
        {"preferences": [{"preference_key": "stored", "frequency": 1}], "error_patterns": []},
    )
    folder = "learning/aggregated/"
    place.write(
        folder + "2026-02-01T09-00-00_agg-1.json", {"error_patterns": [{"error_type": "o"}]}
    )
    place.write(
        folder + "2026-02-02T09-00-00_agg-2.json",
        {
            "timestamp": "2026-02-02T09:00:00.5+00:00Z",
            "preferences": [{"preference_key": "engine"}],
            "error_patterns": [{"error_type": "engine", "frequency": 2}],
            "tool_efficiencies": [{"tool_name": "engine", "usage_count": 7}, 5, {"tool_name": 1}],
        },
    )
    place.write(folder + "2026-02-03T09-00-00_agg-3.json", "{")
    write_signals(place, signal("success_pattern", pattern_name="computed"))
    latest = get(place.client(), "aggregation")
    assert [entry["preference_key"] for entry in latest["preferences"]] == ["stored"]
    assert [entry["error_type"] for entry in latest["error_patterns"]] == ["engine"]
    assert [(t["tool_name"], t["count"]) for t in latest["tool_efficiencies"]] == [("engine", 7)]
    assert [entry["pattern_name"] for entry in latest["success_patterns"]] == ["computed"]
    assert latest["aggregated_at"] == "2026-02-02T09:00:00.5+00:00"
    assert latest["signal_counts"]["success_patterns"] == 1


@pytest.mark.parametrize(
    "odd",
    [
        *("{", "[]", "5", '{"preferences": 5}', '{"preferences": [null, "x", {}]}'),
        *('{"tool_efficiencies": [{"tool_name": "t", "count": NaN}]}', "[" * 100_000),
        '{"preferences": [{"preference_key": "\\ud800", "confidence": 1e999, "frequency": "3"}]}',
    ],
)
@pytest.mark.parametrize("file", ["metrics/aggregation.json", "learning/aggregated/a.json"])
def test_a_damaged_aggregation_is_no_fault(place: Place, file: str, odd: str) -> None:
    place.write(file, odd)
    _has_numbers(get(place.client(), "aggregation"))
    _has_numbers(get(place.client(), "metrics")["aggregation"])


def test_stored_lists_stand_in_only_where_filters_cannot_matter(place: Place) -> None:
    place.variant("aggregation.populated.json", "metrics/aggregation.json")
    client = place.client()
    assert get(client, "metrics?timeRange=30d")["aggregation"]["preferences"]
    for query in ("timeRange=1h", "timeRange=30d&source=cli", "timeRange=30d&signalType=x"):
        assert get(client, f"metrics?{query}")["aggregation"]["preferences"] == []


def test_secrets_do_not_leave_the_server(place: Place) -> None:
    secret = "ghp_" + "a1B2" * 9
    content = {
        "error_type": f"Failed {secret}",
        "error_message": f"token={secret}",
        "preference_key": secret,
        "preference_value": {"deep": [secret]},
        "pattern_name": secret,
        "tool_name": secret,
        "source": secret,
        "action": secret,
        "context": {"password": "hunter22"},
    }
    write_signals(place, *(signal(kind, **content) for kind in LISTS.values()))
    write_events(place, event(f"type {secret}", data=secret), event("error_pattern", data=content))
    place.write("metrics/aggregation.json", {"error_patterns": [{"error_type": secret}]})
    client = place.client()
    for path in GETS:
        text = client.get(f"/api/learning/{path}").get_data(as_text=True)
        assert secret not in text
        assert "hunter22" not in text
    assert secret not in client.post("/api/learning/aggregate").get_data(as_text=True)


def test_reading_changes_no_file(session: Place, ask: Ask) -> None:
    owned = (session.loki, session.home / ".loki")  # not the cache, which is ours
    before = [places.snapshot(folder) for folder in owned]
    for path in GETS:
        ask(f"/api/learning/{path}")
    assert [places.snapshot(folder) for folder in owned] == before


def test_a_change_is_in_the_next_answer(place: Place) -> None:
    client = place.client()
    assert get(client, "metrics")["totalSignals"] == 0
    write_events(place, event())
    assert get(client, "metrics")["totalSignals"] == 1
    write_signals(place, signal("error_pattern"))
    assert get(client, "metrics")["totalSignals"] == 2
    write_signals(place, signal("error_pattern", error_type="Changed in place"))
    assert get(client, "errors")[0]["error_type"] == "Changed in place"
    (place.loki / "events.jsonl").unlink()
    assert get(client, "metrics")["totalSignals"] == 1


@pytest.mark.slow
def test_a_file_of_half_a_gigabyte_costs_little_memory_and_time(place: Place) -> None:
    path = place.write("events.jsonl", b"")
    os.truncate(path, 490 * 1024 * 1024)
    lines = (
        json.dumps(event("learning_signal", signal_type="tool_usage", data={"n": n}))
        for n in range(30_000)
    )
    with open(path, "a") as stream:
        stream.write("\n" + "\n".join(lines) + "\n")
    client = place.client()
    with tracing_memory() as memory:
        assert get(client, "signals?limit=1")[0]["data"]["n"] == 29_999
        assert get(client, "metrics")["totalSignals"] > 25_000
    assert memory.peak < 50 * 1024 * 1024


@pytest.mark.slow
def test_unchanged_files_are_not_read_again(place: Place) -> None:
    write_events(place, *(event(data={"n": n}) for n in range(20_000)))
    write_signals(place, *(signal("tool_efficiency") for _ in range(300)))
    for file in place.loki.rglob("*.json*"):
        backdate(file, 60)  # what was written a moment ago is not trusted not to have changed
    client = place.client()
    for path in GETS:
        get(client, path)
    before = bytes_read()
    for path in GETS:
        get(client, path)
    assert bytes_read() - before < 100_000
