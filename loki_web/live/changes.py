"""Two states of a list of entries compared: which message does each entry give?"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loki_web.store.coerce import Json

# From what an entry was, None for one that is new, and what it is: the type of its message.
Told = Callable[[Json | None, Json], str | None]
# From the entries that were there, by id, and those that are: the ids of all that were moved.
Moved = Callable[[Mapping[str, Json], list[Json]], set[str]]


@dataclass(frozen=True)
class Kind:
    """What there is to tell of a list of entries.

    :param told: the type of the message that a change of an entry gives, or None.
    :param mark: what of an entry tells one state of the list from the next.
    :param moved: which entries have another place among the others; each is told by a message
        of the type `moved_type`.
    """

    told: Told
    mark: Callable[[Json], Any]
    moved: Moved = lambda known, entries: set()
    moved_type: str = ""


def announced(message_type: str) -> Kind:
    """Entries are told once, when they appear."""
    return Kind(
        lambda before, _: message_type if before is None else None, lambda entry: entry.get("id")
    )


def reported(message_type: str) -> Kind:
    """Entries are told when they appear and whenever they change."""
    return Kind(lambda before, after: message_type if before != after else None, lambda e: e)


def _task_event(before: Json | None, after: Json) -> str | None:
    """One event a change: a task that moved is told whole, whatever else of it has changed.

    That others have come or gone before it changes its position, and is nothing to tell.
    """
    if before is None:
        return "task_created"
    if before["status"] != after["status"]:
        return "task_moved"
    if before == after or {**before, "position": after["position"]} == after:
        return None
    return "task_updated"


def _without_position(task: Json) -> Json:
    return {key: value for key, value in task.items() if key != "position"}


def _moved_tasks(known: Mapping[str, Json], tasks: list[Json]) -> set[str]:
    """The tasks that were put before or behind others of their status, as few as explain it."""
    queues: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for task in tasks:
        before = known.get(task["id"])
        if before is not None and before["status"] == task["status"]:
            queues[task["status"]].append((before["position"], task["id"]))
    return {identity for queue in queues.values() for identity in _out_of_order(queue)}


def _out_of_order(queue: list[tuple[int, str]]) -> Iterable[str]:
    """The ids of all that are not in a longest series of which the positions never fall."""
    positions = [position for position, _ in queue]
    if positions == sorted(positions):
        return
    ends: list[int] = []  # the lowest position at which a series of each length can end
    lengths = []
    for position in positions:
        length = bisect_right(ends, position)
        ends[length : length + 1] = [position]
        lengths.append(length + 1)
    wanted = len(ends)
    for length, (_, identity) in zip(reversed(lengths), reversed(queue), strict=True):
        if length == wanted:
            wanted -= 1
        else:
            yield identity


TASKS = Kind(_task_event, _without_position, _moved_tasks, "task_moved")
