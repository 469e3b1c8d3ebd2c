"""Choose the session's log file, and read its last lines (docs/files.md, section 6)."""

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NotRequired, TypedDict, TypeVar

from loki_web.services.context import Sources
from loki_web.services.logs import parser
from loki_web.services.redaction import redact_lines
from loki_web.store.times import zoneless

MAX_LINES = 10_000
MAX_MESSAGE = 4096
_PREFERRED = "session.log"
_PREFERRED_NS = 60_000_000_000  # how much newer other logs may be; else it is an old session's
_SAME_MOMENT_NS = 1_000_000_000  # logs that the runner writes together differ by less
_TEST = re.compile(r"(?<![a-z])tests?(?![a-z])", re.IGNORECASE)
_RANKS = ("agent.log", "autonomy-", "background-")
_WINDOWS = (512, 4096, 2 * MAX_LINES)  # few numbers of lines: the last lines are held for each
CONTEXT_LINES = 200  # before a line, for redaction: more than the longest private key has
_REDACTED_LENGTH = 4 * MAX_MESSAGE


T = TypeVar("T")


class ColorDict(TypedDict):
    """The color of a part of a message, in characters."""

    start: int
    end: int
    color: str


class LogEntryDict(TypedDict):
    """A line of the log: redacted, with the time in UTC, without a zone."""

    message: str
    level: str
    timestamp: str
    timestamp_estimated: NotRequired[bool]
    cursor: NotRequired[str]
    colors: NotRequired[list[ColorDict]]


def list_entries(sources: Sources, lines: int) -> list[LogEntryDict]:
    """Return the last entries of the session's log, oldest first.

    The result for fewer lines is always the end of the result for more lines.

    :param lines: the number of visible lines to return at most.
    :return: entries with `message`, `level` and `timestamp`.
    """
    name = find_session_log(sources)
    version = sources.project.version(name) if name else None
    if name is None or version is None:
        return []
    written_at = datetime.fromtimestamp(version.mtime, UTC)
    least = min(2 * lines + CONTEXT_LINES, _WINDOWS[-1])
    for size in (next(size for size in _WINDOWS if size >= least), _WINDOWS[-1]):
        window = sources.project.tail(name, size)
        start, is_enough = _find_start(window, lines)
        above = window[:start]
        is_whole = len(window) < size or size == _WINDOWS[-1]
        if is_whole or (
            is_enough and start >= CONTEXT_LINES and _find_last_moment(above, written_at)
        ):
            break
    return parse_entries(window[start:], above=above, written_at=written_at)


def find_session_log(sources: Sources) -> str | None:
    """Return the path of the session's log relative to its folder, None without one.

    That is `session.log`, if no other log was written more than a minute after it. Otherwise it is
    the log written last; of logs written within a second, the one with the most detail.
    """
    times = {}
    for name in sources.project.file_names("logs", ".log"):
        version = sources.project.version(f"logs/{name}") if _is_session_log(name) else None
        if version and version.size:
            times[name] = version.mtime_ns
    newest = max(times.values(), default=0)
    if newest - times.get(_PREFERRED, 0) <= _PREFERRED_NS and _PREFERRED in times:
        return f"logs/{_PREFERRED}"
    latest = [name for name, time in times.items() if newest - time < _SAME_MOMENT_NS]
    best = min(latest, key=lambda name: (_get_rank(name), -times[name]), default=None)
    return f"logs/{best}" if best else None


def parse_entries(
    lines: Sequence[str],
    *,
    written_at: datetime,
    above: Sequence[str] = (),
) -> list[LogEntryDict]:
    """Return the entries of raw log lines, see `parse_numbered`."""
    return [entry for _, entry in parse_numbered(lines, written_at=written_at, above=above)]


