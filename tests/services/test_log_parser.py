"""Parsing of single log lines: time, level and message in each format, and colors."""

from datetime import UTC, datetime

import pytest

from loki_web.services.logs.parser import clean_line, find_colors, may_have_time, parse_line

WRITTEN_AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
AT = "2026-03-01T10:20:30"


@pytest.mark.parametrize(
    ("line", "time", "level", "message"),
    [
        ("plain words", None, "info", "plain words"),
        ("", None, "info", ""),
        # A time, then the level in each of its forms.
        ("2026-03-01 10:20:30 ERROR broken", AT, "error", "broken"),
        ("2026-03-01T10:20:30.123456Z [WARN] slow", f"{AT}.123456", "warning", "slow"),
        ("[2026-03-01 10:20:30,5] [debug]: deep", f"{AT}.500000", "debug", "deep"),
        ("2026-03-01 12:20:30 +02:00 - INFO - done", AT, "info", "done"),
        ("2026-03-01 10:20:30 | FATAL | end", AT, "critical", "end"),
        ("2026-03-01 10:20:30 Errors were few", AT, "info", "Errors were few"),
        ("2026-03-01 10:20:30", AT, "info", "2026-03-01 10:20:30"),
        ("1772360430 ERROR seconds", AT, "error", "seconds"),
        ("[1772360430500] [INFO] milliseconds", f"{AT}.500000", "info", "milliseconds"),
        # A time without a date is of the day on which the file was written, or of the day before.
        ("00:30:00 TRACE early", "2026-03-02T00:30:00", "debug", "early"),
        ("[23:59:00] late", "2026-03-01T23:59:00", "info", "late"),
        # No time.
        ("[STEP] next", None, "info", "next"),
        ("[ Warning ]: odd blanks", None, "warning", "odd blanks"),
        (
            "ERROR: the level stays in the message",
            None,
            "error",
            "ERROR: the level stays in the message",
        ),
        ("error in lower case is a word", None, "info", "error in lower case is a word"),
        ("1772360430 is a number", None, "info", "1772360430 is a number"),
        ("2026-13-01 10:20:30 no such month", None, "info", "2026-13-01 10:20:30 no such month"),
        # The marks of a session have their time at the end.
        (
            "=== Session started at 2026-03-01T10:20:30Z ===",
            AT,
            "info",
            "=== Session started at 2026-03-01T10:20:30Z ===",
        ),
        # Objects: structured logs, messages of the agent, and what only looks like either.
        ('{"ts": "2026-03-01T10:20:30Z", "level": "warn", "msg": "m"}', AT, "warning", "m"),
        ('{"time": 1772360430, "severity": "Critical", "text": "t"}', AT, "critical", "t"),
        ('{"level": 40, "message": "a number is no level"}', None, "info", "a number is no level"),
        ('{"type": "result", "subtype": "error_x"}', None, "error", "[Session result: error_x]"),
        ('{"other": 1}', None, "info", '{"other": 1}'),
        ('{"cut": ', None, "info", '{"cut": '),
    ],
)
def test_a_line_has_a_time_a_level_and_a_message(
    line: str, time: str | None, level: str, message: str
) -> None:
    parsed = parse_line(line, WRITTEN_AT)
    moment = datetime.fromisoformat(time).replace(tzinfo=UTC) if time else None
    assert (parsed.moment, parsed.level, parsed.message) == (moment, level, message)
    assert moment is None or line.startswith("===") or may_have_time(line)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("as it is", "as it is"),
        ("\x1b[0;31m[ERROR]\x1b[0m red", "[ERROR] red"),
        ("\x1b]0;title\x07after a title", "after a title"),
        ("10 %\r50 %\r100 %", "100 %"),
        ("100 %\r   ", "100 %"),
        ("\r\r", ""),
        ("\ufeffa\x00b\x07c\tkept  ", "abc\tkept"),
    ],
)
def test_a_clean_line_is_what_a_terminal_shows_last(line: str, text: str) -> None:
    assert clean_line(line) == text


@pytest.mark.parametrize(
    ("line", "spans"),
    [
        ("no colors", []),
        ("\x1b[31mred\x1b[0m plain", [(0, 3, "red")]),
        ("a \x1b[1;92mbright\x1b[39m b", [(2, 8, "green")]),
        ("\x1b[31mred \x1b[34mblue  ", [(0, 4, "red"), (4, 8, "blue")]),
        ("\x1b[38;5;31mof 256 colors\x1b[0m", []),
        ("\x1b[1mbold\x1b[0m", []),
        ("\x1b[31m\x07\x1b[0mnothing is red", []),
        ("\x1b[31mover\rwritten", []),
    ],
)
def test_colors_have_their_place_in_the_clean_line(
    line: str, spans: list[tuple[int, int, str]]
) -> None:
    assert find_colors(line) == spans


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2026-03-01 10:20:30 x", True),
        ("1772360430 INFO x", True),
        ('{"ts": 1}', True),
        ('{"message": "10:20"}', False),
        ("x" * 200 + " 10:20:30", False),
        ("nothing", False),
    ],
)
def test_lines_without_any_time_need_not_be_parsed(line: str, expected: bool) -> None:
    assert may_have_time(line) is expected
