"""Parsing of log lines in all their formats (docs/files.md, section 6)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from loki_web.services.logs import agent_messages
from loki_web.store import json_text
from loki_web.store.coerce import Json, first_text
from loki_web.store.date_text import ZONES
from loki_web.store.times import parse_time

LEVELS = {
    "INFO": "info",
    "STEP": "info",
    "WARN": "warning",
    "WARNING": "warning",
    "ERROR": "error",
    "DEBUG": "debug",
    "TRACE": "debug",
    "CRITICAL": "critical",
    "FATAL": "critical",
}
DEFAULT_LEVEL = "info"
COLORS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_STYLE = re.compile(r"\x1b\[([0-9;]{0,30})m", re.ASCII)
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[ -/]{0,2}[0-~])"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
_ZONE = "|".join(sorted(ZONES, key=len, reverse=True))
_STAMP = re.compile(
    r"\[?(\d{4}-\d{2}-\d{2}[T ])?(\d{2}:\d{2}:\d{2})(?:[.,]\d{1,12})?"
    rf"(?: ?({_ZONE}|[+-]\d{{2}}:?\d{{2}})Z?)?\]?(?=[\s\[|]|$)(?:\s+[-|]\s+|\s*)",
    re.ASCII,
)
_WORD = "|".join(LEVELS)
_TAG = re.compile(rf"\[\s*({_WORD})\s*\]:?\s*", re.IGNORECASE)
_WORD_AFTER_STAMP = re.compile(rf"({_WORD})(?=[\s:|]|$)(?:\s+[-|]\s+|\s*[:|]?\s*)", re.IGNORECASE)
_WORD_ALONE = re.compile(rf"({_WORD})(?=[\s:]|$)")
_EPOCH = re.compile(
    rf"\[?(1\d{{9}}(?:\.\d{{1,9}})?|1\d{{12}})\]?[\s|:-]+(?=\[?\s*(?:{_WORD})\b)", re.IGNORECASE
)
_MARKER = re.compile(
    r"(?:=== Session (?:started|ended) at|\s*NEW SESSION -) (.{15,60}?)(?: ===| with exit|\s*$)"
)
_TIME_KEYS = ("timestamp", "time", "ts", "@timestamp")
_CLOCK = re.compile(r"\d\d:\d\d", re.ASCII)
_STAMP_REACH = 100
_HALF_A_DAY = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A parsed line.

    :param level: one of the values of LEVELS.
    :param moment: the time in the line, or None.
    """

    message: str
    level: str
    moment: datetime | None


def clean_line(line: str) -> str:
    """Return a line as a terminal finally shows it, empty if nothing is visible.

    Escape sequences and control characters are removed; of a progress bar, the last state remains.
    """
    text = _ESCAPES.sub("", line) if "\x1b" in line else line
    if "\r" in text:
        text = next((part for part in reversed(text.split("\r")) if part.strip()), "")
    return _CONTROLS.sub("", text).rstrip()


def find_colors(line: str) -> list[tuple[int, int, str]]:
    """Return the colors that escape sequences give to a line: start and end in `clean_line`.

    Only the eight basic colors count, bright or not. Empty for a line that overwrites itself.
    """
    if "\x1b[" not in line or "\r" in line:
        return []
    spans, color, at, start = [], "", 0, 0
    for escape in _ESCAPES.finditer(line):
        length = len(_CONTROLS.sub("", line[start : escape.start()]))
        if color and length:
            spans.append((at, at + length, color))
        at, start = at + length, escape.end()
        if style := _STYLE.fullmatch(escape[0]):
            color = _apply_style(style[1], color)
    length = len(_CONTROLS.sub("", line[start:]).rstrip())
    return [*spans, (at, at + length, color)] if color and length else spans


def _apply_style(codes: str, color: str) -> str:
    if ";38;" in f";{codes};" or ";48;" in f";{codes};":
        return ""  # one of 256 colors, or of all
    for code in codes.split(";"):
        number = int(code or 0)
        if number in (0, 39):
            color = ""
        elif 30 <= number <= 37 or 90 <= number <= 97:
            color = COLORS[number % 10]
    return color


def may_have_time(line: str) -> bool:
    """Return False if a line certainly has no time, so that it need not be parsed."""
    if line.startswith("{"):
        return any(f'"{key}"' in line for key in _TIME_KEYS)
    return _CLOCK.search(line, 0, _STAMP_REACH) is not None or _EPOCH.search(line) is not None


def parse_line(text: str, written_at: datetime) -> LogLine:
    """Parse a cleaned line.

    :param written_at: when the file was last written, for the date of a time without one.
    """
    if text.startswith("{"):
        content = _parse_object(text)
        if content is not None:
            return _read_object(text, content)
    if stamp := _STAMP.match(text) or _EPOCH.match(text):
        moment = _parse_stamp(stamp, written_at)
        if moment is not None:
            rest = text[stamp.end() :]
            word = _TAG.match(rest) or _WORD_AFTER_STAMP.match(rest)
            return LogLine((rest[word.end() :] if word else rest) or text, _get_level(word), moment)
    if tag := _TAG.match(text):
        return LogLine(text[tag.end() :] or text, _get_level(tag), None)
    marker = _MARKER.match(text)
    return LogLine(
        text, _get_level(_WORD_ALONE.match(text)), parse_time(marker[1]) if marker else None
    )


def _get_level(word: re.Match[str] | None) -> str:
    return LEVELS[word[1].upper()] if word else DEFAULT_LEVEL


def _parse_stamp(stamp: re.Match[str], written_at: datetime) -> datetime | None:
    if stamp.re is _EPOCH:
        return parse_time(stamp[1])
    if stamp[1]:
        return parse_time(stamp[0].strip(" \t[]|-"))
    moment = parse_time(f"{written_at.astimezone(UTC):%Y-%m-%d}T{stamp[2]}{stamp[3] or ''}")
    if moment is not None and moment - written_at > _HALF_A_DAY:
        return moment - timedelta(days=1)  # the line was written before midnight
    return moment


def _parse_object(text: str) -> Json | None:
    try:
        value = json_text.parse(text.encode())
    except json_text.Damaged:
        return None
    return value if isinstance(value, dict) else None


def _read_object(text: str, content: Json) -> LogLine:
    """Return the line of a stream message, or of a record in a structured log."""
    moments = (parse_time(content.get(key)) for key in _TIME_KEYS)
    moment = next((moment for moment in moments if moment), None)
    agent_message = agent_messages.format_message(content)
    if agent_message is not None:
        return LogLine(agent_message.text, LEVELS[agent_message.level], moment)
    texts = (content.get(key) for key in ("message", "msg", "text"))
    level = _parse_level(content.get("level") or content.get("severity"))
    return LogLine(first_text(*texts, default=text), level, moment)


def _parse_level(word: Any) -> str:
    return LEVELS.get(word.strip().upper(), DEFAULT_LEVEL) if isinstance(word, str) else "info"
