"""Programs in processes that have imported everything before: imports are most of a start.

As a program, `python -m tests.support.prepared FD` waits for commands at a socket and forks a
process for each, which then runs a module as `python -m` does. It reads settings and makes
applications by itself.
"""

import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import inotify_simple

from loki_web import server_clock
from tests.support import places
from tests.support.compiled_rules import keep_compiled_rules

_ROOT = Path(__file__).parents[2]
# Not loki_web.server.conf, which reads the settings.
_IMPORTED = [
    "gunicorn.app.wsgiapp", "gunicorn.glogging", "gunicorn.workers.gthread",
    "loki_web.app", "loki_web.cli", "loki_web.live.shutdown", "loki_web.server.access_log",
    "loki_web.server.heap", "loki_web.server.hooks", "loki_web.server.worker",
]  # fmt: skip
_MOST_BYTES = 1 << 17  # of a command with its environment
_STATE, _STATE_BYTES = b"%16d", 16


class Process:
    """A process of its own session that runs a module; what tests use of `subprocess.Popen`."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: dict[str, str],
        streams: tuple[int, ...],
        folder: Path = _ROOT,
    ) -> None:
        """Start `python -m MODULE ARGUMENTS` with nothing but this environment.

        :param streams: descriptors of its standard input, output and error; a fourth one is that
            of a listening socket, which it gets as from systemd.
        :param folder: its working directory.
        """
        self._states, states_end = os.pipe()  # the pid, later the exit code
        self._module = module
        command = {"module": module, "arguments": arguments, "environment": environment}
        command["folder"] = str(folder)
        socket.send_fds(_server(), [json.dumps(command).encode()], [states_end, *streams])
        os.close(states_end)
        self.pid = int(os.read(self._states, _STATE_BYTES))
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code if it has ended, negative for a signal."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, or raise `subprocess.TimeoutExpired`."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self._module, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _look(self, timeout: float | None) -> int | None:
        if self._code is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._states, selectors.EVENT_READ)
                if selector.select(timeout):
                    self._code = int(os.read(self._states, _STATE_BYTES))
                    os.close(self._states)
        return self._code


@cache
def _server() -> socket.socket:
    """Start the process that forks, once for this process of the tests."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.prepared", str(its.fileno())],
            cwd=_ROOT, pass_fds=[its.fileno()],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT)},
        )  # fmt: skip
    atexit.register(process.wait)
    atexit.register(ours.close)  # which ends it
    return ours


def _serve(commands: socket.socket) -> None:
    for name in _IMPORTED:
        import_module(name)
    inotify_simple.INotify().close()  # the first one runs `ldconfig`
    _compile_rules()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who keep a process
    while True:
        command, descriptors, _, _ = socket.recv_fds(commands, _MOST_BYTES, 5)
        if not command:
            return
        if os.fork() == 0:
            commands.close()
            _keep(json.loads(command), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _compile_rules() -> None:
    """Compile the rules of all routes, which are those of each application."""
    keep_compiled_rules()
    with tempfile.TemporaryDirectory() as folder:
        places.empty(Path(folder)).app()


def _keep(command: dict[str, Any], states: int, *streams: int) -> NoReturn:
    """Fork the process, and tell its pid and in the end its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if (process := os.fork()) == 0:
        os.close(states)
        os.setsid()
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
            os.close(descriptor)
        if len(streams) == 4:
            command["environment"].update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
        _run(**command)
    for descriptor in streams:
        os.close(descriptor)
    os.write(states, _STATE % process)
    _, status = os.waitpid(process, 0)
    os.write(states, _STATE % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _run(module: str, arguments: list[str], environment: dict[str, str], folder: str) -> NoReturn:
    os.chdir(folder)
    _open_streams()
    os.environ.clear()
    os.environ.update(environment)
    sys.path += environment.get("PYTHONPATH", "").split(os.pathsep)
    time.tzset()
    server_clock.STARTED_AT = time.time()
    sys.argv = [module, *arguments]
    sys.orig_argv = [sys.executable, "-m", *sys.argv]
    code: Any = None
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        sys.exit(code)
    _exit(code or 0)


def _open_streams() -> None:
    """Open the standard streams anew: whether one can seek was true of the process before."""
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", errors="surrogateescape", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)


def _exit(code: int) -> NoReturn:
    """Do what the interpreter does at its end, but do not free each object.

    This writes to all memory that the processes share, and took a third of the CPU of a server.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
