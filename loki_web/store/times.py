"""Parse and format times. Inside the server all times are aware datetimes in UTC.

Files have ISO 8601 with and without zone, doubled suffixes, epochs and the output of `date`
(docs/files.md, section 1.3).
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from loki_web.store.date_text import find_offset, parse_date_text

_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d+))?"
    r"\s*([A-Z]{1,5}|[+-]\d{2}:?\d{2})?Z?",
    re.ASCII | re.IGNORECASE,
)
_TIDY = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2}))Z?", re.ASCII
)  # what browsers parse; a second suffix is left out
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EPOCH = re.compile(r"\d{9,11}(?:\.\d+)?|\d{13}|\d{16}|\d{19}", re.ASCII)
# Epochs in milliseconds, microseconds and nanoseconds, from 1973 to 2286: least, and how many
# make a second.
_FINE_EPOCHS = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3))
UNKNOWN = datetime.min.replace(tzinfo=UTC)
_WITHIN_HOUR = {
    f":{second // 60:02}:{second % 60:02}Z": second * 1_000_000 for second in range(3600)
}  # the text of a time after its hour, and the microseconds since that hour
_MICROSECONDS = re.compile(r"\.\d{6}(?:Z|\+00:00|\+00:00Z)", re.ASCII)  # after the second
_MAX_HOURS = 10_000
_hour_starts: dict[str, int] = {}
_NO_OFFSET = timedelta(0)
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def parse_time(value: Any) -> datetime | None:
    """Return the instant in UTC; None if the value is no time. A time without zone is UTC."""
    try:
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return _from_epoch(value)
        if not isinstance(value, str):
            return None
        if value[4:17:3] == "--T::" and (usual := _usual_form(value)):
            return datetime.fromisoformat(usual)
        text = value.strip()
        if match := _ISO.fullmatch(text):
            day, clock, fraction, zone = match.groups()
            micros = f".{fraction[:6]:0<6}" if fraction else ""
            offset = find_offset(zone.upper()) if zone else _NO_OFFSET
            if offset is None:
                return None
            local = datetime.fromisoformat(f"{day}T{clock}{micros}")
            return local.replace(tzinfo=timezone(offset)).astimezone(UTC)
        if _EPOCH.fullmatch(text):
            return _from_epoch(float(text) if "." in text else int(text))
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        return parse_date_text(text)
    except (ValueError, OverflowError, OSError):
        return None


def _usual_form(text: str) -> str | None:
    """Return a time for `datetime.fromisoformat`, if it is in the most common form.

    That is ISO 8601 with seconds, ending with `Z`, `+00:00` or both. It needs no pattern matching.
    """
    if text.endswith("+00:00Z"):
        text = text[:-1]
    fraction = text[19:-1] if text[-1] == "Z" else text[19:-6] if text[-6:] == "+00:00" else "-"
    is_usual = not fraction or (fraction[0] == "." and fraction[1:].isdigit())
    return text if is_usual and text[17:19].isdigit() and text.isascii() else None


def _from_epoch(value: float) -> datetime:
    """Return the instant of an epoch in seconds or in parts of a second."""
    parts = next((parts for least, parts in _FINE_EPOCHS if least <= value < 100 * least), 1)
    return datetime.fromtimestamp(value / parts, UTC)


def microseconds(instant: datetime) -> int:
    """Return an instant as microseconds since 1970; negative before that."""
    since = instant - _EPOCH_START
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


UNKNOWN_TIME = microseconds(UNKNOWN)


def microseconds_of(value: Any, unknown: int) -> int:
    """Return a time as microseconds since 1970; `unknown` if it cannot be parsed.

    This is fast for many times of few hours: the start of each hour is cached, and the rest of the
    text is looked up in a table.
    """
    try:
        return _hour_starts[value[:13]] + _WITHIN_HOUR[value[13:]]
    except (KeyError, TypeError):
        within = _within_hour(value[13:]) if isinstance(value, str) else None
    start = None if within is None else _hour_starts.get(value[:13])
    if start is not None and within is not None:
        return start + within
    instant = parse_time(value)
    if instant is None:
        return unknown
    count = microseconds(instant)
    if within is not None:
        if len(_hour_starts) >= _MAX_HOURS:
            _hour_starts.clear()
        _hour_starts[value[:13]] = count - within
    return count


def _within_hour(text: str) -> int | None:
    """Return the microseconds since the hour; None for a text in none of the common forms.

    :param text: what follows the hour, such as `:59:59Z` or `:59:59.123456+00:00`.
    """
    whole = _WITHIN_HOUR.get(text)
    if whole is not None or not _MICROSECONDS.fullmatch(text, 6):
        return whole
    second = _WITHIN_HOUR.get(f"{text[:6]}Z")
    return None if second is None else second + int(text[7:13])


def from_microseconds(count: int) -> datetime:
    """Return the instant `count` microseconds after 1970."""
    return _EPOCH_START + timedelta(microseconds=count)


def sort_key(value: Any) -> datetime:
    """Return a key to sort by time. Values without a time come first, as the oldest."""
    return parse_time(value) or UNKNOWN


def tidy_time(value: Any) -> str:
    """Return a time in a form that browsers can parse, with one zone suffix; `""` for no time.

    A text that is valid already is returned unchanged.
    """
    instant = parse_time(value)
    if instant is None:
        return ""
    if not isinstance(value, str):
        return isoformat(instant)
    usual = _TIDY.fullmatch(value.strip())
    return usual[1] if usual else isoformat(instant)


def isoformat(instant: datetime) -> str:
    """Format a time as ISO 8601 with the offset `+00:00`, as the Python code of the CLI does."""
    return instant.astimezone(UTC).isoformat()


def format_utc(instant: datetime) -> str:
    """Format a time as ISO 8601 in UTC with seconds and `Z`, as the CLI's shell scripts do."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def zoneless(instant: datetime) -> str:
    """Format a time as ISO 8601 in UTC with seconds and without a zone, as in log entries."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
