"""JSON objects one after the other, on lines of their own or printed over several."""

import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from loki_web.store import files, json_text
from loki_web.store.documents import settled
from loki_web.store.shapes import Json

WINDOW_BYTES = 10 * 1024 * 1024
MAX_PIECE = 1024 * 1024  # characters
_PIECE_START = re.compile(r"^(?=\{)", re.MULTILINE)


@dataclass(slots=True)
class JsonStream:
    """One such file, parsed once per version."""

    root: Path
    relative: str
    _version: files.Version | None = None
    _settled: bool = False
    _objects: list[Json] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def objects(self) -> list[Json]:
        """The objects in the last WINDOW_BYTES of the file, in its order; see `objects_in`.

        They are shared: do not change them. Empty where the file cannot be read.
        """
        with self._lock:
            version = files.version(self.root, self.relative)
            if version is None or not self._settled or version != self._version:
                self._load()
            return self._objects

    def _load(self) -> None:
        read_at = time.time_ns()
        try:
            with files.opened(self.root, self.relative) as (stream, found):
                stream.seek(max(0, found.size - WINDOW_BYTES))
                data = files.read_up_to(stream, WINDOW_BYTES)
        except OSError:
            self._version, self._settled, self._objects = None, False, []
            return
        self._version, self._settled = found, settled(found, read_at)
        self._objects = objects_in(data.decode("utf-8-sig", errors="replace"))


def objects_in(text: str) -> list[Json]:
    """The objects of a text that holds JSON values separated by white space.

    After a bad piece reading goes on at the next line that starts with `{`. No value is looked
    for across such a line: writers indent what lies inside, so the cost stays proportional to the
    text whatever is in it. Pieces of more than MAX_PIECE characters are left out.
    """
    found: list[Json] = []
    for piece in _PIECE_START.split(text):
        if len(piece) <= MAX_PIECE:
            found += [value for value in json_text.values_in(piece) if isinstance(value, dict)]
    return found
