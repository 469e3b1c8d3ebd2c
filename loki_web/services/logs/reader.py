"""Choice of the session's log file, and its last lines as entries (docs/files.md, section 6)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from loki_web.services.context import Sources
from loki_web.services.logs import parser
from loki_web.services.redaction import redact_lines
from loki_web.store.coerce import Json
from loki_web.store.times import zoneless

MAX_LINES = 10_000
MAX_MESSAGE = 4096
_PREFERRED = "logs/session.log"
_SAME_MOMENT_NS = 1_000_000_000  # logs that the runner writes together differ by less
_RANKS = ("agent.log", "autonomy-", "background-")
_WINDOW_LINES = 2 * MAX_LINES
_CONTEXT_LINES = 200  # more than the longest private key in a log has
_REDACTED_LENGTH = 4 * MAX_MESSAGE


def list_entries(sources: Sources, lines: int) -> list[Json]:
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
    for size in (min(2 * lines + _CONTEXT_LINES, _WINDOW_LINES), _WINDOW_LINES):
        window = sources.project.tail(name, size)
        start, is_enough = _find_start(window, lines)
        above = window[:start]
        is_whole = len(window) < size or size == _WINDOW_LINES
        if is_whole or (
            is_enough and start >= _CONTEXT_LINES and _find_last_moment(above, written_at)
        ):
            break
    return parse_entries(window[start:], above=above, written_at=written_at)


def find_session_log(sources: Sources) -> str | None:
    """Return the path of the session's log relative to its folder, None without one.

    That is `session.log`, else the newest log; of logs written within a second, the one with the
    most detail.
    """
    preferred = sources.project.version(_PREFERRED)
    if preferred and preferred.size:
        return _PREFERRED
    logs = []
    for name in sources.project.file_names("logs", ".log"):
        version = sources.project.version(f"logs/{name}")
        if version and version.size and _is_session_log(name):
            logs.append((name, version.mtime_ns))
    newest = max((mtime_ns for _, mtime_ns in logs), default=0)
    candidates = [item for item in logs if newest - item[1] < _SAME_MOMENT_NS]
    candidates.sort(key=lambda item: (_get_rank(item[0]), -item[1]))
    return f"logs/{candidates[0][0]}" if candidates else None


def parse_entries(
    lines: Sequence[str],
    *,
    written_at: datetime,
    above: Sequence[str] = (),
    last_known: datetime | None = None,
) -> list[Json]:
    """Return the entries of raw log lines; lines without visible characters are skipped.

    :param written_at: when the file was last written: the time of lines without any time above.
    :param above: the preceding lines of the file, for the time and for key blocks that begin there.
    :param last_known: the last time before `above`, if the caller knows it.
    """
    context = _parse_lines(above[-_CONTEXT_LINES:], written_at)
    parsed = _parse_lines(lines, written_at)
    messages = redact_lines([_limit_for_redaction(line.message) for line in (*context, *parsed)])
    moment = None
    if parsed and parsed[0].moment is None:
        moment = _find_last_moment(above, written_at) or last_known or written_at
    entries = []
    for line, message in zip(parsed, messages[len(context) :], strict=True):
        moment = line.moment or moment or written_at
        entries.append(
            {"message": _cut(message), "level": line.level, "timestamp": zoneless(moment)}
        )
    return entries


def _find_start(window: Sequence[str], lines: int) -> tuple[int, bool]:
    """Return where the last `lines` visible lines begin, and whether there are as many."""
    start, visible = len(window), 0
    while start and visible < lines:
        start -= 1
        visible += bool(parser.clean_line(window[start]))
    return start, visible == lines


def _parse_lines(lines: Sequence[str], written_at: datetime) -> list[parser.LogLine]:
    texts = map(parser.clean_line, lines)
    return [parser.parse_line(text, written_at) for text in texts if text]


def _find_last_moment(above: Sequence[str], written_at: datetime) -> datetime | None:
    stamped = filter(parser.may_have_time, reversed(above))
    moments = (parser.parse_line(parser.clean_line(line), written_at).moment for line in stamped)
    return next((moment for moment in moments if moment), None)


def _is_session_log(name: str) -> bool:
    return not (name == "api.log" or name.startswith("dashboard") or "test" in name)


def _get_rank(name: str) -> int:
    return next((rank for rank, start in enumerate(_RANKS) if name.startswith(start)), len(_RANKS))


def _limit_for_redaction(message: str) -> str:
    """Cut a message before redaction: longer than what is returned, and between words."""
    if len(message) <= _REDACTED_LENGTH:
        return message
    return message[:_REDACTED_LENGTH].rsplit(None, 1)[0]


def _cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
