"""Parsing of all forms of time in files."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loki_web.store.times import (
    UNKNOWN,
    from_microseconds,
    microseconds,
    microseconds_of,
    parse_time,
    sort_key,
    tidy_time,
)

TEN = datetime(2026, 2, 20, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        *("2026-02-20T10:00:00Z", "2026-02-20T10:00:00+00:00", "2026-02-20T15:00:00+05:00"),
        *("2026-02-20T10:00:00", "2026-02-20 10:00:00", "2026-02-20T10:00", "2026-02-20T10:00:00z"),
        *("2026-02-20T10:00:00+00:00Z", "2026-02-20T10:00:00.000000Z", " 2026-02-20T10:00:00Z\n"),
        *("2026-02-20T04:30:00-0530", "2026-02-20T10:00:00,000Z", 1771581600, "1771581600"),
        *(1771581600.0, "Fri Feb 20 10:00:00 UTC 2026", "Fri Feb 20 10:00:00 AM UTC 2026"),
    ],
)
def test_one_instant_in_many_forms(value: Any) -> None:
    assert parse_time(value) == TEN
    assert microseconds_of(value, 0) == microseconds(TEN)
    assert from_microseconds(microseconds(TEN)) == TEN
    shown = tidy_time(value)
    assert datetime.fromisoformat(shown.replace("Z", "+00:00")) == TEN
    assert not shown.endswith("+00:00Z")


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, [], {}, "", " ", "yesterday", "2026", "2026-13-01", "2026-02-30"),
        *("2026-02-20T09:12:Z", "2026-02-20T09:12:+00:00", "2026-02-20T09:12:5Z"),
        *("2026-W08-5T09:12:59Z", "2026-02-20T091259.1Z", "2026-02-20T09:12:59.²Z"),
        "2026-02-20T09:12:59.123456９Z",
        *("2026-99-99T99:99:99Z", "2026-02-20T25:00:00Z", "10:00:00", "９９９９-０１-０１", "nan"),
        *(
            1e300,
            -1e300,
            10**400,
            float("inf"),
            float("nan"),
            "1" * 40,
            "2026-02-20T10:00:00+99:99",
        ),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "Fri Foo 20 10:00:00 UTC 2026"),
    ],
)
def test_values_that_are_not_times(value: Any) -> None:
    assert parse_time(value) is None
    assert microseconds_of(value, -1) == -1
    assert tidy_time(value) == ""
    assert sort_key(value) == UNKNOWN


def test_times_are_sorted_by_instant() -> None:
    values = ["2026-02-20T12:00:00+05:00", "2026-02-20T10:00:00Z", None, "2026-02-20T10:00:01", "x"]
    assert sorted(values, key=sort_key)[2:] == [
        *("2026-02-20T12:00:00+05:00", "2026-02-20T10:00:00Z", "2026-02-20T10:00:01"),
    ]


def test_the_cached_hour_includes_its_day() -> None:
    day = datetime(2026, 2, 20, tzinfo=UTC)
    moments = [day + timedelta(seconds=step * 1801) for step in range(100)]
    shown = [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in moments]
    for _ in range(2):
        assert [microseconds_of(text, 0) for text in shown] == [*map(microseconds, moments)]
