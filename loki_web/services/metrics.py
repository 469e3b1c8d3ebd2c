"""The Prometheus families of the reference, computed from the files at scrape time.

Each number comes from the function that answers the API, so that the two never disagree and every
worker gives the same.
"""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from loki_web.services import events, tasks
from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.cost.usage import spend
from loki_web.services.session import state as session_state

Family = GaugeMetricFamily | CounterMetricFamily
_STATUS_CODES = {
    session_state.STOPPED: 0,
    session_state.RUNNING: 1,
    session_state.AUTONOMOUS: 1,
    session_state.PAUSED: 2,
}
_TASK_STATES = ("pending", "in_progress", "completed", "failed")


class SessionCollector(Collector):
    """Keeps nothing: a scrape sees the files of its moment."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> Iterator[Family]:
        """The families without their numbers; the registry asks at start, when no file is read."""
        return _families({})

    def collect(self) -> Iterator[Family]:
        return _families(_numbers(self._sources))


def _numbers(src: Sources) -> dict[str, float]:
    folder, now = src.project, src.now()
    return {
        "loki_session_status": _STATUS_CODES[session_state.status_word(folder, now)],
        "loki_iteration_current": session_state.iteration(folder),
        "loki_iteration_max": src.settings.max_iterations,
        **tasks.counts(folder),
        "loki_agents_active": records.running_count(folder, now),
        "loki_agents_total": len(records.agents(folder, now)),
        "loki_cost_usd": spend(folder).cost_usd,
        "loki_events_total": events.count_lines(folder),
        "loki_uptime_seconds": round(session_state.uptime_seconds(folder, now), 3),
    }


def _families(numbers: Mapping[str, float]) -> Iterator[Family]:
    """The nine families in the order of the reference, with the samples that there are.

    Tasks in review are in none of the four documented states, so that each of those has the
    number that `/api/tasks` has.
    """

    def gauge(name: str, about: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(name, about, value=numbers.get(name))

    yield gauge("loki_session_status", "Current session status (0=stopped, 1=running, 2=paused)")
    yield gauge("loki_iteration_current", "Current iteration number")
    yield gauge("loki_iteration_max", "Maximum configured iterations")
    by_state = GaugeMetricFamily("loki_tasks_total", "Number of tasks by status", labels=["status"])
    for state in _TASK_STATES:
        if state in numbers:
            by_state.add_metric([state], numbers[state])
    yield by_state
    yield gauge("loki_agents_active", "Number of currently active agents")
    yield gauge("loki_agents_total", "Total number of agents registered")
    yield gauge("loki_cost_usd", "Estimated total cost in USD")
    yield CounterMetricFamily(
        "loki_events",
        "Total number of events recorded",
        value=numbers.get("loki_events_total"),
    )
    yield gauge("loki_uptime_seconds", "Seconds since session started")
