"""Is the session alive, and how far is it: the one answer for the API, the metrics and the page."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loki_web import __version__
from loki_web.services import events
from loki_web.services.context import Sources
from loki_web.services.redaction import redact
from loki_web.services.session import processes
from loki_web.store.coerce import Json, as_count, as_dict, dicts_in, first_text
from loki_web.store.derived import derived
from loki_web.store.folder import Folder
from loki_web.store.times import parse_time

STOPPED, RUNNING, PAUSED, AUTONOMOUS = "stopped", "running", "paused", "autonomous"
SESSION_FILE = "session.json"
PID_FILES = ("loki.pid", "run.pid")
_SKILL_SESSION_LIFE = timedelta(hours=6)
_ITERATION_ID = re.compile(r"iteration-(\d{1,9})", re.ASCII)
_EFFICIENCY_FILE = re.compile(r"iteration-(\d{1,9})\.json", re.ASCII)


@dataclass(frozen=True)
class Liveness:
    """:param pid: the live process, or None where a session has none that is known.
    :param pid_file: the file that names it, relative to the session's folder.
    """

    alive: bool
    pid: int | None = None
    pid_file: str | None = None


def state(folder: Folder) -> Json:
    """`dashboard-state.json`, or an empty object."""
    return as_dict(folder.document("dashboard-state.json"))


def liveness(folder: Folder, now: datetime) -> Liveness:
    """Whether a session runs (`spec` 17.1): a live pid, or a session file that says so credibly."""
    found = _recorded(folder)
    if isinstance(found, Liveness):
        return found
    return Liveness(found is not None and abs(now - found) < _SKILL_SESSION_LIFE)


@derived
def _recorded(folder: Folder) -> Liveness | datetime | None:
    """What the files and the processes tell; for a session without a process when it began."""
    for name in PID_FILES:
        pid = recorded_pid(folder, name)
        if _counts_as_alive(pid):
            return Liveness(True, pid, name)
    session = as_dict(folder.document(SESSION_FILE))
    if session.get("status") != "running":
        return Liveness(False)
    if session.get("pid") is not None:
        pid = processes.parse_pid(session["pid"])
        return Liveness(True, pid, SESSION_FILE) if _counts_as_alive(pid) else Liveness(False)
    return session_file_start(folder)


def recorded_pid(folder: Folder, name: str) -> int | None:
    """The pid that a pid file holds, alive or not."""
    return processes.parse_pid(folder.text(name, limit=64))


def session_file_start(folder: Folder) -> datetime | None:
    """When `session.json` says that its session began, else when the file was written."""
    session = as_dict(folder.document(SESSION_FILE))
    for key in ("startedAt", "started", "start_time", "startTime"):
        started = parse_time(session.get(key))
        if started is not None:
            return started
    version = folder.version(SESSION_FILE)
    return datetime.fromtimestamp(version.mtime, UTC) if version else None


def status_word(folder: Folder, now: datetime) -> str:
    """`stopped`, `paused`, `autonomous` or `running`."""
    if not liveness(folder, now).alive:
        return STOPPED
    if folder.exists("PAUSE"):
        return PAUSED
    return AUTONOMOUS if state(folder).get("mode") == AUTONOMOUS else RUNNING


def phase(folder: Folder) -> str:
    found = state(folder)
    orchestrator = as_dict(folder.document("state/orchestrator.json"))
    word = first_text(
        found.get("phase"), found.get("currentPhase"), orchestrator.get("currentPhase")
    )
    return redact(word)


def provider(folder: Folder) -> str:
    word = (folder.text("state/provider", limit=256) or "").strip()
    return redact(first_text(word, state(folder).get("provider"), default="claude"))


def complexity(folder: Folder) -> str:
    return redact(first_text(state(folder).get("complexity"), default="standard"))


def version(src: Sources) -> str:
    """The product version: that of the session, of the installation, or of this server."""
    skill_dir = src.settings.skill_dir
    installed = Folder(skill_dir).text("VERSION", limit=64) if skill_dir else None
    recorded = state(src.project).get("version")
    return redact(first_text(recorded, (installed or "").strip(), default=__version__))


def started_at(folder: Folder) -> datetime | None:
    """When the latest session began: its pid file's time, else its event, else unknown."""
    for name in PID_FILES:
        written = folder.version(name)
        if written is not None:
            return datetime.fromtimestamp(written.mtime, UTC)
    return events.get_milestones(folder).started_at


def uptime_seconds(folder: Folder, now: datetime) -> float:
    """Seconds since the session of the project began; 0 when none runs (`spec` 17)."""
    if not liveness(folder, now).alive:
        return 0.0
    started = parse_time(state(folder).get("startedAt"))
    if started is None or started > now:
        started = started_at(folder) or session_file_start(folder)
    return max(0.0, (now - started).total_seconds()) if started else 0.0


def session_uptime_seconds(folder: Folder, now: datetime) -> float:
    """Seconds since the live session's own start; 0 when none runs."""
    if not liveness(folder, now).alive:
        return 0.0
    started = started_at(folder) or session_file_start(folder)
    return max(0.0, (now - started).total_seconds()) if started else 0.0


@derived
def iteration(folder: Folder) -> int:
    """The greatest iteration that any file of this session tells of (`spec` 17.1).

    The state file is written by a process that does not see the counter, so it alone says 0.
    """
    found = state(folder)
    council = as_dict(folder.document("council/state.json"))
    return max(
        as_count(found.get("iteration")),
        as_count(found.get("currentIteration")),
        as_count(council.get("last_track_iteration")),
        _iteration_in_queue(folder),
        _iteration_in_efficiency(folder),
        events.get_milestones(folder).iteration,
    )


def _counts_as_alive(pid: int | None) -> bool:
    return pid is not None and not processes.is_own(pid) and processes.is_alive(pid)


def _iteration_in_queue(folder: Folder) -> int:
    in_progress = folder.document("queue/in-progress.json")
    entries = [as_dict(folder.document("queue/current-task.json"))]
    entries += dicts_in(as_dict(in_progress).get("tasks", in_progress))
    ids = (_ITERATION_ID.fullmatch(first_text(entry.get("id"))) for entry in entries)
    return max((int(match[1]) for match in ids if match), default=0)


@derived
def _iteration_in_efficiency(folder: Folder) -> int:
    """The greatest of this session: its files overwrite those of earlier ones one by one."""
    started = started_at(folder)
    since = started.timestamp() if started else 0.0
    files = folder.collection("metrics/efficiency")
    files.items()
    versions = files.versions()
    current = (name for name, version in versions.items() if version.mtime >= since)
    matches = map(_EFFICIENCY_FILE.fullmatch, current)
    return max((int(match[1]) for match in matches if match), default=0)


def project_path(folder: Folder) -> Path:
    """The project that a `.loki/` belongs to."""
    return folder.path.parent
