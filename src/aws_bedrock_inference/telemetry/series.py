"""The series of metrics: each combination of labels that occurs, with its counters.

This module counts in its own counters, and OpenTelemetry reads their values when it collects metrics. Counters of
OpenTelemetry's SDK would be ten times slower.

OpenTelemetry reads the values through a callback, and cannot remove or replace this callback. After a second call of
`observe`, OpenTelemetry therefore still reads the counters of the first call. New counters would never be read. This
module therefore stores one set of counters for each provider, and every call of `observe` uses this set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.telemetry.described import CAUSE, CONTEXT, OPERATION, OTHER, TARGET
from aws_bedrock_inference.telemetry.labels import Labels

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Route
    from aws_bedrock_inference.contexts import Context
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.telemetry.described import Attributes, Described

MOST = 2000
"""The maximum number of series, which is the SDK's default limit for an instrument. All further series are combined
into one.
"""

MOST_WORDS = 100
"""The maximum number of models, error names and causes with separate series."""


class Series:
    """One combination of labels, with its counters.

    `typed` contains the labels of the combination for each type of token (`input` and `output`). `counts` contains the
    value of each counter by the key of the counter.
    """

    __slots__ = ("attributes", "counts", "typed")

    def __init__(self, attributes: Attributes, token_type: str) -> None:
        self.attributes = attributes
        self.typed = {each: {**attributes, token_type: each} for each in ("input", "output")}
        self.counts: dict[str, float] = {}


class AllSeries(Locked):
    """The series (combinations of labels) that have occurred.

    The number of series is limited. Without a limit, it could grow endlessly, because model ids, contexts and codes
    come from outside this package.
    """

    def __init__(self, described: Described) -> None:
        super().__init__()
        self._described = described
        self._bounded = {described.name["model"], described.name["error"], CAUSE, OPERATION, TARGET}
        self._words = Labels(names=len(self._bounded), values=MOST_WORDS)
        self._labels = Labels()
        self._all: dict[object, Series] = {}
        self._known: dict[object, Series] = {}  # the labels of the last call
        self._others = Series({described.name["error"]: OTHER}, described.name["token_type"])

    def of(self, operation: str, route: Route, fault: Fault | None = None, context: Context = ()) -> Series:
        """Return the series (one combination of labels) of a call or an attempt. Create the series if it is new."""
        failed = None if fault is None else (fault.code, fault.cause, fault.decision)
        key = operation, route.health_key, failed, context
        known = self._known.get(key)
        return known if known is not None else self._new(key, operation, route, fault, context)

    def count(self, series: Series, key: str, value: float = 1) -> None:
        """Add `value` to the counter `key` of a series (one combination of labels)."""
        with self._lock:
            counts = series.counts
            counts[key] = counts.get(key, 0) + value

    def read(self, key: str) -> list[tuple[float, Attributes]]:
        """Return the values of the counter with this key, one for each series."""
        with self._lock:
            series = [*self._all.values(), self._others]
            return [(each.counts[key], each.attributes) for each in series if key in each.counts]

    def _new(self, key: object, operation: str, route: Route, fault: Fault | None, context: Context) -> Series:
        attributes = self._described.call(operation, route)
        if fault is not None:
            attributes |= self._described.fault(fault)
        with self._lock:
            words = tuple((name, str(value)) for name, value in attributes.items() if name in self._bounded)
            attributes |= self._words.of(words)
            attributes |= {CONTEXT + name: value for name, value in self._labels.of(context).items()}
            labels = frozenset(attributes.items())
            series = self._all.get(labels)
            if series is None:
                if len(self._all) >= MOST:
                    return self._others
                series = self._all[labels] = Series(attributes, self._described.name["token_type"])
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = series
            return series


class _Program:
    """The type of a key in `_OF_PROVIDERS`. The key represents the provider that the program has set.

    This provider cannot itself be the key, because the program can set it after the call of `observe`.
    """


_PROGRAM = _Program()
_OF_PROVIDERS: WeakKeyDictionary[object, dict[bool, AllSeries]] = WeakKeyDictionary()


def series_of(provider: object | None, described: Described, *, new: bool) -> AllSeries:
    """Return the series (combinations of labels) for the metrics of the meter provider `provider`.

    If `provider` is None, the metrics use the provider that the program has set. `new` is True if the metrics have the
    names of the newer version of OpenTelemetry's conventions.
    """
    both = _OF_PROVIDERS.setdefault(_PROGRAM if provider is None else provider, {})
    return both.setdefault(new, AllSeries(described))
