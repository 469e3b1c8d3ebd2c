"""Count what the processes of a server do, in memory that they share.

The master maps anonymous memory before it forks its workers. Each worker has a row of numbers that
only it changes, so no lock between processes is needed, and a reader adds the rows up. After the
end of a worker, also if it was killed, the next one gets its row with the counts in it, so no total
ever falls. No file is mapped: one that is truncated, or whose disk is full, would cause SIGBUS.
"""

import mmap
import threading
from collections.abc import Collection, Iterator

GAUGES = 16  # the first cells of a row become 0 when its worker ends
CELLS = 16_384  # of a row; memory is used only for those that were touched
FLAGS = 4096  # bytes that all processes may set
_HEADER = 8  # one cell: how many rows have been used
_CELL = 8  # bytes
_ROW = CELLS * _CELL


class Counts:
    """The numbers of all processes, and the row of this one.

    :param memory: begins with the number of used rows and the flags; then come the rows.
    :param row: the number of the row of this process.
    :ivar row: the cells of this process. Hold `lock` while changing one.
    :ivar flags: bytes that are 0 until a process sets them.
    """

    def __init__(self, memory: memoryview, row: int) -> None:
        self._used = memory[:_HEADER].cast("d")
        self.flags = memory[_HEADER : _HEADER + FLAGS]
        self._rows = memory[_HEADER + FLAGS :].cast("d")
        self.row = self._rows[row * CELLS : (row + 1) * CELLS]
        self.lock = threading.Lock()

    def add(self, cell: int, amount: float = 1.0) -> None:
        """Add an amount to a cell of this process."""
        with self.lock:
            self.row[cell] += amount

    def put(self, cell: int, value: float) -> None:
        """Set a cell of this process."""
        self.row[cell] = value

    def total(self, cell: int) -> float:
        """Return the sum of a cell of all processes."""
        return sum(self.values(cell))

    def totals(self, first: int, number: int) -> list[float]:
        """Return the sums of a number of neighboring cells, each over all processes."""
        starts = range(first, self._end(), CELLS)
        return list(map(sum, zip(*(self._rows[at : at + number] for at in starts), strict=True)))

    def greatest(self, cell: int) -> float:
        """Return the greatest value of a cell of all processes."""
        return max(self.values(cell))

    def values(self, cell: int) -> "memoryview[float]":
        """Return a cell of each process; 0 for a row that no process has."""
        return self._rows[cell : self._end() : CELLS]

    def read_columns(self, cells: Collection[int]) -> Iterator[tuple[float, ...]]:
        """Yield for each of some cells its values in all processes, as `values` returns them."""
        rows = [self._rows[at : at + CELLS] for at in range(0, self._end(), CELLS)]
        return zip(*([row[cell] for cell in cells] for row in rows), strict=True)

    def _end(self) -> int:
        return int(self._used[0]) * CELLS


class SharedCounts:
    """The memory of a server, mapped by the master before it forks.

    :param rows: how many processes can have a row at one time; others count for themselves.
    """

    def __init__(self, rows: int) -> None:
        self._memory = memoryview(mmap.mmap(-1, _HEADER + FLAGS + rows * _ROW))
        self._free = set(range(rows))

    def take_row(self) -> int | None:
        """Return the row for a process that is about to be forked; None if none is left."""
        if not self._free:
            return None
        row = min(self._free)
        self._free.remove(row)
        used = self._memory[:_HEADER].cast("d")
        used[0] = max(used[0], row + 1)
        return row

    def give_back(self, row: int) -> None:
        """Give back the row of a process that has ended: its gauges are 0, its counts stay."""
        start = _HEADER + FLAGS + row * _ROW
        self._memory[start : start + GAUGES * _CELL] = bytes(GAUGES * _CELL)
        self._free.add(row)

    def open(self, row: int) -> Counts:
        """Return the counts for the process that has this row."""
        return Counts(self._memory, row)


_of_process: Counts | None = None


def use(counts: Counts) -> None:
    """Make this process count in shared memory; called in a worker before its application."""
    global _of_process
    _of_process = counts


def open_counts() -> Counts:
    """Return the shared counts of this process; new ones if it counts for itself."""
    return _of_process or _make_own()


def _make_own() -> Counts:
    memory = memoryview(bytearray(_HEADER + FLAGS + _ROW))
    memory[:_HEADER].cast("d")[0] = 1
    return Counts(memory, 0)
