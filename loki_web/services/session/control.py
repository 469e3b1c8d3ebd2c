"""Pause, resume and stop the session (docs/files.md, section 3.5)."""

from typing import Any, NotRequired

from loki_web.services.context import Sources, WritableSources
from loki_web.services.session import processes, signal_files, state
from loki_web.services.types import SuccessDict
from loki_web.store.coerce import as_dict


def pause_session(sources: WritableSources) -> SuccessDict:
    """Write PAUSE; the runner waits before its next iteration until the file is gone."""
    signal_files.write_signal_file(sources, "PAUSE")
    return {"success": True, "message": "Session paused"}


def resume_session(sources: WritableSources) -> SuccessDict:
    """Remove PAUSE and STOP."""
    for name in ("PAUSE", "STOP"):
        sources.project.remove(name)
    return {"success": True, "message": "Session resumed"}


class StoppedDict(SuccessDict):
    """The answer to a stop."""

    process_signalled: NotRequired[bool]


def stop_session(sources: WritableSources) -> StoppedDict:
    """Write STOP, then send SIGTERM to the runner.

    The order matters: a runner that gets SIGTERM while there is no STOP pauses instead of ending.

    :return: `process_signalled` is False when no process is certainly that of the session.
    """
    liveness = state.get_liveness(sources)
    signal_files.write_signal_file(sources, "STOP")
    signalled = _terminate(sources, liveness)
    _mark_session_stopped(sources, liveness)
    message = "Stop signal sent" if signalled else "Stop file written; Loki process not found"
    return {"success": True, "message": message, "process_signalled": signalled}


def _terminate(sources: Sources, liveness: state.Liveness) -> bool:
    version = sources.project.version(liveness.pid_file) if liveness.pid_file else None
    if version is None:
        return False
    in_session_file = liveness.pid_file == state.SESSION_FILE
    started = state.get_session_file_start(sources) if in_session_file else None
    return processes.terminate(
        liveness.pid,
        written_at=version.mtime,
        recorded_start=started.timestamp() if started else None,
    )


def _mark_session_stopped(sources: WritableSources, liveness: state.Liveness) -> None:
    """Set the status in `session.json`, unless its own process, named in that file, does so."""
    if liveness.pid_file == state.SESSION_FILE or not _says_running(
        sources.project.document(state.SESSION_FILE)
    ):
        return
    with sources.project.locked(state.SESSION_FILE):
        session = sources.project.document_for_update(state.SESSION_FILE)
        if _says_running(session):
            sources.project.write_json(state.SESSION_FILE, {**session, "status": state.STOPPED})


def _says_running(content: Any) -> bool:
    return as_dict(content).get("status") == state.RUNNING
