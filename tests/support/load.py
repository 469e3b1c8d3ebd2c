"""Steady load on a server, to see that nothing is lost while something happens to it."""

import http.client
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.waiting import PATIENCE_SECONDS, wait_until

CLIENTS = 4
_PAUSE_SECONDS = 0.005  # of a client; without it they take the CPU from the server that starts


@dataclass
class Load:
    """:param answers: path, status and body of what was answered, in order.
    :param lost: what happened to requests without an answer.
    """

    answers: list[tuple[str, int, bytes]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def wait_for_more(self, count: int = 40) -> None:
        """Wait for so many further answers."""
        enough = len(self.answers) + count
        wait_until(lambda: self.lost or len(self.answers) >= enough, "answers under load")

    def run(self, host: str, paths: Sequence[str]) -> None:
        while not self.is_over.is_set():
            connection = http.client.HTTPConnection(host, timeout=PATIENCE_SECONDS)
            try:
                self._use(connection, paths)
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
            finally:
                connection.close()

    def _use(self, connection: http.client.HTTPConnection, paths: Sequence[str]) -> None:
        """Send requests until the server ends the connection after an answer."""
        while not self.is_over.is_set():
            for path in paths:
                connection.request("GET", path)
                response = connection.getresponse()
                self.answers.append((path, response.status, response.read()))
                if response.will_close or self.is_over.wait(_PAUSE_SECONDS):
                    return


@contextmanager
def load(host: str, *paths: str) -> Iterator[Load]:
    """Send requests from several clients at once until the end of the block."""
    made = Load()
    threads = [threading.Thread(target=made.run, args=(host, paths)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        made.wait_for_more()
        yield made
        made.wait_for_more()
    finally:
        made.is_over.set()
        for thread in threads:
            thread.join()
