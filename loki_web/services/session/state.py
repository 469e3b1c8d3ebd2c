"""Liveness, status and progress of the session, for the API, the metrics and the live feed."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loki_web import __version__
from loki_web.services import events
from loki_web.services.context import Sources
from loki_web.services.cost import efficiency
from loki_web.services.redaction import redact
from loki_web.services.session import liveness
from loki_web.store.coerce import as_count, as_dict, entries_in, first_text
from loki_web.store.derived import derived
from loki_web.store.folder import Folder

STOPPED, RUNNING, PAUSED, AUTONOMOUS = "stopped", "running", "paused", "autonomous"
DASHBOARD_FILE = "dashboard-state.json"
_ORCHESTRATOR_FILE = "state/orchestrator.json"
_COUNCIL_FILE = "council/state.json"
_RUN_FILE = "autonomy-state.json"  # of newer sessions also in the folder of each
_CURRENT_TASK_FILE, IN_PROGRESS_FILE = "queue/current-task.json", "queue/in-progress.json"
# Files that say which iteration runs.
_PROGRESS = (
    DASHBOARD_FILE, _COUNCIL_FILE, _CURRENT_TASK_FILE, IN_PROGRESS_FILE, events.FILE,
)  # fmt: skip
_START_SLACK = 1.0  # seconds
_ITERATION_ID = re.compile(r"iteration-(\d{1,9})", re.ASCII)
_EFFICIENCY_FILE = re.compile(r"iteration-(\d{1,9})\.json", re.ASCII)


def read_dashboard_state(sources: Sources, name: str) -> Any:
    """Return a value of `dashboard-state.json`; None if it, or the file, is missing or damaged."""
    return sources.project.section(DASHBOARD_FILE, name)


def get_status_word(sources: Sources) -> str:
    """Return `stopped`, `paused`, `autonomous` or `running`."""
    if not liveness.get_liveness(sources).alive:
        return STOPPED
    if sources.project.exists("PAUSE"):
        return PAUSED
    return AUTONOMOUS if read_dashboard_state(sources, "mode") == AUTONOMOUS else RUNNING


def get_mode(sources: Sources) -> str:
    """Return the mode of the live session; `""` without one.

    The state file is written some seconds after `PAUSE`.
    """
    if not liveness.get_liveness(sources).alive:
        return ""
    if sources.project.exists("PAUSE"):
        return PAUSED
    return redact(first_text(read_dashboard_state(sources, "mode")))


def get_phase(sources: Sources) -> str:
    """Return the phase in `state/orchestrator.json` or in the state file, `""` without one.

    The state file is a copy: it is used if it was not written before the other.
    """
    copied = [read_dashboard_state(sources, name) for name in ("phase", "currentPhase")]
    original = as_dict(sources.project.document(_ORCHESTRATOR_FILE)).get("currentPhase")
    is_newer = sources.project.is_newer(_ORCHESTRATOR_FILE, DASHBOARD_FILE)
    return redact(first_text(original, *copied) if is_newer else first_text(*copied, original))


def get_provider(sources: Sources) -> str:
    """Return the AI provider, `claude` by default."""
    word = (sources.project.text("state/provider", limit=256) or "").strip()
    return redact(first_text(word, read_dashboard_state(sources, "provider"), default="claude"))


def get_complexity(sources: Sources) -> str:
    """Return the complexity of the project, `standard` by default."""
    return redact(first_text(read_dashboard_state(sources, "complexity"), default="standard"))


def get_version(sources: Sources) -> str:
    """Return the version of Loki Mode, or this server's if that is not known."""
    return get_loki_mode_version(sources) or __version__


def get_loki_mode_version(sources: Sources) -> str:
    """Return the version of Loki Mode: the session's, else the installed one; empty if unknown."""
    skill_dir = sources.settings.skill_dir
    installed = Folder(skill_dir).text("VERSION", limit=64) if skill_dir else None
    version = read_dashboard_state(sources, "version")
    return redact(first_text(version, (installed or "").strip(), default=""))


def get_started_at(sources: Sources) -> datetime | None:
    """Return the start of the live session, else of the latest: by its pid file or its event."""
    live = liveness.get_liveness(sources)
    if live.alive and live.started_at is not None:
        return datetime.fromtimestamp(live.started_at, UTC)
    for name in liveness.PID_FILES:
        version = sources.project.version(name)
        if version is not None:
            return datetime.fromtimestamp(version.mtime, UTC)
    return events.get_milestones(sources).started_at


