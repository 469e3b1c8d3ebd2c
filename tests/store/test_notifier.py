"""A drain reports every change that was made before it."""

import threading
from pathlib import Path
from typing import Any

from loki_web.store.notifier import notifier


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
            notifier().drain()
            self.seen = self.notified

        def lost(self) -> None:
            raise AssertionError

    slow = Slow()
    assert notifier().watch(str(tmp_path), slow, "key")
    (tmp_path / "file").touch()
    notifier().drain()
    assert slow.other is not None
    slow.other.join()
    assert slow.seen
