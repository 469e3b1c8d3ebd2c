"""Pause, resume and stop: files that the runner obeys, and for stop one SIGTERM."""

from datetime import datetime

from loki_web.errors import StorageError
from loki_web.services import processes, session
from loki_web.services.sources import Sources
from loki_web.store.folder import Folder
from loki_web.store.shapes import Json, as_dict
from loki_web.store.times import isoformat


def pause(src: Sources) -> Json:
    _mark(src.project, "PAUSE", src.now())
    return {"success": True, "message": "Session paused"}


def resume(src: Sources) -> Json:
    for name in ("PAUSE", "STOP"):
        src.project.remove(name)
    return {"success": True, "message": "Session resumed"}


def stop(src: Sources) -> Json:
    """Write STOP first: a runner that gets SIGTERM without it pauses instead of ending."""
    now = src.now()
    alive = session.liveness(src.project, now)
    _mark(src.project, "STOP", now)
    written = src.project.version(alive.pid_file) if alive.pid_file else None
    signalled = written is not None and processes.terminate(alive.pid, written_at=written.mtime)
    _mark_session_stopped(src.project, alive)
    message = "Stop signal sent" if signalled else "Stop file written; Loki process not found"
    return {"success": True, "message": message, "process_signalled": signalled}


def _mark(folder: Folder, name: str, now: datetime) -> None:
    if folder.is_folder(name):
        raise StorageError(f"{name} is a directory in the state folder; remove it first")
    folder.write_bytes(name, f"{isoformat(now)}\n".encode())


def _mark_session_stopped(folder: Folder, alive: session.Liveness) -> None:
    """A session without a process of its own has only its file to say that it ended."""
    if not folder.exists("session.json") or alive.pid_file == "session.json":
        return
    with folder.locked("session.json"):
        found = as_dict(folder.document("session.json"))
        if found.get("status") == "running":
            folder.write_json("session.json", {**found, "status": "stopped"})
