"""Instruments that OpenTelemetry reads when it collects metrics: counters, and gauges of quotas, queues and circuits.

OpenTelemetry reads an instrument through a callback, and cannot remove or replace this callback. After a second call of
`observe`, OpenTelemetry therefore still uses the callback of the first call. This callback must also know the clients
that the program creates later. Therefore the gauges report the quotas and circuits of all clients of the process.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING

from opentelemetry.metrics import CallbackOptions, Observation

from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.policies.quota import LIVING
from aws_bedrock_inference.telemetry.names import OWN, PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import Meter

    from aws_bedrock_inference.events import CircuitChanged
    from aws_bedrock_inference.telemetry.described import Attributes, Described
    from aws_bedrock_inference.telemetry.names import Names

MOST_CIRCUITS = 256
"""The maximum number of reported circuits. If there are more, the circuits that changed last are reported."""

DIMENSION, POOL = f"{OWN}quota.dimension", f"{OWN}pool"

_STATES = {"closed": 0, "half-open": 1, "open": 2}

Gauge = tuple[float, "Attributes"]


class Circuits(Locked):
    """The states of the circuit breakers of the process: closed, half-open or open.

    A breaker is reported only after its first change of state. If two clients have separate breakers for the same
    model, only the state of the breaker that changed last is reported.
    """

    def __init__(self) -> None:
        super().__init__()
        self._states: dict[str, Gauge] = {}

    def changed(self, event: CircuitChanged, described: Described) -> None:
        """Record the new state of a circuit: closed, half-open or open."""
        key = event.route.health_key
        with self._lock:
            self._states.pop(key, None)
            if len(self._states) >= MOST_CIRCUITS:
                del self._states[next(iter(self._states))]
            self._states[key] = _STATES.get(event.state, 0), described.call("", event.route)

    def gauges(self) -> list[Gauge]:
        """Return the state of each circuit as a number: 0 for closed, 1 for half-open, 2 for open."""
        with self._lock:
            return list(self._states.values())


CIRCUITS = Circuits()


def create_gauges(meter: Meter, names: Names, described: Described) -> None:
    """Create the gauges of quotas, queues and circuits."""
    quotas = partial(_quotas, described)
    for key, read in (
        ("quota_used", lambda: quotas()[0]),
        ("quota_limit", lambda: quotas()[1]),
        ("quota_queue", lambda: quotas()[2]),
        ("circuit", CIRCUITS.gauges),
    ):
        metric = names.metrics[key]
        meter.create_observable_gauge(metric.name, [_observing(read)], metric.unit, metric.description)


def create_counters(meter: Meter, names: Names, read: Callable[[str], Iterable[Gauge]]) -> None:
    """Create the counters. `read` is called with the key of a counter and returns the counter's values."""
    for key, metric in names.metrics.items():
        if metric.kind == "counter":
            observing = _observing(partial(read, key))
            meter.create_observable_counter(metric.name, [observing], metric.unit, metric.description)


def _observing(read: Callable[[], Iterable[Gauge]]) -> Callable[[CallbackOptions], list[Observation]]:
    return lambda _: [Observation(value, attributes) for value, attributes in read()]


def _quotas(described: Described) -> tuple[list[Gauge], list[Gauge], list[Gauge]]:
    """Return three lists of gauges: the used amount and the limit of each quota, and the number of calls in its queue.

    Several `Quota` objects can count the same quota. Their used amounts and their queues are added. The limit is the
    largest of their limits.
    """
    used: dict[tuple[str, str], float] = defaultdict(float)
    limits: dict[tuple[str, str], float] = defaultdict(float)
    queues: dict[str, int] = defaultdict(int)
    for quota in LIVING.all():
        for key, pool, taken in quota.pools():
            queues[key] += sum(taken.waiting.values())
            day = pool.ledger.day
            of_day = [("tokens-per-day", day.used, day.limit)] if isfinite(day.limit) else []
            for dimension, use, limit in [*((n, taken.used[n], taken.estimates[n]) for n in taken.used), *of_day]:
                used[key, dimension] += use
                if isfinite(limit):
                    limits[key, dimension] = max(limits[key, dimension], limit)

    def of_dimensions(found: dict[tuple[str, str], float]) -> list[Gauge]:
        return [(value, {**_named(key, described), DIMENSION: of}) for (key, of), value in found.items()]

    return of_dimensions(used), of_dimensions(limits), [(n, _named(key, described)) for key, n in queues.items()]


def _named(key: str, described: Described) -> Attributes:
    name = described.name
    account, region, model, pool = key.split("|", 3)
    attributes: Attributes = {name["provider"]: PROVIDER, name["model"]: masked(model), POOL: pool}
    if region:
        attributes[name["region"]] = region
    if account:
        attributes[name["account"]] = account
    return attributes
