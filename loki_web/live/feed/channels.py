"""The channels, each read by the same service as the REST API."""

from collections.abc import Callable

from loki_web.live import protocol
from loki_web.live.feed import state
from loki_web.live.feed.log_state import LogSlice
from loki_web.live.feed.state import ListSlice, Slice, ValueSlice
from loki_web.services import council, tasks
from loki_web.services.agents import records
from loki_web.services.checkpoints import create
from loki_web.services.context import Sources
from loki_web.services.cost import report
from loki_web.services.notifications import notifications
from loki_web.services.registry import registry
from loki_web.services.session import status
from loki_web.store.coerce import Json

# Change all the time and alone are no reason for a message.
_VOLATILE = frozenset({"uptime_seconds", "session_uptime_seconds", "timestamp"})
_MAX_ENTRIES = 1000


def _tasks(src: Sources) -> Slice:
    return ListSlice(protocol.TASKS, state.TASKS, lambda: tasks.list_tasks(src.project))


def _projects(src: Sources) -> Slice:
    def read() -> list[Json]:
        return registry.list_projects(src, include_inactive=True)

    return ListSlice(protocol.PROJECTS, state.send_new_entries("project_created"), read)


def _notifications(src: Sources) -> Slice:
    def read() -> list[Json]:
        return notifications.list_notifications(src.project, limit=_MAX_ENTRIES)

    return ListSlice(protocol.NOTIFICATIONS, state.send_changed_entries("notification"), read)


def _checkpoints(src: Sources) -> Slice:
    def read() -> list[Json]:
        return create.list_checkpoints(src.project, limit=_MAX_ENTRIES)

    return ListSlice(protocol.CHECKPOINTS, state.send_new_entries("checkpoint"), read)


CHANNELS: dict[str, Callable[[Sources], Slice]] = {
    protocol.TASKS: _tasks,
    protocol.PROJECTS: _projects,
    protocol.STATUS: lambda src: ValueSlice("status", lambda: status.get_status(src), _VOLATILE),
    protocol.AGENTS: lambda src: ValueSlice(
        "agents", lambda: records.describe_agents(src.project, src.now())
    ),
    protocol.LOGS: lambda src: LogSlice(src.project),
    protocol.NOTIFICATIONS: _notifications,
    protocol.COST: lambda src: ValueSlice("cost", lambda: report.get_cost(src)),
    protocol.COUNCIL: lambda src: ValueSlice("council", lambda: council.get_state(src.project)),
    protocol.CHECKPOINTS: _checkpoints,
}
