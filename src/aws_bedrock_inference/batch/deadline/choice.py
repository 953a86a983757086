"""Choose between three ways to answer the records of a run: a batch job, the flex tier, and on demand. The choice
depends on price and time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.deadline.rule import LEAST_NEEDED, MARGIN
from aws_bedrock_inference.batch.deadline.weights import BATCH, FLEX
from aws_bedrock_inference.batch.deadline.words import duration, local_time
from aws_bedrock_inference.dialects.tier import DEFAULT
from aws_bedrock_inference.pricing import dollars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.batch.deadline.noted import Way
    from aws_bedrock_inference.batch.deadline.weights import Weights

# A batch job is possible only if at least this many seconds remain until calls on demand would replace the job. AWS
# validates a job first, and the job then waits in a queue. With less time, the run would usually have to stop the job.
_HEAD_START = 1800.0

# The flex tier is assumed to take this many times as long as on demand. AWS answers flex calls after other calls, and
# publishes no times.
_FLEX_TIMES = 2.0

# The assumed duration of a call, if neither a quota nor the rate of an earlier run is known: this many seconds, plus
# one second for each group of this many output tokens.
_SECONDS_FOR_A_CALL = 1.0
_TOKENS_A_SECOND = 50.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The average seconds that calls on demand need for one record (`each`).

    `known_from` states where this number comes from: an earlier run, the quota, or an estimate.
    """

    each: float
    known_from: str

    def needs(self, records: int) -> float:
        """Return the seconds that calls on demand need for this number of records."""
        return max(LEAST_NEEDED, self.each * records)


def pace(weights: Weights, *, rpm: float | None, tpm: float | None, concurrency: int, per_minute: float | None) -> Pace:
    """Return the average seconds that calls on demand need for one record.

    The seconds can be calculated from the limits of the quota (`rpm`, `tpm`), and from the number of answers per minute
    in an earlier run (`per_minute`). If both results are known, the longer time is used. If neither is known, the
    seconds are estimated from the maximum length of the answers.
    """
    records = max(1, weights.records)
    by_quota = weights.seconds(rpm, tpm)
    measured = None if not per_minute else 60 / per_minute
    if measured is not None and (by_quota is None or measured > by_quota / records):
        return Pace(measured, f"at the {per_minute:,.0f} answers per minute of an earlier run")
    if by_quota is not None:
        return Pace(by_quota / records, "at the quota")
    for_one = _SECONDS_FOR_A_CALL + weights.output_tokens / records / _TOKENS_A_SECOND
    return Pace(
        for_one / concurrency,
        f"estimated, with {concurrency} calls in flight; pass --rpm and --tpm for a better estimate",
    )


@dataclass(frozen=True, slots=True)
class Option:
    """One of the three ways to answer the records: batch job, flex tier or on demand.

    `cost` is the maximum cost in US dollars, or None if it is unknown. `time` describes the time that this way needs.
    `why_not` is the reason if this way is not possible, and otherwise an empty text.
    """

    way: Way
    cost: float | None
    time: str
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The selected `way` (batch job, flex tier or on demand), the reason for the selection, and all `options`."""

    way: Way
    why: str
    options: tuple[Option, ...]

    def lines(self, deadline: float, now: float) -> Iterator[str]:
        """Yield lines of text that describe the choice."""
        yield f"By {local_time(deadline, now)} (in {duration(deadline - now)}):"
        for option in self.options:
            cost = "price unknown" if option.cost is None else f"up to {dollars(option.cost)}"
            mark = ">" if option.way == self.way else " "
            why_not = f"; not possible: {option.why_not}" if option.why_not else ""
            yield f"{mark} {option.way:<9}  {cost}, {option.time}{why_not}"
        yield f"{self.way.capitalize()}: {self.why}"


def choose(
    weights: Weights,
    pace: Pace,
    *,
    now: float,
    deadline: float,
    least: int,
    no_service: str = "",
    budget: float | None = None,
) -> Choice:
    """Choose the cheapest possible way to answer the records: a batch job, the flex tier, or calls on demand.

    If a price is unknown, the order is AWS's usual order: batch is the cheapest, then flex, then on demand. If no batch
    job can be created, `no_service` is the reason. `least` is the minimum number of records of a batch job. `budget` is
    the remaining budget in US dollars.
    """
    needed = pace.needs(weights.records)
    left = deadline - now
    takes_over = deadline - MARGIN * needed
    batch = Option(
        "batch job",
        weights.costs[BATCH],
        "usually within 24 h",
        no_service or _unfit(weights, least) or _too_dear(weights.costs[BATCH], budget) or _too_late(takes_over - now),
    )
    flex = Option(
        "flex",
        weights.costs[FLEX],
        f"about {duration(needed * _FLEX_TIMES)}, estimated",
        _no_flex(weights) or ("too little time" if left < MARGIN * _FLEX_TIMES * needed else ""),
    )
    on_demand = Option("on demand", weights.costs[DEFAULT], f"about {duration(needed)}, {pace.known_from}")
    options = (batch, flex, on_demand)
    possible = [option for option in options if not option.why_not]
    cheapest = possible[0]
    if all(option.cost is not None for option in possible):
        cheapest = min(possible, key=lambda option: option.cost or 0.0)
    return Choice(cheapest.way, _why(cheapest, possible, takes_over, now, late=needed > left), options)


def _unfit(weights: Weights, least: int) -> str:
    if weights.records < least:
        return f"{weights.records:,} record{'s' * (weights.records != 1)}, but a batch job needs at least {least:,}"
    if weights.unfit:
        reason, number = weights.unfit.most_common(1)[0]
        have = "1 record has" if number == 1 else f"{number:,} records have"
        return f"{have} {reason}, which a batch job does not support"
    if len(weights.forms) > 1:
        return "some records are for Converse and some for InvokeModel, but a batch job accepts only one of them"
    return ""


def _too_dear(cost: float | None, budget: float | None) -> str:
    if budget is None:
        return ""
    if cost is None:
        return "--max-cost is set, but the price is unknown"
    return "it may cost more than --max-cost, and a batch job cannot be limited" if cost > budget else ""


def _too_late(head_start: float) -> str:
    return "" if head_start >= _HEAD_START else f"less than {duration(_HEAD_START)} before on demand would take over"


def _no_flex(weights: Weights) -> str:
    return "" if weights.costs[FLEX] is not None else "no price of this tier is known for the model"


def _why(chosen: Option, possible: list[Option], takes_over: float, now: float, *, late: bool) -> str:
    if late:
        return "the fastest way, but the deadline may pass before all answers arrive"
    if len(possible) == 1:
        return "no other way is possible"
    cheapest = "the cheapest" if chosen.cost is not None else "the cheapest in AWS's usual order of prices"
    if chosen.way == "on demand":
        return cheapest
    return f"{cheapest}; on demand takes over at {local_time(takes_over, now)} if it is late"
