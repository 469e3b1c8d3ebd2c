"""Two states of a list of entries compared: which message does each entry give?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loki_web.store.shapes import Json

# From what an entry was, None for one that is new, and what it is: the type of its message.
Told = Callable[[Json | None, Json], str | None]


@dataclass(frozen=True)
class Kind:
    """What there is to tell of a list of entries.

    :param told: the type of the message that a change of an entry gives, or None.
    :param mark: what of an entry tells one state of the list from the next.
    """

    told: Told
    mark: Callable[[Json], Any]


def task_event(before: Json | None, after: Json) -> str | None:
    """One event a change: a task that moved is told whole, whatever else of it has changed."""
    if before is None:
        return "task_created"
    if any(before.get(key) != after.get(key) for key in ("status", "position")):
        return "task_moved"
    return "task_updated" if before != after else None


def announced(message_type: str) -> Kind:
    """Entries are told once, when they appear."""
    return Kind(
        lambda before, _: message_type if before is None else None, lambda entry: entry.get("id")
    )


def reported(message_type: str) -> Kind:
    """Entries are told when they appear and whenever they change."""
    return Kind(lambda before, after: message_type if before != after else None, lambda e: e)


TASKS = Kind(task_event, lambda entry: entry)
