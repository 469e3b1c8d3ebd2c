"""Parse pids, decide which processes may be signalled, and send SIGTERM; nobody else does."""

import os
from collections.abc import Iterable
from typing import Any

from loki_web.store.process import Process, ancestors, read_process, terminate

_RUNNER_NAMES = ("run.sh", "loki")
_RUNNER_COPY = "loki-run-"
_SERVER_WORDS = ("loki_web.app:", "loki_web.server.conf", "wsgi:app", "wsgi:sidecar")
_SERVER_PROGRAMS = ("loki-web", "loki_web")
_SERVER_COMMANDS = ("serve", "sidecar")
_LARGEST_PID = 2**31 - 1


def parse_pid(value: Any, *, least: int = 2) -> int | None:
    """Return the pid in a JSON value or in the text of a pid file, None when there is none.

    :param value: a whole number from `least` on, or its decimal digits.
    """
    if isinstance(value, str):
        digits = value.strip()
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if least <= value <= _LARGEST_PID else None


def send_term(process: Process, *, sessions: Iterable[int], others: bool) -> str | None:
    """Send SIGTERM to a process that is proven to be the recorded one, if it may be signalled.

    :param sessions: the pids of live sessions.
    :param others: whether processes of other users may be signalled.
    :return: why nothing was sent; None when the signal was sent.
    """
    refusal = _find_refusal(process, frozenset(sessions), others=others)
    if refusal is None:
        try:
            terminate(process)
        except PermissionError:
            return f"this server may not signal process {process.pid}"
        except OSError:
            return f"process {process.pid} has ended"
    return refusal


def is_server(process: Process) -> bool:
    """Return True for a process of Loki Web: this one, its master, workers, sidecar, or another."""
    is_parent = process.pid == os.getppid() and process.pid != 1 and not _is_runner(process.command)
    if is_parent or process.pid in (os.getpid(), get_server_pid()):
        return True
    if any(w.startswith(_SERVER_WORDS) or "loki_web.server.conf" in w for w in process.command):
        return True
    programs = [os.path.basename(word) for word in process.command[:3]]
    return any(program in _SERVER_PROGRAMS for program in programs) and any(
        word in _SERVER_COMMANDS for word in process.command
    )


def get_server_pid() -> int:
    """Return the pid of the gunicorn master, or of this process when it runs without one."""
    own, parent = read_process(os.getpid()), read_process(os.getppid())
    is_worker = own and parent and own.command == parent.command != ()
    return os.getppid() if is_worker else os.getpid()


def _find_refusal(process: Process, sessions: frozenset[int], *, others: bool) -> str | None:
    is_runner = _is_runner(process.command)
    if process.pid == 1:
        return "the session is process 1 of this system"
    if is_server(process):
        return f"process {process.pid} belongs to a server"
    if process.pid in ancestors(os.getpid()) and not is_runner:
        return f"this server was started by process {process.pid}"
    if process.user != os.geteuid() and not others:
        return f"process {process.pid} belongs to another user"
    if not process.has_terminal or is_runner or _has_runner(ancestors(process.pid) & sessions):
        return None
    return f"process {process.pid} belongs to a terminal"


def _has_runner(pids: frozenset[int]) -> bool:
    return any(process and _is_runner(process.command) for process in map(read_process, pids))


def _is_runner(command: tuple[str, ...]) -> bool:
    """Return True for a runner: one that started this server is its ancestor but may be ended."""
    names = [os.path.basename(word) for word in command[:2]]
    return any(name in _RUNNER_NAMES or name.startswith(_RUNNER_COPY) for name in names)
