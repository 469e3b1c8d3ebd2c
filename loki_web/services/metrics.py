"""The Prometheus metrics of the session, computed from the files.

Each number comes from the function that serves the API, so the two agree, and so do all workers.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from loki_web.services import events, tasks
from loki_web.services.agents import records
from loki_web.services.context import Sources
from loki_web.services.cost.budget import compute_budget
from loki_web.services.cost.context_window import get_context_window
from loki_web.services.cost.usage import get_spend
from loki_web.services.fleet import overview
from loki_web.services.fleet.selection import Watched
from loki_web.services.redaction import redact
from loki_web.services.session import liveness
from loki_web.services.session import state as session_state
from loki_web.services.session.status import count_unusable
from loki_web.store.derived import derived
from loki_web.text import printable

Metric = GaugeMetricFamily | CounterMetricFamily
Labels = tuple[str, ...]
Value = float | Mapping[Labels, float]  # a number, or one for each combination of label values
Numbers = Mapping[str, Value]
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


MORE = (
    Family("loki_last_change_timestamp_seconds", "When the session last wrote, since 1970"),
    Family("loki_tokens", "Tokens used, by model and kind (input or output)", ("model", "kind")),
    Family("loki_budget_limit_usd", "Budget in USD; no sample without a limit"),
    Family("loki_budget_used_usd", "Used budget in USD"),
    Family("loki_budget_remaining_usd", "Remaining budget in USD; no sample without a limit"),
    Family("loki_context_usage_ratio", "Used part of the context window; no sample if unknown"),
    Family("loki_agents", "Number of agents registered, by state", ("state",)),
    Family("loki_damaged_files", "Documents of the session that are damaged or too large"),
)
PROJECTS = Family("loki_projects", "Known projects; at most 64 of them have samples")
_LABELS = ("project", "project_id")
_MOST_PROJECTS = 64
_MOST_VALUES = 8  # of a label that comes from files; the rest is `other`
_MOST_CHARACTERS = 60  # of such a value


def build_families(families: Sequence[Family], numbers: Numbers) -> Iterator[Metric]:
    """Return the families, with samples for those in `numbers`."""
    return (_build_family(family, numbers.get(family.name, {})) for family in families)


def _build_family(family: Family, value: Value) -> Metric:
    kind = CounterMetricFamily if family.is_counter else GaugeMetricFamily
    metric = kind(family.name, family.description, labels=family.labels)
    for labels, number in value.items() if isinstance(value, Mapping) else [((), value)]:
        metric.add_metric(labels, number)
    return metric


class KeptFamilies:
    """Families, each of which is built again only when its numbers have changed."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families
        self._built: dict[str, tuple[Value, Metric]] = {}

    def describe(self) -> list[Metric]:
        """Return the families without samples."""
        return list(build_families(self._families, {}))

    def build(self, numbers: Numbers) -> list[Metric]:
        """Return the families with their numbers; shared, must not be changed."""
        return [self._build(family, numbers.get(family.name, {})) for family in self._families]

    def _build(self, family: Family, value: Value) -> Metric:
        built = self._built.get(family.name)
        if built is None or built[0] != value:
            built = self._built[family.name] = value, _build_family(family, value)
        return built[1]


def compute_numbers(sources: Sources) -> Numbers:
    """Return the numbers of the session; empty if its folder is gone.

    Tasks in review are not counted: `review` is not one of the four documented states, and each
    of these has the same number as in `/api/tasks`.
    """
    if sources.project.is_gone():
        return {}
    by_state, agents = tasks.count_tasks(sources), records.list_agents(sources)
    spend = get_spend(sources)
    budget = compute_budget(sources, spend.cost_usd)
    optional = {
        "loki_last_change_timestamp_seconds": liveness.get_beat(sources),
        "loki_budget_limit_usd": budget.limit,
        "loki_budget_remaining_usd": budget.remaining,
        "loki_context_usage_ratio": _get_context_usage(sources),
    }
    return {
        "loki_session_status": _STATUS_CODES[session_state.get_status_word(sources)],
        "loki_iteration_current": session_state.get_iteration(sources),
        "loki_iteration_max": sources.settings.max_iterations,
        "loki_tasks_total": {(state,): by_state[state] for state in _TASK_STATES},
        "loki_agents_active": records.count_alive(sources, agents),
        "loki_agents_total": records.count_all(sources, agents),
        "loki_cost_usd": spend.cost_usd,
        "loki_events_total": events.count_ever(sources),
        "loki_uptime_seconds": round(session_state.get_uptime_seconds(sources), 3),
        "loki_tokens": _count_tokens(sources),
        "loki_budget_used_usd": budget.used,
        "loki_agents": _count_states(sources),
        "loki_damaged_files": count_unusable(sources),
        **{name: number for name, number in optional.items() if number is not None},
    }


def label_families(families: Iterable[Family]) -> list[Family]:
    """Return the families for the numbers of several projects."""
    labelled = [family._replace(labels=(*_LABELS, *family.labels)) for family in families]
    return [*labelled, PROJECTS]


def compute_all_numbers(sources: Sources) -> Numbers:
    """Return the numbers of all known projects, with the name and the id of each as labels.

    At most _MOST_PROJECTS have samples: running ones first, then those that changed last.
    """
    projects = overview.list_by_activity(sources)
    watched: Watched = sources.values.get(
        (Watched, compute_numbers), lambda _: Watched(sources, compute_numbers)
    )
    shown = projects[:_MOST_PROJECTS]
    numbers: dict[str, dict[Labels, float]] = {}
    for project, values in zip(shown, watched.observe(shown), strict=True):
        labels = (_shorten(project.name), _shorten(project.id or ""))
        for name, value in values.items():
            samples = value if isinstance(value, Mapping) else {(): value}
            numbers.setdefault(name, {}).update(
                {(*labels, *own): number for own, number in samples.items()}
            )
    return {**numbers, PROJECTS.name: len(projects)}


def _shorten(text: str) -> str:
    return printable(text)[:_MOST_CHARACTERS]


@derived
def _count_tokens(sources: Sources) -> dict[Labels, float]:
    """Return the tokens by model and kind, for the models with most tokens."""
    uses = get_spend(sources).uses
    names = _choose_values((use.model, use.input_tokens + use.output_tokens) for use in uses)
    tokens: Counter[Labels] = Counter()
    for use in uses:
        tokens[names[use.model], "input"] += use.input_tokens
        tokens[names[use.model], "output"] += use.output_tokens
    return dict(tokens)


def _count_states(sources: Sources) -> dict[Labels, float]:
    """Return the number of agents by state, for the most frequent states."""
    numbers = records.count_by_status(sources)
    names = _choose_values(numbers.items())
    counts: Counter[Labels] = Counter()
    for state, number in numbers.items():
        counts[(names[state],)] += number
    return dict(counts)


def _choose_values(weighted: Iterable[tuple[str, int]]) -> dict[str, str]:
    """Return the value of a label for each text of a file, so that there are few of them.

    :param weighted: the texts with weights; those of little weight become `other`.
    """
    weights: Counter[str] = Counter()
    for text, weight in weighted:
        weights[text] += weight
    most = {text for text, _ in weights.most_common(_MOST_VALUES)}
    return {
        text: printable(redact(text)[:_MOST_CHARACTERS]) or "unknown" if text in most else "other"
        for text in weights
    }


@derived
def _get_context_usage(sources: Sources) -> float | None:
    window = get_context_window(sources)
    return window["usage_percent"] / 100 if window["agents"] else None