def parse_numbered(
    lines: Sequence[str],
    *,
    written_at: datetime,
    above: Sequence[str] = (),
) -> Iterator[tuple[int, LogEntryDict]]:
    """Yield the entries of raw log lines, each with the index of its line.

    Lines without visible characters are skipped. A line without a time gets the time of the nearest
    line that has one (the line above, if two are equally near) and `timestamp_estimated`.

    :param written_at: when the file was last written: the time of lines in a log without any time.
    :param above: the preceding lines of the file, for the time and for key blocks that begin there.
    """
    context = _parse_lines(above[-CONTEXT_LINES:], written_at)
    parsed = _parse_lines(lines, written_at)
    messages = redact_lines([_limit_for_redaction(line.message) for _, line in (*context, *parsed)])
    timed = _list_times(parsed, above, written_at)
    places = [number for number, _ in timed]
    last, timestamp = written_at, zoneless(written_at)
    for (number, line), message in zip(_consume(parsed), messages[len(context) :], strict=True):
        moment = line.moment or _find_nearest(timed, bisect(places, number), number) or written_at
        if moment != last:
            last, timestamp = moment, zoneless(moment)
        entry: LogEntryDict = {
            "message": _cut(message),
            "level": line.level,
            "timestamp": timestamp,
        }
        if line.moment is None:
            entry["timestamp_estimated"] = True
        yield number, entry


def _consume(items: list[T]) -> Iterator[T]:
    """Yield the items of a list, and free each: of many lines, those that are done take memory."""
    items.reverse()
    while items:
        yield items.pop()


def _find_start(window: Sequence[str], lines: int) -> tuple[int, bool]:
    """Return where the last `lines` visible lines begin, and whether there are as many."""
    start, visible = len(window), 0
    while start and visible < lines:
        start -= 1
        visible += bool(parser.clean_line(window[start]))
    return start, visible == lines


def _parse_lines(lines: Sequence[str], written_at: datetime) -> list[tuple[int, parser.LogLine]]:
    """Return the visible lines with their numbers."""
    texts = enumerate(map(parser.clean_line, lines))
    return [(number, parser.parse_line(text, written_at)) for number, text in texts if text]


def _list_times(
    parsed: list[tuple[int, parser.LogLine]], above: Sequence[str], written_at: datetime
) -> list[tuple[int, datetime]]:
    """Return the times near lines that have none, with the numbers of their lines."""
    if all(line.moment for _, line in parsed):
        return []
    timed = [(number, line.moment) for number, line in parsed if line.moment]
    before = [] if parsed[0][1].moment else _find_last_moment(above, written_at)
    return [*before, *timed]


def _find_last_moment(above: Sequence[str], written_at: datetime) -> list[tuple[int, datetime]]:
    """Return the last time in the lines above and its line: -1 for the last one. Empty if none."""
    for number in range(-1, -len(above) - 1, -1):
        if parser.may_have_time(above[number]):
            moment = parser.parse_line(parser.clean_line(above[number]), written_at).moment
            if moment:
                return [(number, moment)]
    return []


def _find_nearest(
    timed: Sequence[tuple[int, datetime]], index: int, number: int
) -> datetime | None:
    """Return the time that is nearest to a line; None if there is none.

    :param timed: numbers and times of the lines that have a time.
    :param index: of the first of them below the line.
    """
    around = timed[max(0, index - 1) : index + 1]
    return min(around, key=lambda place: abs(place[0] - number), default=(0, None))[1]


def _is_session_log(name: str) -> bool:
    return not (name == "api.log" or name.startswith("dashboard") or _TEST.search(name))


def _get_rank(name: str) -> int:
    return next((rank for rank, start in enumerate(_RANKS) if name.startswith(start)), len(_RANKS))


def _limit_for_redaction(message: str) -> str:
    """Cut a message before redaction: longer than what is returned, and between words."""
    if len(message) <= _REDACTED_LENGTH:
        return message
    return message[:_REDACTED_LENGTH].rsplit(None, 1)[0]


def _cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
