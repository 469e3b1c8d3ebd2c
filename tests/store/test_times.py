"""Parsing of all forms of time in files."""

import re
import time
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

# The form that the language guarantees; others are parsed by some browsers only.
BROWSERS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
TEN = datetime(2026, 2, 20, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        *("2026-02-20T10:00:00Z", "2026-02-20T10:00:00+00:00", "2026-02-20T15:00:00+05:00"),
        *("2026-02-20T10:00:00", "2026-02-20 10:00:00", "2026-02-20T10:00", "2026-02-20T10:00:00z"),
        *("2026-02-20T10:00:00+00:00Z", "2026-02-20T10:00:00.000000Z", " 2026-02-20T10:00:00Z\n"),
        *("2026-02-20T04:30:00-0530", "2026-02-20T10:00:00,000Z", 1771581600, "1771581600"),
        *(1771581600.0, "Fri Feb 20 10:00:00 UTC 2026", "Fri Feb 20 10:00:00 AM UTC 2026"),
        *(1771581600000, 1771581600000.0, 1771581600 * 10**6, 1771581600 * 10**9),
        *("1771581600000", "1771581600000000", "1771581600000000000", "1771581600.0"),
        *("2026-02-20 10:00:00 UTC", "2026-02-20T10:00:00 GMT", "2026-02-20 10:00:00.000UTC"),
        *("2026-02-20 10:00:00Z", "2026-02-20T10:00:00 Z"),
        *("2026-02-20T10:00:00 +00:00", "2026-02-20t10:00:00Z"),
        *("2026-02-20 11:00:00 CET", "2026-02-20 10:00 utc", "2026-02-20 05:00:00,000 EST"),
    ],
)
def test_each_form_of_an_instant_is_parsed(value: Any) -> None:
    assert parse_time(value) == TEN
    assert microseconds_of(value, 0) == microseconds(TEN)
    assert from_microseconds(microseconds(TEN)) == TEN
    shown = tidy_time(value)
    assert BROWSERS.fullmatch(shown)
    assert datetime.fromisoformat(shown.replace("Z", "+00:00")) == TEN


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
        *("20260220100000", 20260220100000, "177158160000", "2026-02-20 10:00:00 XYZ"),
        *("Fri Feb 20 10:00:00 XYZ 2026", "Fri Feb 30 10:00:00 UTC 2026", "Fri Feb 20 10:00 2026"),
        *("Feb 20 10:00:00 UTC 2026", "at 10:00:00 UTC 20 apples of 2026", "10:00:00 UTC 2026"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "Fri Foo 20 10:00:00 UTC 2026"),
    ],
)
def test_values_that_are_not_times(value: Any) -> None:
    assert parse_time(value) is None
    assert microseconds_of(value, -1) == -1
    assert tidy_time(value) == ""
    assert sort_key(value) == UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        *("Fri Feb 20 10:00:00 GMT 2026", "Fri Feb 20 11:00:00 CET 2026"),
        *("Fri Feb 20 05:00:00 EST 2026", "Fri Feb 20 02:00:00 AM PST 2026"),
        *("Fri Feb 20 15:30:00 IST 2026", "Fri Feb 20 03:30:00 PM IST 2026"),
        *("Fri Feb 20 07:00:00 -03 2026", "Fri Feb 20 15:45:00 +0545 2026"),
        *("Fri Feb 20 15:30:00 +05:30 2026", "Fri Feb 20 06:30:00 NST 2026"),
        *("Sat Feb 21 12:00:00 AM +14 2026", "Fri Feb 20 18:00:00 HKT 2026"),
        *("Fri 20 Feb 10:00:00 GMT 2026", "Fri 20 Feb 2026 10:00:00 AM UTC"),  # en_GB, en_CA
        *("Fr 20. Feb 11:00:00 CET 2026", "Fr 20. Feb 2026 11:00:00 CET"),  # German
        *("ven. 20 f\u00e9vr. 2026 11:00:00 CET", "ven. f\u00e9vr. 20 11:00:00 CET 2026"),  # French
        *("vie 20 feb 2026 11:00:00 CET", "sex 20 fev 2026 07:00:00 -03"),  # Spanish, Portuguese
        *("ven 20 feb 2026 11:00:00 CET", "vr 20 feb 2026 11:00:00 CET"),
        *(
            "\u041f\u0442 20 \u0444\u0435\u0432 2026 13:00:00 MSK",
            "pi\u0105 20 lut 2026 11:00:00 CET",
        ),
        *("Cum \u015eub 20 13:00:00 +03 2026", "fre 20 feb 2026 11:00:00 CET"),  # Turkish, Swedish
        "2026\u5e74 02\u6708 20\u65e5 \u661f\u671f\u4e94 18:00:00 CST",  # Chinese
        "2026\u5e74  2\u6708 20\u65e5 \u91d1\u66dc\u65e5 19:00:00 JST",  # Japanese
        "2026. 02. 20. (\uae08) 19:00:00 KST",  # Korean
    ],
)
def test_the_output_of_date_in_other_zones_and_locales(text: str) -> None:
    assert parse_time(text) == TEN
    assert tidy_time(text) == "2026-02-20T10:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "month"),
    [
        *(("mar. 3 mars 2026 10:00:00 UTC", 3), ("mer. 3 juin 2026 10:00:00 UTC", 6)),
        *(("ven. 3 juil. 2026 10:00:00 UTC", 7), ("lun. 3 ao\u00fbt 2026 10:00:00 UTC", 8)),
        *(("Di 3. M\u00e4r 2026 10:00:00 UTC", 3), ("Do 3. Dez 2026 10:00:00 UTC", 12)),
        *(("mar 3 mar 2026 10:00:00 UTC", 3), ("dom 3 ene 2026 10:00:00 UTC", 1)),
        *(("sab 3 ott 2026 10:00:00 UTC", 10), ("sob 3 pa\u017a 2026 10:00:00 UTC", 10)),
        *(("Paz May  3 10:00:00 UTC 2026", 5), ("set 3 out 2026 10:00:00 UTC", 10)),
    ],
)
def test_months_of_other_languages_are_known(text: str, month: int) -> None:
    assert parse_time(text) == datetime(2026, month, 3, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Asia/Shanghai", "Fri Feb 20 18:00:00 CST 2026"),
        ("America/Chicago", "Fri Feb 20 04:00:00 CST 2026"),
        ("UTC", "Fri Feb 20 04:00:00 CST 2026"),
        ("Asia/Jerusalem", "Fri Feb 20 12:00:00 IST 2026"),
        ("Asia/Kathmandu", "Fri Feb 20 15:45:00 +0545 2026"),
    ],
)
def test_an_abbreviation_with_two_meanings_is_that_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, zone: str, text: str
) -> None:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", zone)
        time.tzset()
        found = parse_time(text)
    time.tzset()
    assert found == TEN


