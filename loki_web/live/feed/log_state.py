"""The channel `logs`: new lines of the session's log, redacted, in the form of `/api/logs`."""

import time
import zlib
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from loki_web.live.messages import Message
from loki_web.services.context import Sources
from loki_web.services.logs import reader
from loki_web.store.files import Version
from loki_web.store.follower import Chunk, Cursor

_CONTEXT_BYTES = 32 * 1024
_QUIET_SECONDS = 2.0


class LogSlice:
    """Follows the log file of the session.

    When another file has become the session's log, switch to it after _QUIET_SECONDS without new
    lines: the runner writes to two files at the same time. The other file is read from where it
    ended when this one last had new lines.

    :param show: returns the sources of the project to show.
    """

    def __init__(
        self,
        sources: Sources,
        show: Callable[[], Sources],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._show = show
        self._sources = sources  # of the project that is shown
        self._clock = clock
        self._name: str | None = None
        self._cursor: Cursor | None = None
        self._above: deque[str] = deque(maxlen=reader.CONTEXT_LINES)
        self._versions: dict[str, Version] = {}  # of all logs, when this one last had new lines
        self._last_moment = 0.0
        self._is_read = False
        self.has_more = False

    @property
    def token(self) -> str:
        """Return the cursor after the last line that was read; `none` without a log."""
        return _format_cursor(self._cursor) if self._cursor else "none"

    def restore(self, value: object) -> None:
        """Begin at the end: `since` returns the lines after those that clients already have."""

    def refresh(self) -> list[Message]:
        """Return the lines that were written since the last call.

        The first call for a project that is shown returns none.
        """
        shown = self._show()
        if shown is not self._sources or not self._is_read:
            self._sources = shown
            self._above.clear()
            self._is_read = True
            self._versions = self._read_versions()
            self._follow(reader.find_session_log(self._sources))
            return []
        versions = self._read_versions()
        messages = self._new_lines()
        if messages:
            self._last_moment = self._clock()
            self._versions = versions
        elif self._clock() - self._last_moment >= _QUIET_SECONDS:
            return self._switch_file()
        return messages

    def current(self) -> list[Message]:
        """Return no messages: the log has no first message."""
        return []

    def whole(self) -> list[Message]:
        """Return no messages: clients read the lines from the API."""
        return []

    def since(self, token: str) -> list[Message] | None:
        """Return the lines after a cursor in the current file; None if it is of another one."""
        if token == self.token:
            return []
        offset = token.partition(".")[2].partition(".")[0]
        if self._name is None or self._cursor is None:
            return None
        if not (offset.isascii() and offset.isdigit() and len(offset) < 20):
            return None
        missed: list[Message] = []
        cursor, above = self._cursor_at(int(offset))
        if token != _format_cursor(cursor):  # the file may have been truncated and have grown again
            return None
        while cursor.offset < self._cursor.offset:
            chunk = self._sources.project.log_after(self._name, cursor, self._cursor.offset)
            if chunk is None or chunk.skipped or chunk.cursor.offset <= cursor.offset:
                return None
            missed += self._messages(chunk, above)
            cursor, above = chunk.cursor, [*above, *chunk.lines][-reader.CONTEXT_LINES :]
        return missed

    def _new_lines(self) -> list[Message]:
        chunk = self._sources.project.log_after(self._name, self._cursor) if self._name else None
        self.has_more = chunk is not None and chunk.has_more
        if chunk is None:
            return []
        is_new = chunk.lines or chunk.skipped
        messages = self._messages(chunk, list(self._above)) if is_new else []
        self._above.extend(chunk.lines)
        self._cursor = chunk.cursor
        return messages

    def _switch_file(self) -> list[Message]:
        """Follow the file that is the session's log now."""
        name = reader.find_session_log(self._sources)
        if name is None or name == self._name:
            return []
        version = self._sources.project.version(name)
        if self._cursor and version and version.inode == self._cursor.inode:
            self._versions.pop(self._name or "", None)  # what comes under the former name is new
            self._name = name  # the same file, renamed or copied
        else:
            self._follow(name)
        return self._new_lines()

    def _follow(self, name: str | None) -> None:
        """Follow a file from the end that it had when last seen, a new one from its start."""
        self._name, self._cursor = name, None
        self._above.clear()
        version = self._versions.get(name) if name else None
        if name and version:
            self._cursor = self._sources.project.end_of_log(name, version)
        if self._cursor:
            self._above.extend(self._cursor_at(self._cursor.offset)[1])

    def _cursor_at(self, offset: int) -> tuple[Cursor, list[str]]:
        """Return the cursor at an offset of the current file, and the lines before it."""
        inode = self._cursor.inode if self._cursor else -1
        start = Cursor(inode, max(0, offset - _CONTEXT_BYTES), inside=offset > _CONTEXT_BYTES)
        chunk = (
            self._sources.project.log_after(self._name, start, offset)
            if self._name and offset
            else None
        )
        is_there = chunk is not None and chunk.cursor.offset == offset
        mark = chunk.cursor.mark if chunk and is_there else b""
        return Cursor(inode, offset, mark), chunk.lines if chunk else []

    def _read_versions(self) -> dict[str, Version]:
        project = self._sources.project
        names = [f"logs/{name}" for name in project.file_names("logs", ".log")]
        versions = {name: project.version(name) for name in names}
        return {name: version for name, version in versions.items() if version}

    def _messages(self, chunk: Chunk, above: list[str]) -> list[Message]:
        entries: list[reader.LogEntryDict] = []
        if chunk.skipped:
            entries.append(_skipped_entry(chunk.skipped))
        written_at = datetime.now(UTC)
        entries += reader.parse_entries(chunk.lines, above=above, written_at=written_at)
        return [Message("log", entry) for entry in entries]


def _format_cursor(cursor: Cursor) -> str:
    """Return inode, offset, and a checksum of the bytes before it."""
    return f"{cursor.inode}.{cursor.offset}.{zlib.crc32(cursor.mark):x}"


def _skipped_entry(count: int) -> reader.LogEntryDict:
    text = f"{count} bytes of the log were skipped: it grows faster than it can be sent"
    return {"message": text, "level": "warning", "timestamp": ""}
