"""JSON files, each parsed once per version.

A file that is rewritten in place is met empty or cut short for a moment. Within WRITE_GRACE_SECONDS
of its modification the last good content stands in for a damaged one, or where there is none the
file is read once more.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from loki_web.store import files, json_text
from loki_web.store.files import Version

MAX_DOCUMENT_BYTES = 32 * 1024 * 1024
WRITE_GRACE_SECONDS = 2.0
_RETRY_SECONDS = 0.03
_STRICT_TRIES = 3
_CLOCK_GRAIN_NS = 50_000_000
_MAX_HELD = 4096
_MAX_DERIVED = 64

Made = TypeVar("Made")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    version: Version
    settled: bool
    value: Any
    damaged: bool
    last_good: Any


class Documents:
    """The JSON files below one root. Values are shared between callers and must not be changed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._derived: OrderedDict[tuple[str, Callable[[Any], Any]], tuple[Any, Any]] = (
            OrderedDict()
        )
        self._lock = threading.Lock()

    def read(self, relative: str, *, strict: bool = False, version: Version | None = None) -> Any:
        """The content, or None when the file is missing, not usable or damaged.

        :param strict: read a file that is just being written again for a moment, but never let
            what it held before stand in for it.
        :param version: the file's, where the caller has just looked at it.
        """
        version = version or files.version(self._root, relative)
        if version is None:
            with self._lock:
                self._held.pop(relative, None)
            return None
        held = self._held.get(relative)
        if held is None or not held.settled or held.version != version:
            held = self._load(relative, version, held)
        if held.damaged and being_written(held.version):
            return self._read_again(relative, held) if strict else held.last_good
        return held.value

    def derived(self, relative: str, make: Callable[[Any], Made]) -> Made:
        """What `make` gives for the content, made once for each: shared, not to be changed."""
        value = self.read(relative)
        key = (relative, make)
        before = self._derived.get(key)
        if before is not None and before[0] is value:
            known: Made = before[1]
            return known
        made = make(value)
        with self._lock:
            self._derived[key] = (value, made)
            if len(self._derived) > _MAX_DERIVED:
                self._derived.popitem(last=False)
        return made

    def _read_again(self, relative: str, held: _Held) -> Any:
        for _ in range(_STRICT_TRIES):
            time.sleep(_RETRY_SECONDS)
            held = self._load(relative, held.version, held)
            if not held.damaged:
                return held.value
        return None

    def _load(self, relative: str, version: Version, before: _Held | None) -> _Held:
        held = self._parse(relative, version, before)
        if held.damaged and held.last_good is None and being_written(version):
            time.sleep(_RETRY_SECONDS)
            held = self._parse(relative, version, before)
        if held.damaged and held.settled:
            log.warning("left out damaged file %s", relative)
        with self._lock:
            self._held[relative] = held
            self._held.move_to_end(relative)
            while len(self._held) > _MAX_HELD:
                self._held.popitem(last=False)
        return held

    def _parse(self, relative: str, version: Version, before: _Held | None) -> _Held:
        read_at = time.time_ns()
        try:
            data, version = files.read(self._root, relative, MAX_DOCUMENT_BYTES)
            value = json_text.parse(data)
            damaged = False
        except (OSError, json_text.Damaged):
            value, damaged = None, True
        last_good = value if not damaged else before.last_good if before else None
        return _Held(version, settled(version, read_at), value, damaged, last_good)


def settled(version: Version, read_at_ns: int) -> bool:
    """False where a second write could still share the modification time of the first.

    The clock that stamps files has a grain; a file read within it may change without its version
    changing.
    """
    return read_at_ns - version.mtime_ns > _CLOCK_GRAIN_NS


def being_written(version: Version) -> bool:
    """True while a damaged file may be one that somebody is just rewriting in place."""
    return abs(time.time() - version.mtime) < WRITE_GRACE_SECONDS