def test_times_are_sorted_by_instant() -> None:
    values = ["2026-02-20T12:00:00+05:00", "2026-02-20T10:00:00Z", None, "2026-02-20T10:00:01", "x"]
    assert sorted(values, key=sort_key)[2:] == [
        *("2026-02-20T12:00:00+05:00", "2026-02-20T10:00:00Z", "2026-02-20T10:00:01"),
    ]


@pytest.mark.parametrize(
    ("form", "step"),
    [
        ("%Y-%m-%dT%H:%M:%SZ", timedelta(seconds=1801)),
        ("%Y-%m-%dT%H:%M:%S.%fZ", timedelta(seconds=1801, microseconds=10_007)),
        ("%Y-%m-%d %H:%M:%S.%f+00:00", timedelta(seconds=1801, microseconds=10_007)),
        ("%Y-%m-%dT%H:%M:%S.%f+00:00Z", timedelta(seconds=1801, microseconds=10_007)),
    ],
)
def test_the_cached_hour_includes_its_day(form: str, step: timedelta) -> None:
    day = datetime(2026, 2, 20, tzinfo=UTC)
    moments = [day + number * step for number in range(100)]
    shown = [moment.strftime(form) for moment in moments]
    for _ in range(2):
        assert [microseconds_of(text, 0) for text in shown] == [*map(microseconds, moments)]
