"""Convert the untyped content of files to values of known types. No function here raises."""

import math
from typing import Any

Json = dict[str, Any]


def as_dict(value: Any) -> Json:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return the value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def dicts_in(value: Any) -> list[Json]:
    """Return the objects in an array; other items are skipped."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def entries_under(value: Any, key: str) -> list[Json] | None:
    """Return the objects in a bare array, or under a key as array or map by id; None otherwise."""
    entries = value.get(key) if isinstance(value, dict) else value
    if isinstance(entries, dict):
        return [entry for _, entry in entries_by_id(entries)]
    return dicts_in(entries) if isinstance(entries, list) else None


def entries_by_id(entries: Json) -> list[tuple[str, Json]]:
    """Return the keys and objects of a map by id, each with an id; other values are skipped."""
    return [
        (key, {**entry, "id": key if entry.get("id") is None else entry["id"]})
        for key, entry in entries.items()
        if isinstance(entry, dict)
    ]


def entries_in(value: Any, key: str, words: tuple[str, ...]) -> list[Json]:
    """Return the same as `entries_under`; or the objects of a bare map by id, or a single entry.

    :param words: keys whose value is a text in an entry, and not in a map.
    """
    entries = entries_under(value, key)
    if entries is not None or not isinstance(value, dict) or key in value:
        return entries or []
    if any(isinstance(value.get(word), str) for word in words):
        return [value]
    is_map = not any(isinstance(each, list) for each in value.values())
    return [entry for _, entry in entries_by_id(value)] if is_map else []


def texts_in(value: Any) -> list[str]:
    """Return the strings in an array; other items are skipped."""
    return [item for item in as_list(value) if isinstance(item, str)]


def first_text(*candidates: Any, default: str = "") -> str:
    """Return the first candidate that is a string and not blank."""
    for candidate in candidates:
        if isinstance(candidate, str) and candidate.strip():
            return candidate
    return default


def as_number(value: Any) -> int | float | None:
    """Return a finite number, also from a string; None for all else, booleans included.

    Numbers of 1e15 and more are no valid amounts or times, and also become None.
    """
    if type(value) is str:
        value = _number_in(value)
    if type(value) in (int, float) and -1e15 < value < 1e15:
        number: int | float = value
        return number
    return None


def as_amount(value: Any) -> int | float | None:
    """Return the value as a number if it is zero or more, else None."""
    if value is None:
        return None
    number = as_number(value)
    return number if number is not None and number >= 0 else None


def as_count(value: Any, default: int = 0) -> int:
    """Return the value as a whole number if it is zero or more, else the default."""
    number = as_amount(value)
    return default if number is None else int(number)


def as_flag(value: Any, default: bool = False) -> bool:
    """Return the value if it is a boolean, also in a string; else the default."""
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else default


def first_amount(*candidates: Any) -> int | float | None:
    """Return the first candidate that is a number of zero or more."""
    for candidate in candidates:
        amount = as_amount(candidate)
        if amount is not None:
            return amount
    return None


def _number_in(text: str) -> int | float | None:
    try:
        number = float(text) if text.isascii() and len(text) < 40 and "_" not in text else math.nan
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number
