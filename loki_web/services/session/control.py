"""Pause, resume and stop the session (docs/files.md, section 3.5)."""

from collections.abc import Callable
from typing import Any, NotRequired

from loki_web.errors import StorageError
from loki_web.services.context import WritableSources
from loki_web.services.session import liveness, signal_files, state
from loki_web.services.session.liveness import Liveness, Record
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
    """The answer to a stop.

    :ivar reason: why no signal was sent.
    """

    process_signalled: NotRequired[bool]
    marker_written: NotRequired[bool]
    liveness: NotRequired[str]
    reason: NotRequired[str]


def stop_session(sources: WritableSources) -> StoppedDict:
    """Write STOP, then send SIGTERM to each process that is proven to be a session of the project.

    The order matters: a runner that gets SIGTERM while there is no STOP pauses instead of ending.
    Neither step depends on the other: the signal is sent even if the marker cannot be written.

    :raises StorageError: when the marker cannot be written and no signal was sent.
    """
    session = liveness.get_liveness(sources)
    fault = _attempt(lambda: signal_files.write_signal_file(sources, "STOP"))
    signalled, reasons = _terminate(sources)
    if fault and not signalled:
        raise type(fault)(f"{fault.detail}, and no signal was sent: {_explain(session, reasons)}")
    if not (session.record and session.record.file == liveness.SESSION_FILE):
        _attempt(lambda: _mark_session_stopped(sources))
    answer: StoppedDict = {
        "success": True,
        "message": _describe_stop(session, signalled, reasons),
        "process_signalled": signalled,
        "marker_written": fault is None,
        "liveness": session.known_by,
    }
    if fault:
        answer["message"] = f"Stop signal sent, but the STOP file was not written: {fault.detail}"
    if not signalled:
        answer["reason"] = _explain(session, reasons)
    return answer


def _attempt(step: Callable[[], None]) -> StorageError | None:
    """Do a step that others must not depend on; return its error."""
    try:
        step()
    except StorageError as error:
        return error
    return None


def _describe_stop(session: Liveness, signalled: bool, reasons: list[str]) -> str:
    if signalled:
        return "Stop signal sent"
    what = "no signal was sent" if session.alive else "Loki process not found"
    return f"Stop file written; {what}: {_explain(session, reasons)}"


def _explain(session: Liveness, reasons: list[str]) -> str:
    """Return why no signal was sent."""
    if session.known_by == liveness.HEARTBEAT and session.alive:
        return "the session runs where this server cannot see its process"
    return "; ".join(reasons) or "no process is recorded"


def _terminate(sources: WritableSources) -> tuple[bool, list[str]]:
    """Send SIGTERM to all recorded sessions; return whether any was sent, and why others not."""
    records: dict[int, Record] = {}
    for record in liveness.list_records(sources):
        records.setdefault(record.pid, record)
    reasons = [liveness.terminate(sources, each, records.keys()) for each in records.values()]
    return None in reasons, [reason for reason in reasons if reason]


def _mark_session_stopped(sources: WritableSources) -> None:
    """Set the status in `session.json`; a process that is named in that file does so itself."""
    if not _says_running(sources.project.document(liveness.SESSION_FILE)):
        return
    with sources.project.locked(liveness.SESSION_FILE):
        session = sources.project.document_for_update(liveness.SESSION_FILE)
        if _says_running(session):
            sources.project.write_json(liveness.SESSION_FILE, {**session, "status": state.STOPPED})


def _says_running(content: Any) -> bool:
    return as_dict(content).get("status") == state.RUNNING
