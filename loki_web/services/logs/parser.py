"""What one line of a session's log says, in any of its forms (`spec` 6)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from loki_web.services.logs import agent_messages
from loki_web.store import json_text
from loki_web.store.coerce import Json, first_text
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
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[ -/]{0,2}[0-~])"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
_STAMP = re.compile(
    r"\[?(\d{4}-\d{2}-\d{2}[T ])?(\d{2}:\d{2}:\d{2})(?:[.,]\d{1,12})?"
    r"(?: ?(?:Z|[+-]\d{2}:?\d{2})Z?)?\]?(?=[\s\[|]|$)(?:\s+[-|]\s+|\s*)",
    re.ASCII,
)
_WORD = "|".join(LEVELS)
_TAG = re.compile(rf"\[\s*({_WORD})\s*\]:?\s*", re.IGNORECASE)
_WORD_AFTER_STAMP = re.compile(rf"({_WORD})(?=[\s:|]|$)(?:\s+[-|]\s+|\s*[:|]?\s*)", re.IGNORECASE)
_WORD_ALONE = re.compile(rf"({_WORD})(?=[\s:]|$)")
_MARKER = re.compile(r"(?:=== Session (?:started|ended) at|\s*NEW SESSION -) (.{15,40}? \d{4})\b")
_TIME_KEYS = ("timestamp", "time", "ts", "@timestamp")
_CLOCK = re.compile(r"\d\d:\d\d", re.ASCII)
_STAMP_REACH = 100
_HALF_A_DAY = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class LogLine:
    """:param moment: the time that the line itself tells, or None."""

    message: str
    level: str
    moment: datetime | None


def clean_line(line: str) -> str:
    """The line as a terminal would show it in the end: no escapes, no controls, what a progress
    bar wrote last. Empty where nothing is to be seen."""
    text = _ESCAPES.sub("", line) if "\x1b" in line else line
    if "\r" in text:
        text = next((part for part in reversed(text.split("\r")) if part.strip()), "")
    return _CONTROLS.sub("", text).rstrip()


def may_have_time(line: str) -> bool:
    """False where it is not worth to `read` the line for its moment."""
    if line.startswith("{"):
        return any(f'"{key}"' in line for key in _TIME_KEYS)
    return _CLOCK.search(line, 0, _STAMP_REACH) is not None


def parse_line(text: str, written_at: datetime) -> LogLine:
    """What a cleaned line says.

    :param written_at: when the file was last written; it has the date of a bare time of day.
    """
    if text.startswith("{"):
        found = _parse_object(text)
        if found is not None:
            return _read_object(text, found)
    if stamp := _STAMP.match(text):
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
    if stamp[1]:
        return parse_time(stamp[0].strip(" \t[]|-"))
    moment = parse_time(f"{written_at.astimezone(UTC):%Y-%m-%d}T{stamp[2]}")
    if moment is not None and moment - written_at > _HALF_A_DAY:
        return moment - timedelta(days=1)  # the file has been written past midnight since
    return moment


def _parse_object(text: str) -> Json | None:
    try:
        value = json_text.parse(text.encode())
    except json_text.Damaged:
        return None
    return value if isinstance(value, dict) else None


def _read_object(text: str, found: Json) -> LogLine:
    """A message of the AI program's stream, or a record of a structured log."""
    moments = (parse_time(found.get(key)) for key in _TIME_KEYS)
    moment = next((moment for moment in moments if moment), None)
    said = agent_messages.format_message(found)
    if said is not None:
        return LogLine(said.text, LEVELS[said.level], moment)
    message = first_text(found.get("message"), found.get("msg"), found.get("text"), default=text)
    return LogLine(message, _parse_level(found.get("level") or found.get("severity")), moment)


def _parse_level(word: Any) -> str:
    return LEVELS.get(word.strip().upper(), DEFAULT_LEVEL) if isinstance(word, str) else "info"
