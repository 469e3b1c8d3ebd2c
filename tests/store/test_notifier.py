"""A drain reports every change that was made before it."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from loki_web.store.notifier import get_notifier, read_max_watches
from tests.support.servers import ROOT, without_privileges


def test_a_drain_waits_for_subscriber_calls_of_another_thread(tmp_path: Path) -> None:
    class Slow:
        notified = False
        seen: bool | None = None
        other: threading.Thread | None = None

        def touched(self, key: Any, name: str, is_folder: bool) -> None:
            self.other = threading.Thread(target=self.drain)
            self.other.start()
            self.other.join(timeout=0.2)
            self.notified = True

        def drain(self) -> None:
            get_notifier().drain()
            self.seen = self.notified

        def lost(self) -> None:
            raise AssertionError

    slow = Slow()
    assert get_notifier().watch(str(tmp_path), slow, "key")
    (tmp_path / "file").touch()
    get_notifier().drain()
    assert slow.other is not None
    slow.other.join()
    assert slow.seen


@pytest.mark.parametrize(
    ("text", "watches"),
    [
        ("1048576\n", 1048576),
        ("8192", 8192),
        ("0\n", 8192),
        ("", 8192),
        ("many", 8192),
        (None, 8192),
    ],
)
def test_the_limit_of_watches_is_that_of_the_kernel(
    tmp_path: Path, text: str | None, watches: int
) -> None:
    if text is not None:
        (tmp_path / "limit").write_text(text)
    assert read_max_watches(tmp_path / "limit") == watches


_CLOSED_FOLDER = """
import sys
from loki_web.store.notifier import Notifier

class Subscriber:
    def touched(self, key, name, is_folder): ...
    def lost(self): raise SystemExit("lost")

notifier, subscriber = Notifier(), Subscriber()
closed, open_ = sys.argv[1:]
assert not notifier.watch(closed, subscriber, "closed")
assert notifier.watch(open_, subscriber, "open")
"""


def test_a_closed_folder_does_not_end_the_watches_of_others(tmp_path: Path) -> None:
    closed, other = tmp_path / "closed", tmp_path / "other"
    closed.mkdir(mode=0)
    other.mkdir()
    command = [sys.executable, "-c", _CLOSED_FOLDER, str(closed), str(other)]
    done = subprocess.run(
        without_privileges(command), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
