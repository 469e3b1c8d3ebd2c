"""Entries from lines of a log: their times, their order and the length of their messages."""

from datetime import UTC, datetime

import pytest

from loki_web.services.logs.reader import MAX_MESSAGE, parse_entries, parse_numbered

WRITTEN_AT = datetime(2026, 3, 2, tzinfo=UTC)
AT_9, AT_10, AT_11 = (f"2026-03-01 {hour}:00:00 x" for hour in ("09", "10", "11"))


@pytest.mark.parametrize(
    ("above", "lines", "times"),
    [
        ([], [], ""),
        ([], ["a"], "written~"),
        ([], [AT_10, AT_11], "10 11"),
        # A line without a time has that of the nearest line, of two the one above.
        ([], [AT_10, "a", AT_11], "10 10~ 11"),
        ([], [AT_10, "a", "b", AT_11], "10 10~ 11~ 11"),
        ([], ["a", AT_10, "b"], "10~ 10 10~"),
        # The last time above counts as that of the line in which it is.
        ([AT_9, AT_10], ["a"], "10~"),
        ([AT_9, "x"], ["a", AT_11], "11~ 11"),
        ([AT_9], ["a", AT_11], "09~ 11"),
        ([AT_9], [AT_10], "10"),
        (["x"], ["a"], "written~"),
        # Times need not be in order.
        ([], [AT_11, "a", AT_10, "b"], "11 11~ 10 10~"),
    ],
)
def test_a_line_without_a_time_has_that_of_the_nearest(
    above: list[str], lines: list[str], times: str
) -> None:
    entries = parse_entries(lines, written_at=WRITTEN_AT, above=above)
    names = {"2026-03-02T00:00:00": "written"}
    assert times == " ".join(
        names.get(entry["timestamp"], entry["timestamp"][11:13])
        + "~" * entry.get("timestamp_estimated", False)
        for entry in entries
    )


def test_lines_without_visible_characters_have_no_entry() -> None:
    lines = ["", "a", " \t", "\x1b[0m", "b\r"]
    numbered = list(parse_numbered(lines, written_at=WRITTEN_AT))
    assert [(number, entry["message"]) for number, entry in numbered] == [(1, "a"), (4, "b")]


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (MAX_MESSAGE, "x" * MAX_MESSAGE),
        (MAX_MESSAGE + 1, "x" * (MAX_MESSAGE - 1) + "…"),
    ],
)
def test_a_long_message_is_cut(length: int, expected: str) -> None:
    (entry,) = parse_entries(["x" * length], written_at=WRITTEN_AT)
    assert entry["message"] == expected


def test_a_key_block_that_begins_above_is_redacted() -> None:
    above = ["-----BEGIN RSA PRIVATE KEY-----"]
    lines = ["MIIEowIBAAKCAQEA" * 4, "-----END RSA PRIVATE KEY-----", "after"]
    messages = [e["message"] for e in parse_entries(lines, written_at=WRITTEN_AT, above=above)]
    assert messages == ["[redacted]", "[redacted]", "after"]
