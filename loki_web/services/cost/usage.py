"""Tokens and cost of a session, computed once for the API, the budget and the metrics."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
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
from loki_web.store.times import parse_time, tidy_time

_FILE = re.compile(r"iteration-(.+)\.json", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,9}")
_NAMELESS = efficiency.UNKNOWN, efficiency.UNKNOWN  # model and phase
_DELAY = timedelta(minutes=2)  # between the entry of the tracker and the file


@dataclass(frozen=True, slots=True)
class Use:
    """Tokens and cost of one iteration.

    :param cost_usd: the recorded cost, else the price of the tokens.
    :param is_recorded: False when the tokens were priced.
    :param timestamp: the end of the iteration in ISO 8601 with a zone; `""` when unknown.
    :param session: from 1; iterations are counted from 1 again in each session.
    """

    iteration: int
    model: str
    phase: str
    input_tokens: int
    output_tokens: int
    cost_usd: float
    is_recorded: bool
    timestamp: str
    session: int = 1

    @property
    def has_tokens(self) -> bool:
        """True if any tokens were counted in the iteration."""
        return bool(self.input_tokens or self.output_tokens)


@dataclass(frozen=True)
class Spend:
    """Tokens and cost of a session.

    :param uses: ordered by session and iteration.
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
    are priced, so that a budget can be reached (docs/files.md, section 10.1). A session overwrites
    the files of the one before; the context tracker keeps its numbers, which are added. They also
    stand in for files without tokens; the cost is at least the one that the files recorded.
    """
    prices = get_price_list(sources)
    recorded = _read_efficiency(sources).in_order
    tracking = as_dict(sources.project.document("context/tracking.json"))
    tracked = _read_iterations(tracking, prices, recorded)
    uses = _merge(recorded, tracked)
    input_tokens, output_tokens = _sum_tokens(uses)
    cost = sum_usd(use.cost_usd for use in uses)
    if any(use.has_tokens for use in recorded):
        return Spend(uses, input_tokens, output_tokens, cost, "efficiency")
    total = _read_total(tracking, prices)
    if total.has_tokens or (tracked and (input_tokens or output_tokens)):
        input_tokens = total.input_tokens or input_tokens
        output_tokens = total.output_tokens or output_tokens
        cost = sum_usd([max(total.cost_usd, cost)])
        return Spend(uses if tracked else [total], input_tokens, output_tokens, cost, "tracking")
    return Spend(uses, input_tokens, output_tokens, cost, "efficiency" if cost else "none")


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


def _make_use(name: str, digest: tuple[Any, ...] | None, prices: PriceList) -> Use | None:
    """Return the use in a file, None when the file is not an efficiency record."""
    match = _FILE.fullmatch(name)
    if not match or digest is None:
        return None
    record = efficiency.unpack(digest)
    digits = _NUMBER.fullmatch(match[1])
    iteration = int(digits[0]) if digits else as_count(record["iteration"])
    return _build_use(record, prices, iteration, record["model"], record["phase"])


def _read_iterations(tracking: Json, prices: PriceList, recorded: list[Use]) -> list[Use]:
    """Return the iterations that the context tracker counted; each session begins with a lower one.

    It records neither model nor phase; these come from the efficiency file of the same number.
    """
    by_iteration = {use.iteration: use for use in recorded}
    uses: list[Use] = []
    for record in dicts_in(tracking.get("per_iteration")):
        use = _build_use(record, prices, as_count(record.get("iteration")), *_NAMELESS)
        other = by_iteration.get(use.iteration)
        if other is not None:
            use = _build_use(record, prices, use.iteration, other.model, other.phase)
        last = uses[-1] if uses else use
        is_next = bool(uses) and use.iteration <= last.iteration
        uses.append(replace(use, session=last.session + is_next))
    return uses


def _read_total(tracking: Json, prices: PriceList) -> Use:
    """Return the sums of the context tracker."""
    totals = as_dict(tracking.get("totals"))
    total = {
        "input_tokens": totals.get("total_input"),
        "output_tokens": totals.get("total_output"),
        "cost_usd": totals.get("total_cost_usd"),
    }
    return _build_use(total, prices, 0, *_NAMELESS)


def _merge(recorded: list[Use], tracked: list[Use]) -> list[Use]:
    """Return each iteration of each session once, in their order.

    :param recorded: the efficiency files: of each number the latest iteration.
    :param tracked: those of the context tracker, which keeps earlier sessions.
    """
    by_iteration: dict[int, list[Use]] = {}
    for use in reversed(tracked):
        by_iteration.setdefault(use.iteration, []).append(use)
    merged = {id(use): use for use in tracked}
    is_later = False  # whether there is a session that the tracker does not know
    untracked = []
    for use in recorded:
        others = by_iteration.get(use.iteration, [])
        other = next((other for other in others if _is_same(use, other)), None)
        if other is None:
            untracked.append(use)
            is_later = is_later or bool(others)
        elif use.has_tokens or not other.has_tokens:
            merged[id(other)] = _assign_session(use, other.session)
        else:
            merged[id(other)] = replace(other, cost_usd=max(use.cost_usd, other.cost_usd))
    last = tracked[-1].session + is_later if tracked else 1
    uses = [*merged.values(), *(_assign_session(use, last) for use in untracked)]
    return sorted(uses, key=lambda use: (use.session, use.iteration))


def _assign_session(use: Use, session: int) -> Use:
    return use if use.session == session else replace(use, session=session)


def _is_same(recorded: Use, tracked: Use) -> bool:
    """Return whether a file and an entry of the tracker are of one iteration, not of two sessions.

    The runner copies the numbers, within seconds.
    """
    numbers = [(use.input_tokens, use.output_tokens, use.cost_usd) for use in (recorded, tracked)]
    moments = [parse_time(use.timestamp) for use in (recorded, tracked)]
    if (recorded.has_tokens and numbers[0] == numbers[1]) or None in moments:
        return True
    written, counted = (moment for moment in moments if moment)
    return abs(written - counted) < _DELAY


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
