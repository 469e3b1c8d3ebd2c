"""A real Redis server, which a test can kill and start again."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.support.programs import needed
from tests.support.servers import free_port, start
from tests.support.waiting import PATIENCE_SECONDS, wait_until

COMMAND = ("redis-server", "redis-server")  # the program and its package


class Redis:
    """A server on a free port, which keeps nothing when it ends.

    :param options: of the command line; `{port}` is its port.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> redis.Redis:
        """A client of the test's own."""
        return redis.Redis(port=self.port, socket_timeout=PATIENCE_SECONDS)

    def start(self) -> None:
        command = [needed(*COMMAND), "--bind", "127.0.0.1", "--port", str(self.port)]
        command += ["--save", "", "--dir", str(self._folder)]
        command += [option.format(port=self.port) for option in self._options]
        self._process = start(command, stdout=subprocess.DEVNULL)
        wait_until(self._is_listening, "a Redis server")

    def kill(self) -> None:
        """SIGKILL, as when the power fails."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _is_listening(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "redis-server has ended"
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionError:
            return False
        return True


@contextmanager
def serving_redis(folder: Path, *options: str) -> Iterator[Redis]:
    server = Redis(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