def get_uptime_seconds(sources: Sources) -> float:
    """Return the seconds since the live session began; 0 without one.

    `startedAt` of the state file is the first start of the project, not that of the session.
    """
    session = liveness.get_liveness(sources)
    if not session.alive or session.started_at is None:
        return 0.0
    return max(0.0, sources.now().timestamp() - session.started_at)


@derived
def get_iteration(sources: Sources) -> int:
    """Return the greatest iteration in any file of this session (docs/files.md, section 17.1).

    The state file alone is not enough: its writer does not see the counter and writes 0.
    The files that the session before left count only as long as this one has written none.
    """
    iterations = {
        DASHBOARD_FILE: _get_state_iteration(sources),
        _COUNCIL_FILE: _get_council_iteration(sources),
        _CURRENT_TASK_FILE: _get_queue_iteration(sources, _CURRENT_TASK_FILE),
        IN_PROGRESS_FILE: _get_queue_iteration(sources, IN_PROGRESS_FILE),
        events.FILE: events.get_milestones(sources).iteration,
        **{name: _get_run_iteration(sources, name) for name in _list_run_files(sources)},
    }
    counted = [iteration for name, iteration in iterations.items() if not is_left(sources, name)]
    return max(*counted, _get_efficiency_iteration(sources))


def is_left(sources: Sources, name: str) -> bool:
    """Return whether a file was left by the session before the one that runs or ran last."""
    return name in _list_left(sources)


@derived
def _list_left(sources: Sources) -> frozenset[str]:
    progress = (*_PROGRESS, *_list_run_files(sources))
    versions = {name: sources.project.version(name) for name in (*progress, *liveness.PID_FILES)}
    times = {name: version.mtime for name, version in versions.items() if version}
    live = liveness.get_liveness(sources)
    began = live.started_at if live.alive else None
    since = began or max(times.get(name, 0.0) for name in liveness.PID_FILES)
    since -= _START_SLACK
    left = frozenset(name for name in progress if times.get(name, since) < since)
    has_written = any(times.get(name, 0.0) >= since for name in progress)
    return left if has_written else frozenset()


def _list_run_files(sources: Sources) -> list[str]:
    """Return the files in which newer runners count their iterations."""
    folders = (session for session, _ in liveness.get_liveness(sources).sessions)
    own = [f"sessions/{name}/{_RUN_FILE}" for name in folders if name != liveness.GLOBAL]
    return [_RUN_FILE, *own]


def _get_run_iteration(sources: Sources, name: str) -> int:
    return as_count(as_dict(sources.project.document(name)).get("iterationCount"))


def _get_state_iteration(sources: Sources) -> int:
    names = ("iteration", "currentIteration")
    return max(as_count(read_dashboard_state(sources, name)) for name in names)


def _get_council_iteration(sources: Sources) -> int:
    council = as_dict(sources.project.document(_COUNCIL_FILE))
    return as_count(council.get("last_track_iteration"))


def _get_queue_iteration(sources: Sources, name: str) -> int:
    entries = entries_in(sources.project.document(name), "tasks", ("id", "title", "type"))
    ids = (_ITERATION_ID.fullmatch(first_text(entry.get("id"))) for entry in entries)
    return max((int(match[1]) for match in ids if match), default=0)


@derived
def _get_efficiency_iteration(sources: Sources) -> int:
    """Return the greatest iteration of the efficiency files written since the session started.

    Files of earlier sessions stay until an iteration of the same number overwrites them.
    """
    started = get_started_at(sources)
    since = started.timestamp() if started else 0.0
    current = efficiency.get_collection(sources).modified_since(since)
    matches = map(_EFFICIENCY_FILE.fullmatch, current)
    return max((int(match[1]) for match in matches if match), default=0)


def get_project_name(sources: Sources) -> str:
    """Return the name in the state file, else the name of the project folder."""
    name = as_dict(read_dashboard_state(sources, "project")).get("name")
    return redact(first_text(name, default=get_project_path(sources).name))


def get_project_path(sources: Sources) -> Path:
    """Return the project folder that contains the `.loki/`."""
    return sources.project.path.parent
