"""A reader of journals that keeps everything."""

from loki_web.store.coerce import Json


class Taken:
    """What a journal hands over.

    :ivar lines: each object and the place of its line, oldest first.
    :ivar handed_over: how many there have been, those taken back included.
    """

    def __init__(self) -> None:
        self.lines: list[tuple[Json, int, int]] = []
        self.handed_over = 0

    def clear(self) -> None:
        self.lines = []

    def take(self, record: Json, offset: int, length: int) -> None:
        self.lines.append((record, offset, length))
        self.handed_over += 1

    def take_back(self) -> None:
        self.lines.pop()
