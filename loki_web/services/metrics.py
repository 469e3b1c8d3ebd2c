"""The Prometheus metrics of the session, computed from the files.

Each number comes from the function that serves the API, so the two agree, and so do all workers.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from loki_web.services import events, tasks
from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.cost.usage import get_spend
from loki_web.services.session import state as session_state

Metric = GaugeMetricFamily | CounterMetricFamily
Labels = tuple[str, ...]
# A number, or one for the values of each combination of labels.
Numbers = Mapping[str, float | Mapping[Labels, float]]
_STATUS_CODES = {
    session_state.STOPPED: 0,
    session_state.RUNNING: 1,
    session_state.AUTONOMOUS: 1,
    session_state.PAUSED: 2,
}
_TASK_STATES = ("pending", "in_progress", "completed", "failed")


class Family(NamedTuple):
    """A metric: a counter if its name ends in `_total` and `is_counter` is set, else a gauge."""

    name: str
    description: str
    labels: Labels = ()
    is_counter: bool = False


DOCUMENTED = (
    Family("loki_session_status", "Current session status (0=stopped, 1=running, 2=paused)"),
    Family("loki_iteration_current", "Current iteration number"),
    Family("loki_iteration_max", "Maximum configured iterations"),
    Family("loki_tasks_total", "Number of tasks by status", ("status",)),
    Family("loki_agents_active", "Number of currently active agents"),
    Family("loki_agents_total", "Total number of agents registered"),
    Family("loki_cost_usd", "Estimated total cost in USD"),
    Family("loki_events_total", "Total number of events recorded", is_counter=True),
    Family("loki_uptime_seconds", "Seconds since session started"),
)


def build_families(families: Sequence[Family], numbers: Numbers) -> Iterator[Metric]:
    """Return the families, with samples for those in `numbers`."""
    for family in families:
        kind = CounterMetricFamily if family.is_counter else GaugeMetricFamily
        metric = kind(family.name, family.description, labels=family.labels)
        value = numbers.get(family.name, {})
        for labels, number in value.items() if isinstance(value, Mapping) else [((), value)]:
            metric.add_metric(labels, number)
        yield metric


def compute_numbers(sources: Sources) -> Numbers:
    """Return the numbers of the session; empty if its folder is gone.

    Tasks in review are not counted: `review` is not one of the four documented states, and each
    of these has the same number as in `/api/tasks`.
    """
    if sources.project.is_gone():
        return {}
    by_state = tasks.count_tasks(sources)
    return {
        "loki_session_status": _STATUS_CODES[session_state.get_status_word(sources)],
        "loki_iteration_current": session_state.get_iteration(sources),
        "loki_iteration_max": sources.settings.max_iterations,
        "loki_tasks_total": {(state,): by_state[state] for state in _TASK_STATES},
        "loki_agents_active": records.count_running(sources),
        "loki_agents_total": len(records.list_agents(sources)),
        "loki_cost_usd": get_spend(sources).cost_usd,
        "loki_events_total": events.count_lines(sources),
        "loki_uptime_seconds": round(session_state.get_uptime_seconds(sources), 3),
    }
