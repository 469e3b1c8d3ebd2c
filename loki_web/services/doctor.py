"""What `loki-web doctor` says about a session's files."""

import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from types import UnionType

from loki_web import __version__
from loki_web.services import known_files
from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.session import processes, state
from loki_web.store import json_text
from loki_web.store.folder import Folder

_SHOWN = 20
_LIBRARIES = ("flask", "gunicorn", "marshmallow")


@dataclass
class Diagnosis:
    """:param lines: what to tell, in order.
    :param faults: what is wrong, in words; empty for a healthy session.
    """

    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def diagnose(src: Sources) -> Diagnosis:
    """Read every file of the session and say what they are worth."""
    found = Diagnosis()
    found.lines.append(_versions(src))
    _look_at_files(src.project, found)
    _look_at_session(src, found)
    return found


def _versions(src: Sources) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"Loki Web {__version__}, Python {platform.python_version()}, {libraries}; "
        f"Loki Mode {state.get_version(src)}"
    )


def _look_at_files(folder: Folder, found: Diagnosis) -> None:
    if not folder.is_folder(""):
        found.lines.append(f"{folder.path}: there is no such folder, so no session to show")
        return
    seen, unknown, damaged = 0, [], []
    for relative in folder.walk():
        seen += 1
        written_as = known_files.get_format(relative)
        if written_as is None:
            unknown.append(relative)
        elif fault := _fault(folder, relative, written_as):
            damaged.append(f"{relative}: {fault}")
    found.lines.append(
        f"{folder.path}: {seen} files, {len(damaged)} damaged, {len(unknown)} unknown"
    )
    found.lines += _shown("damaged", damaged) + _shown("unknown", unknown)
    found.faults += damaged


def _fault(folder: Folder, relative: str, written_as: str) -> str | None:
    """What is wrong with a file, or None."""
    if folder.version(relative) is None:
        return "not a regular file of this folder, or not readable"
    if written_as == known_files.ANY:
        return None
    data = folder.consistent_copy(relative)
    if data is None:
        return f"not {written_as}, or not readable"
    if written_as == known_files.LINES:
        bad = sum(1 for line in data.splitlines() if line.strip() and not _holds(line, dict))
        return f"{bad} lines are not JSON objects" if bad else None
    return (
        None
        if _holds(data, dict if written_as == known_files.OBJECT else list | dict)
        else f"not {written_as}"
    )


def _holds(data: bytes, kind: type | UnionType) -> bool:
    try:
        return isinstance(json_text.parse(data), kind)
    except json_text.Damaged:
        return False


def _look_at_session(src: Sources, found: Diagnosis) -> None:
    folder, now = src.project, src.now()
    alive = state.get_liveness(folder, now)
    found.lines.append(
        f"session: {state.get_status_word(folder, now)}, iteration {state.get_iteration(folder)}"
        + (f", process {alive.pid} is alive" if alive.pid else "")
    )
    for name in state.PID_FILES:
        pid = state.read_pid_file(folder, name)
        if folder.exists(name) and not processes.is_alive(pid):
            found.faults.append(f"{name} names a process that is gone: the session was killed")
            found.lines.append(f"  {found.faults[-1]}")
    found.lines.append(f"agents running: {records.count_running(folder, now)}")


def _shown(word: str, paths: list[str]) -> list[str]:
    lines = [f"  {word}: {path}" for path in paths[:_SHOWN]]
    return lines + [f"  … and {len(paths) - _SHOWN} more"] * (len(paths) > _SHOWN)
