"""Tokens and cost of a session, computed once for the API, the budget and the metrics."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from loki_web.services.context import Sources
from loki_web.services.cost import efficiency
from loki_web.services.cost.pricing import PriceList, get_price_list
from loki_web.store.coerce import (
    Json,
    as_amount,
    as_count,
    as_dict,
    dicts_in,
)
from loki_web.store.derived import derived, refreshed
from loki_web.store.times import tidy_time

_FILE = re.compile(r"iteration-(.+)\.json", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Use:
    """Tokens and cost of one iteration.

    :param cost_usd: the recorded cost, else the price of the tokens.
    :param is_recorded: False when the tokens were priced.
    :param timestamp: the end of the iteration in ISO 8601 with a zone; `""` when unknown.
    """

    iteration: int
    model: str
    phase: str
    input_tokens: int
    output_tokens: int
    cost_usd: float
    is_recorded: bool
    timestamp: str


@dataclass(frozen=True)
class Spend:
    """Tokens and cost of a session.

    :param uses: ordered by iteration.
    :param cost_usd: rounded to six decimals.
    :param source: `efficiency` or `tracking`, the files that were counted; `none` when nothing was
        measured, which is not the same as a session that cost nothing.
    """

    uses: list[Use]
    input_tokens: int
    output_tokens: int
    cost_usd: float
    source: str


@derived
def get_spend(sources: Sources) -> Spend:
    """Return tokens and USD of all iterations.

    A recorded cost is used as it is. If it is missing, or 0 although there are tokens, the tokens
    are priced, so that a budget can be reached (docs/files.md, section 10.1). If the efficiency
    files have no tokens at all, the numbers of the context tracker are used (section 17); the cost
    is then at least the one that the files recorded.
    """
    prices = get_price_list(sources)
    uses = _read_efficiency(sources).in_order
    read, written = _sum_tokens(uses)
    cost = sum_usd(use.cost_usd for use in uses)
    if not read and not written:
        tracked = _read_tracking(sources, prices, uses, cost)
        if tracked is not None:
            return tracked
    source = "efficiency" if read or written or cost else "none"
    return Spend(uses, read, written, cost, source)


def sum_usd(amounts: Iterable[float]) -> float:
    """Return the exact sum, rounded to six decimals."""
    return round(math.fsum(amounts), 6)


@dataclass(frozen=True, slots=True)
class _Uses:
    """The uses in the efficiency files.

    :ivar generation: that of the files' collection.
    :ivar prices: those that the costs were computed with.
    :ivar by_name: by file name.
    :ivar in_order: ordered by iteration.
    """

    generation: int
    prices: PriceList
    by_name: dict[str, Use]
    in_order: list[Use]


@refreshed
def _read_efficiency(sources: Sources, before: _Uses | None) -> _Uses:
    """Return one use for each `iteration-….json`; other files there repeat these numbers."""
    files, prices = efficiency.get_collection(sources), get_price_list(sources)
    previous = before if before and before.prices == prices else None
    changes = files.changes(previous.generation if previous else None)
    if previous is None or changes.names is None:
        uses = {
            name: use for name, digest in files.pairs() if (use := _make_use(name, digest, prices))
        }
    else:
        uses = dict(previous.by_name)
        for name in changes.names:
            use = _make_use(name, files.value(name), prices)
            if use:
                uses[name] = use
            else:
                uses.pop(name, None)
    in_order = sorted(uses.items(), key=lambda named: (named[1].iteration, named[0]))
    return _Uses(changes.generation, prices, uses, [use for _, use in in_order])


def _make_use(name: str, digest: list[Any] | None, prices: PriceList) -> Use | None:
    """Return the use in a file, None when the file is not an efficiency record."""
    match = _FILE.fullmatch(name)
    if not match or digest is None:
        return None
    record = efficiency.unpack(digest)
    digits = _NUMBER.fullmatch(match[1])
    iteration = int(digits[0]) if digits else as_count(record["iteration"])
    return _build_use(record, prices, iteration, record["model"], record["phase"])


def _read_tracking(
    sources: Sources, prices: PriceList, of_files: list[Use], least: float
) -> Spend | None:
    """Return the context tracker's numbers, None when it counted nothing.

    It records neither model nor phase; these come from the efficiency file of the same iteration.

    :param of_files: the uses in the efficiency files.
    :param least: the lower limit of the cost, in USD.
    """
    tracking = as_dict(sources.project.document("context/tracking.json"))
    totals = as_dict(tracking.get("totals"))
    total = {
        "input_tokens": totals.get("total_input"),
        "output_tokens": totals.get("total_output"),
        "cost_usd": totals.get("total_cost_usd"),
    }
    by_iteration = {use.iteration: use for use in of_files}
    uses = []
    for record in dicts_in(tracking.get("per_iteration")) or [total]:
        iteration = as_count(record.get("iteration"))
        other = by_iteration.get(iteration)
        model, phase = (
            (other.model, other.phase) if other else (efficiency.UNKNOWN, efficiency.UNKNOWN)
        )
        uses.append(_build_use(record, prices, iteration, model, phase))
    read, written = _sum_tokens(uses)
    read = as_count(total["input_tokens"], default=read)
    written = as_count(total["output_tokens"], default=written)
    if not read and not written:
        return None
    priced = sum_usd(use.cost_usd for use in uses)
    cost = as_amount(total["cost_usd"]) or priced
    return Spend(uses, read, written, sum_usd([max(cost, least)]), "tracking")


def _build_use(record: Json, prices: PriceList, iteration: int, model: str, phase: str) -> Use:
    recorded = as_amount(record.get("cost_usd"))
    priced = prices.compute_cost(model, record)
    is_recorded = recorded is not None and (recorded > 0 or not priced)
    return Use(
        iteration=iteration,
        model=model,
        phase=phase,
        input_tokens=as_count(record.get("input_tokens")),
        output_tokens=as_count(record.get("output_tokens")),
        cost_usd=float(recorded) if recorded is not None and is_recorded else priced,
        is_recorded=is_recorded,
        timestamp=tidy_time(record.get("timestamp")),
    )


def _sum_tokens(uses: list[Use]) -> tuple[int, int]:
    return sum(use.input_tokens for use in uses), sum(use.output_tokens for use in uses)
