"""JSON objects one after the other, on lines of their own or printed over several."""

import re
from typing import BinaryIO

from loki_web.store import json_text
from loki_web.store.coerce import Json
from loki_web.store.files import Version, read_up_to
from loki_web.store.inputs import FileInput
from loki_web.store.look import Content, observe

WINDOW_BYTES = 10 * 1024 * 1024
MAX_PIECE = 1024 * 1024  # characters
_PIECE_START = re.compile(r"^(?=\{)", re.MULTILINE)


class JsonStream(FileInput):
    """One such file, parsed once for each content."""

    def objects(self) -> list[Json]:
        """The objects in the last WINDOW_BYTES of the file, in its order; see `objects_in`.

        They are shared: do not change them. Empty where the file cannot be read.
        """
        found: Content = observe(self)
        objects: list[Json] = found.value
        return objects

    def _read(self, stream: BinaryIO, found: Version) -> bytes:
        stream.seek(max(0, found.size - WINDOW_BYTES))
        return read_up_to(stream, WINDOW_BYTES)

    def _parsed(self, data: bytes | None) -> list[Json]:
        return objects_in((data or b"").decode("utf-8-sig", errors="replace"))


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
