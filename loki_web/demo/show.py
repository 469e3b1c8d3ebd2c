"""`loki-web demo`: writer and server as two processes, in a temporary folder."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from loki_web.demo.places import places_in

_WRITER = (sys.executable, "-m", "loki_web.demo")
_END_SECONDS = 15


def play_and_serve(server: Sequence[str], speed: float, variables: Mapping[str, str]) -> int:
    """Play a session and serve it until the server ends.

    :param server: the command that starts the server.
    :param variables: its environment; HOME and LOKI_DIR are replaced.
    :return: the server's exit code.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # run the clean-up of the folder
    with ExitStack() as ends:
        folder = ends.enter_context(tempfile.TemporaryDirectory(prefix="loki-web-demo-"))
        places = places_in(Path(folder))
        environment = {**variables, "HOME": str(places.home), "LOKI_DIR": str(places.loki)}
        writer = subprocess.Popen([*_WRITER, folder, str(speed)])
        ends.callback(_end, writer)
        serving = subprocess.Popen(server, env=environment)
        ends.callback(_end, serving)
        return serving.wait()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
