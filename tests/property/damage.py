"""Generate damaged versions of files."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

OLD = 1_600_000_000  # long before any grace period for files that are being written

# Values of unexpected types and ranges.
ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**30), max_value=10**30),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=20),
    st.sampled_from(["", "NaN\n# x", "\ud800", "x" * 5000, "2026-99-99T99:99:99Z", "-1", "1e999"]),
    st.lists(st.none() | st.integers() | st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=5), st.none() | st.integers(), max_size=3),
)
RAW = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"",
            b"\0" * 100,
            b"\xef\xbb\xbf{}",
            b"\xff\xfe{\0}\0",
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"[" + b"1" * 5_000 + b"]",
            b"NaN",
            b"-Infinity",
            b'{"cost_usd": 1e999, "limit": -1e999}',
            b'"\\ud800"',
            b'{"a": 1}{"b": 2}',
            b"5",
            b'"x"',
            b"null",
            b'[null, 5, "x", [], {}]',
        ]
    ),
)


@dataclass(frozen=True)
class Damage:
    """A kind of damage.

    :param name: for the failure report.
    :param apply: creates something at the path of a file that was removed.
    """

    name: str
    apply: Callable[[Path], None]

    def __repr__(self) -> str:
        return self.name


def directory(path: Path) -> None:
    path.mkdir()
    (path / "inside.json").write_text("{}")


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def content(data: bytes) -> Damage:
    def apply(path: Path) -> None:
        path.write_bytes(data)
        os.utime(path, (OLD, OLD))

    return Damage(f"content {data[:200]!r}", apply)


NOT_REGULAR = (
    Damage("missing", lambda path: None),
    Damage("directory", directory),
    Damage("fifo", lambda path: os.mkfifo(path)),
    Damage("link to itself", lambda path: path.symlink_to(path.name)),
    Damage("link out", link("/etc/passwd")),
    Damage("link to nothing", link("/no/such/file")),
    Damage("link to a device", link("/dev/zero")),
)


def damages(original: bytes) -> st.SearchStrategy[Damage]:
    """Generate damages of a file with this content."""
    cut = st.integers(0, max(0, len(original) - 1)).map(lambda end: content(original[:end]))
    flipped = st.tuples(
        st.integers(0, max(0, len(original) - 1)), st.binary(min_size=1, max_size=4)
    )
    return st.one_of(
        RAW.map(content),
        cut,
        flipped.map(lambda at: content(original[: at[0]] + at[1] + original[at[0] + 1 :])),
        _changed(original),
        st.sampled_from(NOT_REGULAR),
    )


def _changed(original: bytes) -> st.SearchStrategy[Damage]:
    """Replace one value of the document, or of one of its lines, by an odd value."""
    try:
        return _with_odd_value(json.loads(original)).map(lambda v: content(_text(v)))
    except ValueError:
        lines = original.splitlines()
        if not lines:
            return RAW.map(content)
        return st.integers(0, len(lines) - 1).flatmap(lambda number: _changed_line(lines, number))


def _changed_line(lines: list[bytes], number: int) -> st.SearchStrategy[Damage]:
    try:
        changed = _with_odd_value(json.loads(lines[number])).map(_text)
    except ValueError:
        changed = RAW
    return changed.map(
        lambda line: content(b"\n".join([*lines[:number], line, *lines[number + 1 :], b""]))
    )


def _with_odd_value(value: Any) -> st.SearchStrategy[Any]:
    places: list[Any] = []
    if isinstance(value, dict):
        places = sorted(value)
    elif isinstance(value, list):
        places = list(range(len(value)))
    if not places:
        return ODD
    return ODD | st.sampled_from(places).flatmap(
        lambda place: _with_odd_value(value[place]).map(lambda odd: _replaced(value, place, odd))
    )


def _replaced(value: Any, place: Any, odd: Any) -> Any:
    copy = value.copy()
    copy[place] = odd
    return copy


def _text(value: Any) -> bytes:
    return json.dumps(value).encode()
