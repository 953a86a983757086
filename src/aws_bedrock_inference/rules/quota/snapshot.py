"""Frozen values that say how a quota is used and what its process needs of it; `Ledger` makes them under its lock."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, TypeAlias

from aws_bedrock_inference.rules.quota.limit import MINUTE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.rules.quota.fair_shares import Need
    from aws_bedrock_inference.rules.quota.gone import Use
    from aws_bedrock_inference.rules.quota.limit import Limit
    from aws_bedrock_inference.rules.quota.window import Window

Waiting: TypeAlias = "Mapping[float, tuple[int, float]]"
"""Calls that wait and the tokens they want, by priority."""

# Waiting calls are wanted within this many seconds; use that is not held back may grow by this factor before the store
# is asked again, and by this part of the quota from nothing.
HORIZON = 2.0
GROWTH = 1.25
LEAST = 0.01

# A larger need is the whole quota all the same.
MOST = 1e6


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The use of a quota at one time, by this process.

    `used` and `estimates` are what the last minute took and what a minute allows, as estimated, by dimension; `reasons`
    say why, and `bursts` how many seconds' worth may go at once.
    `outstanding` is what the `in_flight` calls have reserved, in tokens. `waiting` are calls and `consumers` tokens a
    minute, both by priority. `stalled` says that nothing has succeeded for longer than a minute window could explain.
    """

    used: Mapping[str, float]
    estimates: Mapping[str, float]
    reasons: Mapping[str, str]
    bursts: Mapping[str, float]
    outstanding: float
    in_flight: int
    waiting: Mapping[float, int]
    consumers: Mapping[float, int]
    stalled: bool


@dataclass(frozen=True, slots=True)
class Needs:
    """A process's needs of a quota that it shares. `by_priority` is as `fair_shares` divides by; calls wait at the
    priorities `waiting`. `limits` are the estimates that rest on something, by dimension; `rate` is calls a second.
    `uses` are its own of the minute, by age; `free` are requests and tokens that it could use at once.
    """

    by_priority: tuple[Need, ...]
    waiting: frozenset[float]
    limits: tuple[tuple[str, float], ...]
    rate: float
    uses: tuple[Use, ...]
    free: tuple[float, float]


def taken(
    window: Window, in_flight: int, waiting: Waiting, consumers: Mapping[float, int], *, stalled: bool
) -> Snapshot:
    """Return the use of a quota whose queue holds `waiting`."""
    return Snapshot(
        used={name: limit.used for name, limit in window.dimensions},
        estimates={name: limit.estimate * limit.share for name, limit in window.dimensions},
        reasons={name: limit.estimator.reason for name, limit in window.dimensions},
        bursts={name: limit.burst for name, limit in window.dimensions},
        outstanding=window.outstanding,
        in_flight=in_flight,
        waiting={priority: calls for priority, (calls, _) in waiting.items()},
        consumers=consumers,
        stalled=stalled,
    )


def needed(window: Window, in_flight: int, waiting: Waiting, consumers: Mapping[float, int], *, now: float) -> Needs:
    """Return what a process needs whose queue holds `waiting` and whose last minute took `consumers`."""
    uses = window.uses(now)
    requests, tokens = (sum(use[column] for use in uses) for column in (1, 2))
    used = max(requests / window.requests.estimate, tokens / window.tokens.estimate)
    total = max(1.0, float(sum(consumers.values())))
    by_priority = []
    for priority in sorted({*consumers, *waiting}):
        calls, tokens = waiting.get(priority, (0, 0.0))
        part = consumers.get(priority, 0) / total
        wanted = max(tokens / window.tokens.estimate, calls / window.requests.estimate) * MINUTE / HORIZON
        need = GROWTH * used * part + LEAST + wanted
        # A store has no number for what is infinite or none; such a call must not stop the others.
        if isfinite(priority) and need >= 0.0:
            by_priority.append((priority, min(need, MOST), calls + in_flight * part))
    return Needs(
        tuple(by_priority),
        frozenset(priority for priority, (calls, _) in waiting.items() if calls),
        tuple((name, limit.estimate) for name, limit in window.dimensions if limit.known),
        requests / MINUTE,
        uses,
        (_at_once(window.requests), _at_once(window.tokens)),
    )


def _at_once(limit: Limit) -> float:
    return max(0.0, limit.free) if limit.estimate < inf else 0.0
