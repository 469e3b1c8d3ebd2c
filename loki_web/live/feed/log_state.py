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
from loki_web.store.follower import Place, Step

_CONTEXT_BYTES = 32 * 1024
_QUIET_SECONDS = 2.0


class LogSlice:
    """Follows the log file of the session.

    When another file has become the session's log, switch to it after _QUIET_SECONDS without new
    lines: the runner writes to two files at the same time. Of the other file, read what was written
    since the last new lines of this one.

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
        self._place: Place | None = None
        self._above: deque[str] = deque(maxlen=reader.CONTEXT_LINES)
        self._seen: dict[str, Version] = {}  # all logs, when the followed one last had new lines
        self._last_moment = 0.0
        self._is_read = False
        self.has_more = False

    @property
    def token(self) -> str:
        """Return the place of the end of what was read; `none` without a log."""
        return _name_place(self._place) if self._place else "none"

    def restore(self, value: object) -> None:
        """Begin at the end: `since` returns the lines after those that clients already have."""

    def refresh(self) -> list[Message]:
        """Return the lines that were written since the last call; none at the first call.

        None either when another project is shown than before.
        """
        shown = self._show()
        if shown is not self._sources or not self._is_read:
            self._sources = shown
            self._above.clear()
            self._is_read = True
            self._seen = self._versions()
            self._follow(reader.find_session_log(self._sources))
            return []
        versions = self._versions()
        messages = self._new_lines()
        if messages:
            self._last_moment = self._clock()
            self._seen = versions
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
        """Return the lines after a place in the current file; None if it was in another one."""
        if token == self.token:
            return []
        offset = token.partition(".")[2].partition(".")[0]
        if self._name is None or self._place is None:
            return None
        if not (offset.isascii() and offset.isdigit() and len(offset) < 20):
            return None
        missed: list[Message] = []
        place, above = self._place_before(int(offset))
        if token != _name_place(place):  # the file may have been truncated and have grown again
            return None
        while place.offset < self._place.offset:
            step = self._sources.project.log_after(self._name, place, self._place.offset)
            if step is None or step.skipped or step.place.offset <= place.offset:
                return None
            missed += self._messages(step, above)
            place, above = step.place, [*above, *step.lines][-reader.CONTEXT_LINES :]
        return missed

    def _new_lines(self) -> list[Message]:
        step = self._sources.project.log_after(self._name, self._place) if self._name else None
        self.has_more = step is not None and step.has_more
        if step is None:
            return []
        is_new = step.lines or step.skipped
        messages = self._messages(step, list(self._above)) if is_new else []
        self._above.extend(step.lines)
        self._place = step.place
        return messages

    def _switch_file(self) -> list[Message]:
        """Follow the file that is the session's log now."""
        name = reader.find_session_log(self._sources)
        if name is None or name == self._name:
            return []
        version = self._sources.project.version(name)
        if self._place and version and version.inode == self._place.inode:
            self._seen.pop(self._name or "", None)  # what comes under the former name is new
            self._name = name  # the same file, renamed or copied
        else:
            self._follow(name)
        return self._new_lines()

    def _follow(self, name: str | None) -> None:
        """Follow a file from the end that it had when last seen, a new one from its start."""
        self._name, self._place = name, None
        self._above.clear()
        seen = self._seen.get(name) if name else None
        if name and seen:
            self._place = self._sources.project.end_of_log(name, seen)
        if self._place:
            self._above.extend(self._place_before(self._place.offset)[1])

    def _place_before(self, offset: int) -> tuple[Place, list[str]]:
        """Return the cursor at an offset of the current file, and the lines before it."""
        inode = self._place.inode if self._place else -1
        start = Place(inode, max(0, offset - _CONTEXT_BYTES), inside=offset > _CONTEXT_BYTES)
        step = (
            self._sources.project.log_after(self._name, start, offset)
            if self._name and offset
            else None
        )
        is_there = step is not None and step.place.offset == offset
        mark = step.place.mark if step and is_there else b""
        return Place(inode, offset, mark), step.lines if step else []

    def _versions(self) -> dict[str, Version]:
        project = self._sources.project
        names = [f"logs/{name}" for name in project.file_names("logs", ".log")]
        versions = {name: project.version(name) for name in names}
        return {name: version for name, version in versions.items() if version}

    def _messages(self, step: Step, above: list[str]) -> list[Message]:
        entries: list[reader.LogEntryDict] = []
        if step.skipped:
            entries.append(_skipped_entry(step.skipped))
        written_at = datetime.now(UTC)
        entries += reader.parse_entries(step.lines, above=above, written_at=written_at)
        return [Message("log", entry) for entry in entries]


def _name_place(place: Place) -> str:
    """Return inode, offset, and a checksum of the bytes before it."""
    return f"{place.inode}.{place.offset}.{zlib.crc32(place.mark):x}"


def _skipped_entry(count: int) -> reader.LogEntryDict:
    text = f"{count} bytes of the log were skipped: it grows faster than it can be sent"
    return {"message": text, "level": "warning", "timestamp": ""}
