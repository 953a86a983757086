"""Frozen values that say how a quota is used and what its process needs of it; `Ledger` makes them under its lock."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from math import inf, isfinite
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from aws_bedrock_inference.rules.quota.beliefs import BURNDOWN, NOISE
from aws_bedrock_inference.rules.quota.fair_shares import OTHERS, Need
from aws_bedrock_inference.rules.quota.limit import MINUTE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.rules.quota.gone import Use
    from aws_bedrock_inference.rules.quota.limit import Limit
    from aws_bedrock_inference.rules.quota.window import Window

Waiting: TypeAlias = "Mapping[float, tuple[int, float]]"
"""Calls that wait and the tokens they want, by priority."""

Whose: TypeAlias = "tuple[float, str]"
"""Priority and tenant."""

# Waiting calls are wanted within this many seconds; use that is not held back may grow by this factor before the store
# is asked again, and by this part of the quota from nothing, that of all tenants of a priority together.
HORIZON = 2.0
GROWTH = 1.25
LEAST = 0.01

# A larger need is the whole quota all the same.
MOST = 1e6

# So many needs of tenants are told one by one, the largest; those of the others are told as one for each priority.
NAMED = 64


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
    """A process's needs of a quota that it shares. `told` are as `fair_shares` divides by; of those whose calls wait,
    `waiting` are priorities and tenants. `limits` are the estimates that rest on something, by name; `rate` is
    calls a second. `uses` are its own of the minute, by age; `free` are requests and tokens that it could use at once.
    """

    told: tuple[Need, ...]
    waiting: frozenset[Whose]
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
        reasons={name: _reason(limit) for name, limit in window.dimensions},
        bursts={name: MINUTE if limit.fixed else limit.burst for name, limit in window.dimensions},
        outstanding=window.outstanding,
        in_flight=in_flight,
        waiting={priority: calls for priority, (calls, _) in waiting.items()},
        consumers=consumers,
        stalled=stalled,
    )


def needed(
    window: Window,
    in_flight: int,
    waiting: Mapping[Whose, tuple[int, float]],
    consumers: Mapping[Whose, float],
    uses: tuple[Use, ...],
) -> Needs:
    """Return what a process needs whose queue holds `waiting`, and whose last minute took `consumers` and `uses`."""
    requests, tokens = (sum(use[column] for use in uses) for column in (1, 2))
    used = max(requests / window.requests.estimate, tokens / window.tokens.estimate)
    total = max(1.0, float(sum(consumers.values())))
    everybody = sorted({*consumers, *waiting})
    tenants = Counter(priority for priority, _ in everybody)
    needs = []
    for whose in everybody:
        priority, tenant = whose
        calls, tokens = waiting.get(whose, (0, 0.0))
        part = consumers.get(whose, 0.0) / total
        wanted = max(tokens / window.tokens.estimate, calls / window.requests.estimate) * MINUTE / HORIZON
        need = GROWTH * used * part + LEAST / tenants[priority] + wanted
        # A store has no number for what is infinite or none; such a call must not stop the others.
        if isfinite(priority) and need >= 0.0:
            needs.append(Need(priority, min(need, MOST), calls + in_flight * part, tenant))
    told = _told(needs)
    names = {(need.priority, need.tenant) for need in told}
    return Needs(
        told,
        frozenset(whose if whose in names else (whose[0], OTHERS) for whose, (calls, _) in waiting.items() if calls),
        _found(window),
        requests / MINUTE,
        uses,
        (_at_once(window.requests), _at_once(window.tokens)),
    )


def _told(needs: list[Need]) -> tuple[Need, ...]:
    """Return the needs of no tenant's calls, of so many tenants, and of all the others together by priority."""
    named = [need for need in needs if need.tenant and need.tenant != OTHERS]
    kept = set(heapq.nlargest(NAMED, named, key=attrgetter("need")))
    told = [need for need in needs if not need.tenant or need in kept]
    if len(told) < len(needs):
        rest = [need for need in needs if need.tenant and need not in kept]
        for priority in {need.priority for need in rest}:
            sizes = [need.need for need in rest if need.priority == priority]
            told.append(Need(priority, min(MOST, sum(sizes)), float(len(sizes)), OTHERS))
    return tuple(told)


def _found(window: Window) -> tuple[tuple[str, float], ...]:
    """Return what is known of the limits, of noise, and of how often an output token counts."""
    limits = [(name, limit.estimate) for name, limit in window.dimensions if limit.known]
    noises = [(NOISE + name, limit.estimator.noise) for name, limit in window.dimensions if limit.estimator.noise]
    burndown = [(BURNDOWN, window.burndown.rate)] if window.burndown.found else []
    return (*limits, *noises, *burndown)


def _reason(limit: Limit) -> str:
    reason = limit.estimator.reason
    return f"{reason}; the service counts fixed minutes, and calls fill each as it begins" if limit.fixed else reason


def _at_once(limit: Limit) -> float:
    return max(0.0, limit.free) if limit.estimate < inf else 0.0
