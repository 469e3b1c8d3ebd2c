"""A journal reader that keeps all records."""

from loki_web.store.coerce import Json


class Taken:
    """Keeps the records of a journal.

    :ivar lines: each object with the offset and length of its line, oldest first.
    :ivar handed_over: the number of `take` calls, including records that were taken back.
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
