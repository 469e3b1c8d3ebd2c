"""The channels, each read by the same service as the REST API, of the project that is shown."""

from collections.abc import Callable

from loki_web.live import protocol
from loki_web.live.feed import state
from loki_web.live.feed.log_state import LogSlice
from loki_web.live.feed.state import ListSlice, Slice, ValueSlice
from loki_web.services import council, tasks
from loki_web.services.agents import records
from loki_web.services.checkpoints.records import list_checkpoints
from loki_web.services.context import Sources
from loki_web.services.cost import report
from loki_web.services.fleet.selection import choose
from loki_web.services.notifications import notifications
from loki_web.services.registry import registry
from loki_web.services.session import status

# Change all the time and alone are no reason for a message.
_VOLATILE = frozenset({"uptime_seconds", "session_uptime_seconds", "timestamp"})
_MAX_ENTRIES = 1000


def _tasks(sources: Sources) -> Slice:
    return ListSlice(protocol.TASKS, state.TASKS, lambda: tasks.list_tasks(choose(sources)))


def _projects(sources: Sources) -> Slice:
    return ListSlice(
        protocol.PROJECTS,
        state.send_new_entries("project_created"),
        lambda: registry.list_projects(sources, include_inactive=True),
    )


def _notifications(sources: Sources) -> Slice:
    return ListSlice(
        protocol.NOTIFICATIONS,
        state.send_changed_entries("notification"),
        lambda: notifications.list_notifications(choose(sources), limit=_MAX_ENTRIES),
    )


def _checkpoints(sources: Sources) -> Slice:
    return ListSlice(
        protocol.CHECKPOINTS,
        state.send_new_entries("checkpoint"),
        lambda: list_checkpoints(choose(sources), limit=_MAX_ENTRIES),
    )


CHANNELS: dict[str, Callable[[Sources], Slice]] = {
    protocol.TASKS: _tasks,
    protocol.PROJECTS: _projects,
    protocol.STATUS: lambda sources: ValueSlice(
        "status", lambda: status.get_status(choose(sources)), _VOLATILE
    ),
    protocol.AGENTS: lambda sources: ValueSlice(
        "agents", lambda: records.describe_agents(choose(sources))
    ),
    protocol.LOGS: lambda sources: LogSlice(sources),
    protocol.NOTIFICATIONS: _notifications,
    protocol.COST: lambda sources: ValueSlice("cost", lambda: report.get_cost(choose(sources))),
    protocol.COUNCIL: lambda sources: ValueSlice(
        "council", lambda: council.get_state(choose(sources))
    ),
    protocol.CHECKPOINTS: _checkpoints,
}
