"""The command line as people and scripts use it: a process of its own."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

from tests.support import prepared
from tests.support.places import Place
from tests.support.servers import environment, free_port
from tests.support.waiting import PATIENCE_SECONDS

COMMAND = [sys.executable, "-m", "loki_web"]
Done = subprocess.CompletedProcess[str]


def run(
    place: Place,
    *arguments: str,
    settings: dict[str, str] | None = None,
    answers: str = "",
    module: str = "loki_web",
) -> Done:
    """A command that ends by itself, with no terminal to ask at."""
    with (
        TemporaryFile("w+") as typed,
        TemporaryFile("w+") as output,
        TemporaryFile("w+") as errors,
    ):
        typed.write(answers)
        typed.seek(0)
        process = prepared.Process(
            module, *arguments, environment=environment(place, **(settings or {})),
            streams=(typed.fileno(), output.fileno(), errors.fileno()),
        )  # fmt: skip
        code = process.wait(timeout=PATIENCE_SECONDS)
        output.seek(0)
        errors.seek(0)
        return Done([sys.executable, "-m", module, *arguments], code, output.read(), errors.read())


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that sends these bytes to one client."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def is_one_complaint(done: Done) -> bool:
    """True for one line on standard error, nothing on standard output, and failure."""
    lines = done.stderr.splitlines()
    said = len(lines) == 1 and lines[0].startswith("loki-web: ")
    return said and done.stdout == "" and done.returncode != 0
