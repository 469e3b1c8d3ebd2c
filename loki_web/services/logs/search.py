"""Search the whole log of the session, without an index, with a bound on the work of a call."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from loki_web.errors import NotFound
from loki_web.services.context import Sources
from loki_web.services.logs import parser, reader
from loki_web.services.logs.reader import ColorDict, LogEntryDict
from loki_web.store.files import Version
from loki_web.store.folder import Folder
from loki_web.store.times import zoneless

MAX_BYTES = 1 << 20  # that one call reads: about a quarter of a second
_BLOCK_BYTES = 128 * 1024
_ABOVE_BYTES = 64 * 1024  # context for redaction and for the times of lines without one
_BELOW_BYTES = 16 * 1024
_PROBE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Cursor:
    """The offset of a line in the file with an inode, which clients send back.

    Unlike a `follower.Cursor` it does not survive a rotation: a cursor of another file is refused.

    :param inode: None for whichever file is the log.
    """

    inode: int | None
    offset: int

    def __str__(self) -> str:
        return f"{self.inode}.{self.offset}"


START = Cursor(None, -1)


def find_entries(
    sources: Sources,
    *,
    lines: int,
    query: str | None = None,
    level: frozenset[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: Cursor | None = None,
    after: Cursor | None = None,
) -> tuple[list[LogEntryDict], Cursor | None]:
    """Return the entries that match, oldest first, and the cursor with which to go on, if any.

    They are the last ones before `before` or the end of the log; the first ones after `after`, if
    only that is given. One call reads MAX_BYTES at most, so it can find few entries, or none, and
    still return a cursor: for the same parameter, `before` or `after`. What is matched is the
    redacted message, as it is returned.

    :param lines: how many entries to return at most.
    :param query: a text in the message, regardless of case.
    :param level: the levels to return.
    :param since: the first second to return. Where the log is not in the order of time, entries
        more than _BLOCK_BYTES away from their place are not found.
    :param until: the last second to return.
    :raises NotFound: if a cursor is of another log than the present one.
    """
    first = zoneless(since) if since else None
    last = zoneless(until) if until else None
    name = reader.find_session_log(sources)
    version = sources.project.version(name) if name else None
    for cursor in (before, after):
        if cursor and cursor.inode is not None and (not version or cursor.inode != version.inode):
            raise NotFound("The log of this cursor is no longer there")
    if name is None or version is None:
        return [], None
    log = _Log(sources.project, name, version)
    low = after.offset + 1 if after else 0
    high = min(before.offset, version.size) if before else version.size
    if first:
        low = max(low, log.find_time(lambda time: time >= first)[0])
    if last:
        high = min(high, log.find_time(lambda time: time > last)[1])
    needle = query.casefold() if query else ""

    def matches(entry: LogEntryDict) -> bool:
        return (
            (level is None or entry["level"] in level)
            and (first is None or entry["timestamp"] >= first)
            and (last is None or entry["timestamp"] <= last)
            and needle in entry["message"].casefold()
        )

    scan = _scan_forwards if after and not before else _scan_backwards
    hits, offset = scan(log, low, high, lines, matches)
    return (
        [{**entry, "cursor": str(Cursor(version.inode, at))} for at, entry in hits],
        None if offset is None else Cursor(version.inode, offset),
    )


_Hits = tuple[list[tuple[int, LogEntryDict]], int | None]


def _scan_backwards(
    log: "_Log", low: int, high: int, lines: int, matches: Callable[[LogEntryDict], bool]
) -> _Hits:
    hits: list[tuple[int, LogEntryDict]] = []
    lowest = max(low, high - MAX_BYTES)
    while high > lowest and len(hits) < lines:
        start = max(lowest, high - _BLOCK_BYTES)
        hits = [pair for pair in log.entries(start, high) if matches(pair[1])] + hits
        high = start
    if len(hits) > lines:
        hits = hits[-lines:]
        return hits, hits[0][0]
    return hits, high if high > low else None


def _scan_forwards(
    log: "_Log", low: int, high: int, lines: int, matches: Callable[[LogEntryDict], bool]
) -> _Hits:
    hits: list[tuple[int, LogEntryDict]] = []
    highest = min(high, low + MAX_BYTES)
    while low < highest and len(hits) < lines:
        stop = min(highest, low + _BLOCK_BYTES)
        hits += [pair for pair in log.entries(low, stop) if matches(pair[1])]
        low = stop
    if len(hits) > lines:
        hits = hits[:lines]
        return hits, hits[-1][0]
    return hits, low - 1 if low < high else None


class _Log:
    """The log in one version of its file."""

    def __init__(self, folder: Folder, name: str, version: Version) -> None:
        self._folder = folder
        self._name = name
        self._size = version.size
        self._written_at = datetime.fromtimestamp(version.mtime, UTC)

    def entries(self, start: int, stop: int) -> list[tuple[int, LogEntryDict]]:
        """Return the entries of the lines that begin between two offsets, with their offsets."""
        around = self._folder.lines_between(
            self._name,
            max(0, start - _ABOVE_BYTES),
            min(self._size, stop + _BELOW_BYTES),
        )
        above = [text for offset, text in around if offset < start]
        own = around[len(above) :]
        parsed = reader.parse_numbered(
            [text for _, text in own], above=above, written_at=self._written_at
        )
        placed = [(own[number][0], _colored(entry, own[number][1])) for number, entry in parsed]
        return [pair for pair in placed if pair[0] < stop]

    def find_time(self, is_past: Callable[[str], bool]) -> tuple[int, int]:
        """Return two offsets: before the first no line is past a time, after the second each is.

        Bisection finds them up to a block too far apart.
        """
        low, high = 0, self._size
        while high - low > _BLOCK_BYTES:
            middle = (low + high) // 2
            time = self._first_time(middle)
            if time is None:
                break
            if is_past(time):
                high = middle
            else:
                low = middle
        return low - _BLOCK_BYTES, high + _BLOCK_BYTES

    def _first_time(self, offset: int) -> str | None:
        for _, line in self._folder.lines_between(self._name, offset, offset + _PROBE_BYTES):
            if parser.may_have_time(line):
                moment = parser.parse_line(parser.clean_line(line), self._written_at).moment
                if moment:
                    return zoneless(moment)
        return None


def _colored(entry: LogEntryDict, line: str) -> LogEntryDict:
    """Return an entry with the colors of its line; without, if the message was redacted or cut."""
    spans = parser.find_colors(line)
    text = parser.clean_line(line) if spans else ""
    if not text.endswith(entry["message"]) or text.startswith("{"):
        return entry
    shift = len(text) - len(entry["message"])
    colors: list[ColorDict] = [
        {"start": max(0, start - shift), "end": end - shift, "color": color}
        for start, end, color in spans
        if end > shift
    ]
    return {**entry, "colors": colors} if colors else entry
