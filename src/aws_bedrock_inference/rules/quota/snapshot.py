"""The use of a quota by this process, and the quota that its calls need. `Ledger` creates these immutable values under
its lock.
"""

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
"""The number of waiting calls and the tokens that they need, by priority."""

Whose: TypeAlias = "tuple[float, str]"
"""A pair (priority, tenant) of calls."""

# These numbers determine the quota that this process requests. For waiting calls, it requests enough to send them
# within this many seconds. Other use can grow by this factor before the next request to the store. If there is no use,
# it can grow to this fraction of the quota, which all tenants of a priority share.
HORIZON = 2.0
GROWTH = 1.25
LEAST = 0.01

# Below this fraction of the configured limit, the reason for the estimate also states the configured limit.
LOWERED = 0.99

# If calls need a larger fraction of the quota, the fraction is reduced to this number, which is far above the whole
# quota.
MOST = 1e6

# The number of tenants with the largest needs that are reported separately. The other tenants of a priority are a
# group.
NAMED = 64


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The use of a quota by this process at one time.

    * `used`: for each dimension (requests and tokens), the use in the last minute.
    * `estimates`: for each dimension, the estimated limit per minute of this process.
    * `reasons`: for each dimension, a text that explains the estimate.
    * `bursts`: for each dimension, the amount of quota that can be used within a moment. For example, 5 means the quota
      of 5 seconds.
    * `waiting`: for each priority, the number of waiting calls.
    * `consumers`: for each priority, the recent use in tokens.
    * `in_flight`: the number of calls in flight.
    * `outstanding`: the number of tokens that the calls in flight have reserved.
    * `share`: the fraction of a shared quota that this process can use now, or 1 if the quota is not shared. Each of
      the `estimates` is the limit of all processes, multiplied by this fraction.
    * `pace`: a text that states what delays the next waiting call.
    * `stalled`: True if a row of throttles has lasted more than 90 seconds. A full minute of the quota cannot be the
      cause, because the service would accept calls again after 60 seconds.
    """

    used: Mapping[str, float]
    estimates: Mapping[str, float]
    reasons: Mapping[str, str]
    bursts: Mapping[str, float]
    outstanding: float
    in_flight: int
    waiting: Mapping[float, int]
    consumers: Mapping[float, int]
    share: float
    pace: str
    stalled: bool


@dataclass(frozen=True, slots=True)
class Needs:
    """The part of a shared quota that a process needs, and what the process reports to the store.

    * `told`: the needs that the process reports. A need is the fraction of the quota that the calls of one priority and
      tenant need.
    * `waiting`: the priorities and tenants that have waiting calls.
    * `limits`: what the process has learned, as tuples (name, value). The values are limits, noise (the fraction of
      random throttles) and burndown (quota tokens per output token).
    * `rate`: the calls per second of the process.
    * `uses`: the use by the process in the last minute, as tuples (age in seconds, requests, tokens).
    * `free`: the numbers of requests and tokens that the process could use immediately.
    """

    told: tuple[Need, ...]
    waiting: frozenset[Whose]
    limits: tuple[tuple[str, float], ...]
    rate: float
    uses: tuple[Use, ...]
    free: tuple[float, float]


def taken(
    window: Window, in_flight: int, waiting: Waiting, consumers: Mapping[float, int], *, pace: str, stalled: bool
) -> Snapshot:
    """Return the present use of a quota by this process. `waiting` describes the waiting calls."""
    return Snapshot(
        used={name: limit.used for name, limit in window.dimensions},
        estimates={name: limit.estimate * limit.share for name, limit in window.dimensions},
        reasons={name: _reason(limit) for name, limit in window.dimensions},
        bursts={name: MINUTE if limit.fixed else limit.burst for name, limit in window.dimensions},
        outstanding=window.outstanding,
        in_flight=in_flight,
        waiting={priority: calls for priority, (calls, _) in waiting.items()},
        consumers=consumers,
        share=window.tokens.share,
        pace=pace,
        stalled=stalled,
    )


def needed(
    window: Window,
    in_flight: int,
    waiting: Mapping[Whose, tuple[int, float]],
    consumers: Mapping[Whose, float],
    uses: tuple[Use, ...],
) -> Needs:
    """Return the part of a shared quota that this process needs.

    * `waiting`: for each priority and tenant, the number of waiting calls and the tokens that they need.
    * `consumers`: for each priority and tenant, the recent use.
    * `uses`: the use by this process in the last minute, as tuples (age in seconds, requests, tokens).
    """
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
        # A store cannot represent infinite numbers or NaN; a call with these must not stop the other calls.
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
    """Return the needs as they are reported to the store. The report contains a separate need for the calls without
    tenant and for each of the 64 tenants with the largest needs. The needs of all other tenants of a priority are added
    up, so that the report stays small.
    """
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
    """Return what this process can report to other processes, as tuples (name, value): the known limits, the noise
    (fraction of random throttles) and the learned burndown (quota tokens per output token).
    """
    limits = [(name, limit.estimate) for name, limit in window.dimensions if limit.known]
    noises = [(NOISE + name, limit.estimator.noise) for name, limit in window.dimensions if limit.estimator.noise]
    burndown = [(BURNDOWN, window.burndown.rate)] if window.burndown.found else []
    return (*limits, *noises, *burndown)


def _reason(limit: Limit) -> str:
    reason = limit.estimator.reason
    if limit.estimate < LOWERED * limit.estimator.ceiling < inf:
        reason += f"; {limit.estimator.ceiling:,.0f} is configured"
    return f"{reason}; the service counts fixed minutes, and calls fill each as it begins" if limit.fixed else reason


def _at_once(limit: Limit) -> float:
    return max(0.0, limit.free) if limit.estimate < inf else 0.0
