"""The spend of a session: the one calculation behind the API, the budget and the metrics."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from loki_web.services.cost.pricing import PriceList, get_price_list
from loki_web.services.redaction import redact
from loki_web.store.coerce import (
    Json,
    as_amount,
    as_count,
    as_dict,
    dicts_in,
    first_amount,
    first_text,
)
from loki_web.store.derived import derived, refreshed
from loki_web.store.folder import Folder
from loki_web.store.times import tidy_time

UNKNOWN = "unknown"
_FILE = re.compile(r"iteration-(.+)\.json", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Use:
    """What one iteration used.

    :param cost_usd: as recorded, or the price of its tokens where nothing is recorded.
    :param timestamp: when it ended, as a browser can read it; `""` where that is not known.
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
    """:param uses: by iteration.
    :param cost_usd: to six decimals.
    :param source: `efficiency` or `tracking`, whichever was counted; `none` where nothing was
        measured, which is not the same as a session that cost nothing.
    """

    uses: list[Use]
    input_tokens: int
    output_tokens: int
    cost_usd: float
    source: str


@derived
def get_spend(folder: Folder) -> Spend:
    """Tokens and USD of all iterations.

    A recorded cost counts, 0 too; without one the tokens are priced (`spec` 10.1). Where the
    efficiency files have no tokens at all the context tracker stands in (`spec` 17), but never
    with less than they recorded.
    """
    prices = get_price_list(folder)
    uses = _efficiency(folder).in_order
    read, written = _tokens(uses)
    cost = sum_usd(use.cost_usd for use in uses)
    if not read and not written:
        tracked = _tracking(folder, prices, uses, cost)
        if tracked is not None:
            return tracked
    source = "efficiency" if read or written or cost else "none"
    return Spend(uses, read, written, cost, source)


def sum_usd(amounts: Iterable[float]) -> float:
    """The exact sum to six decimals."""
    return round(math.fsum(amounts), 6)


@dataclass(frozen=True, slots=True)
class _Uses:
    """The uses of the efficiency files by name, as of a generation of these and with their prices.

    :ivar in_order: the same by iteration.
    """

    generation: int
    prices: PriceList
    by_name: dict[str, Use]
    in_order: list[Use]


@refreshed
def _efficiency(folder: Folder, before: _Uses | None) -> _Uses:
    """One use for each `iteration-….json`; what else lies there was counted by others already."""
    files, prices = folder.collection("metrics/efficiency"), get_price_list(folder)
    known = before if before and before.prices == prices else None
    changes = files.changes(known.generation if known else None)
    if known is None or changes.names is None:
        uses = {name: use for name, record in files.items() if (use := _made(name, record, prices))}
    else:
        uses = dict(known.by_name)
        for name in changes.names:
            use = _made(name, files.value(name), prices)
            if use:
                uses[name] = use
            else:
                uses.pop(name, None)
    in_order = sorted(uses.items(), key=lambda named: (named[1].iteration, named[0]))
    return _Uses(changes.generation, prices, uses, [use for _, use in in_order])


def _made(name: str, record: Any, prices: PriceList) -> Use | None:
    """The use that a file tells of, None where it tells of none."""
    match = _FILE.fullmatch(name)
    if not match or not isinstance(record, dict):
        return None
    digits = _NUMBER.fullmatch(match[1])
    iteration = int(digits[0]) if digits else as_count(record.get("iteration"))
    model = redact(first_text(record.get("model"), default=UNKNOWN))
    phase = redact(first_text(record.get("phase"), default=UNKNOWN))
    return _use(record, prices, iteration, model, phase)


def _tracking(folder: Folder, prices: PriceList, known: list[Use], least: float) -> Spend | None:
    """What the context tracker counted, or None when it counted nothing.

    It knows neither model nor phase: those are of the efficiency file of the same iteration.
    """
    tracking = as_dict(folder.document("context/tracking.json"))
    totals = as_dict(tracking.get("totals"))
    whole = {
        "input_tokens": totals.get("total_input"),
        "output_tokens": totals.get("total_output"),
        "cost_usd": totals.get("total_cost_usd"),
    }
    twins = {use.iteration: use for use in known}
    uses = []
    for record in dicts_in(tracking.get("per_iteration")) or [whole]:
        iteration = as_count(record.get("iteration"))
        twin = twins.get(iteration)
        model, phase = (twin.model, twin.phase) if twin else (UNKNOWN, UNKNOWN)
        uses.append(_use(record, prices, iteration, model, phase))
    read, written = _tokens(uses)
    read = as_count(whole["input_tokens"], default=read)
    written = as_count(whole["output_tokens"], default=written)
    if not read and not written:
        return None
    priced = sum_usd(use.cost_usd for use in uses)
    cost = first_amount(whole["cost_usd"], priced) or 0.0
    return Spend(uses, read, written, sum_usd([max(cost, least)]), "tracking")


def _use(record: Json, prices: PriceList, iteration: int, model: str, phase: str) -> Use:
    recorded = as_amount(record.get("cost_usd"))
    return Use(
        iteration=iteration,
        model=model,
        phase=phase,
        input_tokens=as_count(record.get("input_tokens")),
        output_tokens=as_count(record.get("output_tokens")),
        cost_usd=prices.cost(model, record) if recorded is None else float(recorded),
        is_recorded=recorded is not None,
        timestamp=tidy_time(record.get("timestamp")),
    )


def _tokens(uses: list[Use]) -> tuple[int, int]:
    return sum(use.input_tokens for use in uses), sum(use.output_tokens for use in uses)
