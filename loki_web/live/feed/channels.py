"""The channels of a project, each read by the same service as the REST API."""

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
from loki_web.services.notifications import notifications
from loki_web.services.registry import registry
from loki_web.services.session import status

# Change all the time and alone are no reason for a message.
_VOLATILE = frozenset({"uptime_seconds", "session_uptime_seconds", "timestamp"})
_MAX_ENTRIES = 1000

Show = Callable[[], Sources]  # returns the sources of the project that is followed


def _tasks(sources: Sources, show: Show) -> Slice:
    return ListSlice(protocol.TASKS, state.TASKS, lambda: tasks.list_tasks(show()))


def _projects(sources: Sources, show: Show) -> Slice:
    return ListSlice(
        protocol.PROJECTS,
        state.send_new_entries("project_created", "project_removed"),
        lambda: registry.list_projects(sources, include_inactive=True),
    )


def _notifications(sources: Sources, show: Show) -> Slice:
    return ListSlice(
        protocol.NOTIFICATIONS,
        state.send_changed_entries("notification", "notification_removed"),
        lambda: notifications.list_notifications(show(), limit=_MAX_ENTRIES),
    )


def _checkpoints(sources: Sources, show: Show) -> Slice:
    return ListSlice(
        protocol.CHECKPOINTS,
        state.send_new_entries("checkpoint", "checkpoint_removed"),
        lambda: list_checkpoints(show(), limit=_MAX_ENTRIES),
    )


# Each takes the sources of the server and those to show.
CHANNELS: dict[str, Callable[[Sources, Show], Slice]] = {
    protocol.TASKS: _tasks,
    protocol.PROJECTS: _projects,
    protocol.STATUS: lambda _, show: ValueSlice(
        "status", lambda: status.get_status(show()), _VOLATILE
    ),
    protocol.AGENTS: lambda _, show: ValueSlice("agents", lambda: records.describe_agents(show())),
    protocol.LOGS: lambda sources, show: LogSlice(sources, show),
    protocol.NOTIFICATIONS: _notifications,
    protocol.COST: lambda _, show: ValueSlice("cost", lambda: report.get_cost(show())),
    protocol.COUNCIL: lambda _, show: ValueSlice("council", lambda: council.get_state(show())),
    protocol.CHECKPOINTS: _checkpoints,
}
