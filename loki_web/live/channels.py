"""The channels: what each reads, and a change of which files can change it."""

from collections.abc import Callable
from dataclasses import dataclass

from loki_web.live import changes, protocol
from loki_web.live.log_slice import LogSlice
from loki_web.live.slices import ListSlice, Slice, ValueSlice
from loki_web.services import (
    agents,
    checkpoints,
    cost,
    council,
    notifications,
    registry,
    status,
    tasks,
)
from loki_web.services.sources import Sources
from loki_web.store.shapes import Json

# Folders of `.loki/` and of `~/.loki/` in which something can change what a channel shows.
PROJECT_FOLDERS = (
    *("", "queue", "state", "state/checkpoints", "logs", "metrics", "metrics/efficiency"),
    *("council", "council/votes", "notifications", "context", "signals"),
)
USER_FOLDERS = ("", "dashboard")
_SESSION_FILES = (
    *("dashboard-state.json", "session.json", "loki.pid", "run.pid", "PAUSE", "STOP", "state/"),
    *("queue", "metrics/efficiency", "council/state.json", "events.jsonl"),
)
_MOVING = frozenset({"uptime_seconds", "session_uptime_seconds", "timestamp"})
_MAX_LISTED = 1000


@dataclass(frozen=True)
class Channel:
    """:param make: what is to be read for it.
    :param files: how the paths of the files begin on which it depends, below `.loki/`.
    :param user_files: the same below `~/.loki/`.
    :param is_timed: whether it can change without any file, as when a process dies.
    """

    make: Callable[[Sources], Slice]
    files: tuple[str, ...] = ()
    user_files: tuple[str, ...] = ()
    is_timed: bool = False


def _tasks(src: Sources) -> Slice:
    return ListSlice(protocol.TASKS, changes.TASKS, lambda: tasks.tasks(src.project))


def _projects(src: Sources) -> Slice:
    def read() -> list[Json]:
        return registry.listing(src, include_inactive=True)

    return ListSlice(protocol.PROJECTS, changes.announced("project_created"), read)


def _notifications(src: Sources) -> Slice:
    def read() -> list[Json]:
        return notifications.notifications(src.project, limit=_MAX_LISTED)

    return ListSlice(protocol.NOTIFICATIONS, changes.reported("notification"), read)


def _checkpoints(src: Sources) -> Slice:
    def read() -> list[Json]:
        return checkpoints.checkpoints(src.project, limit=_MAX_LISTED)

    return ListSlice(protocol.CHECKPOINTS, changes.announced("checkpoint"), read)


CHANNELS: dict[str, Channel] = {
    protocol.TASKS: Channel(_tasks, ("queue", "dashboard-state.json")),
    protocol.PROJECTS: Channel(_projects, user_files=("dashboard",)),
    protocol.STATUS: Channel(
        lambda src: ValueSlice("status", lambda: status.status(src), _MOVING),
        _SESSION_FILES,
        is_timed=True,
    ),
    protocol.AGENTS: Channel(
        lambda src: ValueSlice("agents", lambda: agents.listed(src.project, src.now())),
        ("state/agents.json", "dashboard-state.json", "signals", "session.json", "loki.pid"),
        is_timed=True,
    ),
    protocol.LOGS: Channel(lambda src: LogSlice(src.project), ("logs",)),
    protocol.NOTIFICATIONS: Channel(_notifications, ("notifications",)),
    protocol.COST: Channel(
        lambda src: ValueSlice("cost", lambda: cost.cost(src)),
        ("metrics", "pricing.json", "context", "signals", "state/provider"),
    ),
    protocol.COUNCIL: Channel(
        lambda src: ValueSlice("council", lambda: council.state(src.project)),
        ("council", "signals"),
    ),
    protocol.CHECKPOINTS: Channel(_checkpoints, ("state/checkpoints",)),
}
