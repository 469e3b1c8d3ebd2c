"""From the untyped content of a file to values whose type is certain. Nothing here raises."""

import math
from typing import Any

Json = dict[str, Any]


def as_dict(value: Any) -> Json:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The array, or an empty one."""
    return value if isinstance(value, list) else []


def dicts_in(value: Any) -> list[Json]:
    """The objects among the items of an array; the rest is left out."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def entries_under(value: Any, key: str) -> list[Json] | None:
    """The objects of `{key: [...]}` or of a bare array; None where there is neither."""
    entries = value.get(key) if isinstance(value, dict) else value
    return dicts_in(entries) if isinstance(entries, list) else None


def texts_in(value: Any) -> list[str]:
    """The strings among the items of an array; the rest is left out."""
    return [item for item in as_list(value) if isinstance(item, str)]


def first_text(*candidates: Any, default: str = "") -> str:
    """The first candidate that is a string with something in it."""
    for candidate in candidates:
        if isinstance(candidate, str) and candidate.strip():
            return candidate
    return default


def as_number(value: Any) -> int | float | None:
    """A finite number, or a string that writes one; None for everything else, booleans too."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = _number_in(value)
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) < 1e15:
        return value
    return None


def as_amount(value: Any) -> int | float | None:
    """A number that is not negative, or None."""
    if value is None:
        return None
    number = as_number(value)
    return number if number is not None and number >= 0 else None


def as_count(value: Any, default: int = 0) -> int:
    """A whole number, zero or more."""
    number = as_amount(value)
    return default if number is None else int(number)


def as_flag(value: Any, default: bool = False) -> bool:
    """A boolean; anything else is the default."""
    return value if isinstance(value, bool) else default


def first_amount(*candidates: Any) -> int | float | None:
    """The first candidate that is a number, zero or more."""
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
