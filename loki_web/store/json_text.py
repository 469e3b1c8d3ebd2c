"""Parse JSON tolerantly for files and strictly for requests, and write JSON."""

import codecs
import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

import orjson

MAX_DEPTH = 100
_WRITABLE_DEPTH = 254  # the most levels that orjson can write
_LARGE_BYTES = 64 * 1024  # there are enough brackets in a text of this size; it is not searched
_LARGEST_INTEGER = 2**63 - 1
_WHITE_SPACE = " \t\r\n"


class Damaged(ValueError):
    """The text is not JSON that the server can use."""


def decode(data: bytes) -> str:
    """Return the text of a file: UTF-16 if its byte order mark says so, else UTF-8.

    What is not valid becomes U+FFFD; the mark is skipped.
    """
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_wide else "utf-8-sig", errors="replace")


def parse(data: bytes) -> Any:
    """Parse the content of a file tolerantly.

    NaN, infinities and numbers outside the range of a double become None, lone surrogates and
    bytes that are not UTF-8 become U+FFFD, a byte order mark is skipped. UTF-16 needs the mark.

    :raises Damaged: if it is not JSON, or is nested deeper than MAX_DEPTH levels.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _parse_repairing(decode(data))
    if len(data) > _LARGE_BYTES or data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _refuse_deep(value)
    return value


def parse_strict(data: bytes) -> Any:
    """Parse the body of a request strictly.

    :raises Damaged: for anything that RFC 8259 does not allow, repeated keys, numbers outside the
        range of a double, lone surrogates and nesting deeper than MAX_DEPTH levels.
    """
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=_unique,
        )
        _refuse_deep(value)
    except (ValueError, RecursionError):
        raise Damaged("not valid JSON") from None
    return value


def values_in(text: str) -> Iterator[Any]:
    """Yield the values of a text that are separated by white space, as tolerantly as `parse`.

    Stop at the first malformed value.
    """
    position = 0
    while position < len(text):
        if text[position] in _WHITE_SPACE:
            position += 1
            continue
        try:
            value, position = _REPAIRING.raw_decode(text, position)
            value = _without_surrogates(value)
            _refuse_deep(value)
        except (ValueError, RecursionError):
            return
        yield value


def dump(value: Any) -> bytes:
    """Return a value as indented JSON with a line end, the format that the CLI writes.

    :raises TypeError: if the value is not JSON.
    """
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


def compact(value: Any) -> str:
    """Return a value as JSON without white space or line end.

    :raises TypeError: if the value is not JSON.
    """
    return orjson.dumps(value).decode()


def dump_line(value: Any) -> bytes:
    """Return a value as one line of a `.jsonl` file, with its line end."""
    return json.dumps(value).encode() + b"\n"


def _parse_repairing(text: str) -> Any:
    try:
        value = _REPAIRING.decode(text)
        return _without_surrogates(value) if "\\u" in text else value
    except (ValueError, RecursionError):
        raise Damaged("not valid JSON") from None


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _refuse_deep(value: Any) -> None:
    wrapped = value
    for _ in range(_WRITABLE_DEPTH - MAX_DEPTH):
        wrapped = [wrapped]
    try:
        orjson.dumps(wrapped)
    except TypeError:
        raise Damaged("nested too deeply") from None


def _refuse(_: str) -> NoReturn:
    raise Damaged("not a number that JSON knows")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Damaged("number out of range")
    return number


def _integer(digits: str) -> int | float:
    number = int(digits) if len(digits) < 20 else _finite(digits)
    return number if abs(number) <= _LARGEST_INTEGER else float(number)


def _finite_or_none(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _integer_or_none(digits: str) -> int | float | None:
    return _integer(digits) if len(digits) < 300 else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Damaged("a key is repeated")
    return value


_REPAIRING = json.JSONDecoder(
    parse_constant=lambda _: None,
    parse_float=_finite_or_none,
    parse_int=_integer_or_none,
)
