"""The documented Prometheus metrics, computed from the files at scrape time.

Each number comes from the function that serves the API, so the two agree, and so do all workers.
"""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from loki_web.services import events, tasks
from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.cost.usage import get_spend
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
    """Compute the metrics at each scrape; keep no counts between scrapes."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> Iterator[Family]:
        """Return the families without samples: the registry reads them at start, not the files."""
        return _build_families({})

    def collect(self) -> Iterator[Family]:
        """Return the families with the numbers of this moment."""
        is_gone = self._sources.project.is_gone()
        return _build_families({} if is_gone else _compute_numbers(self._sources))


def _compute_numbers(sources: Sources) -> dict[str, float]:
    return {
        "loki_session_status": _STATUS_CODES[session_state.get_status_word(sources)],
        "loki_iteration_current": session_state.get_iteration(sources),
        "loki_iteration_max": sources.settings.max_iterations,
        **tasks.count_tasks(sources),
        "loki_agents_active": records.count_running(sources),
        "loki_agents_total": len(records.list_agents(sources)),
        "loki_cost_usd": get_spend(sources).cost_usd,
        "loki_events_total": events.count_lines(sources),
        "loki_uptime_seconds": round(session_state.get_uptime_seconds(sources), 3),
    }


def _build_families(numbers: Mapping[str, float]) -> Iterator[Family]:
    """Return the nine documented families, with samples for those in `numbers`.

    Tasks in review are not counted: `review` is not one of the four documented states, and each
    of these has the same number as in `/api/tasks`.
    """

    def gauge(name: str, description: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(name, description, value=numbers.get(name))

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
