"""`python -m loki_web.demo FOLDER [SPEED [SEED]]`: play a session into a folder."""

import signal
import sys
from pathlib import Path

from loki_web.demo.places import prepare
from loki_web.demo.session import Session


def main(folder: str, speed: str = "1", seed: str = "1") -> None:
    session = Session(prepare(Path(folder)), float(speed), int(seed))
    signal.signal(signal.SIGTERM, lambda *_: session.stop_requested.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process stops it with SIGTERM
    session.play()


main(*sys.argv[1:])
