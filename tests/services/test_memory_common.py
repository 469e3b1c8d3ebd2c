"""Ids, times and texts of memory entries as their writers store them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from loki_web.services.memory.common import (
    as_texts,
    clean_value,
    get_file_id,
    get_latest_time,
    get_own_id,
    join_texts,
)
from loki_web.store.times import UNKNOWN

SECRET = "ghp_" + "a1B2" * 9


@pytest.mark.parametrize(
    ("value", "identity"),
    [
        ("ep-1", "ep-1"),
        (7, "7"),
        (True, None),
        (None, None),
        ("", None),
        ("a/b", None),
        ("..", None),
        ("x" * 129, None),
        (SECRET, None),
    ],
)
def test_a_stored_id_is_used_if_it_fits_into_a_url_and_is_no_secret(
    value: Any, identity: str | None
) -> None:
    assert get_own_id({"id": value}) == identity


@pytest.mark.parametrize("path", ["ep-1.json", "2026/03/ep-1.json"])
def test_the_id_of_a_file_is_its_stem(path: str) -> None:
    assert get_file_id(path) == "ep-1"


def test_a_file_whose_stem_is_no_id_has_a_hash_of_its_path() -> None:
    first, other, again = map(get_file_id, ("a/\u00e9.json", "b/\u00e9.json", "a/\u00e9.json"))
    assert first.startswith("file-")
    assert first == again != other


@pytest.mark.parametrize(
    ("entry", "moment"),
    [
        ({}, UNKNOWN),
        ({"a": "soon", "b": None}, UNKNOWN),
        ({"a": "2026-03-01T10:20:30Z", "b": "never"}, datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ({"a": 0, "b": "2026-03-01"}, datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_the_latest_time_is_that_of_any_key(entry: Any, moment: datetime) -> None:
    assert get_latest_time(entry, "a", "b") == moment


@pytest.mark.parametrize(
    ("value", "texts", "text"),
    [
        (None, [], ""),
        (5, [], ""),
        (" ", [], " "),
        ("one", ["one"], "one"),
        (["one", 2, None, "two"], ["one", "two"], "one; two"),
        ([["one"], {"a": "two", "b": ["three"]}], [], "one; two three"),
        ({"a": "one", "b": 2}, [], "one"),
    ],
)
def test_texts_are_taken_from_any_value(value: Any, texts: list[str], text: str) -> None:
    assert (as_texts(value), join_texts(value)) == (texts, text)


def test_a_clean_value_is_redacted_and_has_times_with_a_zone() -> None:
    entry = {
        "timestamp": "2026-03-01T10:20:30",
        "nested": [{"timestamp": 1772360430, "note": SECRET}],
        "title": "2026-03-01T10:20:30",
        "password": ["x1y2z3"],
    }
    clean = clean_value(entry)
    assert clean["timestamp"] == clean["nested"][0]["timestamp"]
    assert datetime.fromisoformat(clean["timestamp"]).tzinfo is not None
    assert clean["title"] == entry["title"]
    assert SECRET not in str(clean)
    assert clean["password"] == ["[redacted]"]
