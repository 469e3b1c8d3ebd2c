"""Pause, resume and stop: files that the runner obeys, and for stop one SIGTERM."""

from typing import Any

from loki_web.services.context import Sources
from loki_web.services.session import processes, signal_files, state
from loki_web.store.coerce import Json, as_dict
from loki_web.store.folder import Folder


def pause(src: Sources) -> Json:
    signal_files.write_signal_file(src.project, "PAUSE", src.now())
    return {"success": True, "message": "Session paused"}


def resume(src: Sources) -> Json:
    for name in ("PAUSE", "STOP"):
        src.project.remove(name)
    return {"success": True, "message": "Session resumed"}


def stop(src: Sources) -> Json:
    """Write STOP first: a runner that gets SIGTERM without it pauses instead of ending."""
    now = src.now()
    alive = state.get_liveness(src.project, now)
    signal_files.write_signal_file(src.project, "STOP", now)
    signalled = _signal(src.project, alive)
    _mark_session_stopped(src.project, alive)
    message = "Stop signal sent" if signalled else "Stop file written; Loki process not found"
    return {"success": True, "message": message, "process_signalled": signalled}


def _signal(folder: Folder, alive: state.Liveness) -> bool:
    written = folder.version(alive.pid_file) if alive.pid_file else None
    if written is None:
        return False
    in_session_file = alive.pid_file == state.SESSION_FILE
    started = state.get_session_file_start(folder) if in_session_file else None
    return processes.terminate(
        alive.pid,
        written_at=written.mtime,
        recorded_start=started.timestamp() if started else None,
    )


def _mark_session_stopped(folder: Folder, alive: state.Liveness) -> None:
    """A session without a process of its own has only its file to say that it ended."""
    if alive.pid_file == state.SESSION_FILE or not _says_running(
        folder.document(state.SESSION_FILE)
    ):
        return
    with folder.locked(state.SESSION_FILE):
        found = folder.document_for_update(state.SESSION_FILE)
        if _says_running(found):
            folder.write_json(state.SESSION_FILE, {**found, "status": state.STOPPED})


def _says_running(content: Any) -> bool:
    return as_dict(content).get("status") == state.RUNNING
