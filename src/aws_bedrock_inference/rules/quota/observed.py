"""The interface between counting (`limit.Limit`) and learning (an estimator of a limit).

An estimator observes the passing time with its counts, throttles, and what other members of a shared quota have
learned. The counts are sums, so that admitting a call only adds to a number. The estimator answers with `estimate`
(the limit in units per minute), `burst` (the seconds' worth that can be used at once) and `slack` (the part by which
reservations can exceed the minute). `limit.Limit` enforces these answers. An estimator reads no clock, so that a test
can run it on a recorded trace.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple, Protocol


class Counts(Protocol):
    """The counts of one dimension that an estimator reads."""

    @property
    def admitted(self) -> float:
        """The calls of this process that were admitted since the start."""

    @property
    def calls(self) -> float:
        """The calls of this process per second."""

    @property
    def used(self) -> float:
        """The units used in the last 60 seconds, including those that calls in flight have reserved."""

    @property
    def minute(self) -> float:
        """The units that a minute can contain."""

    @property
    def fixed(self) -> bool:
        """True if fixed minutes are counted. The last 60 seconds can then contain more than the limit."""

    @property
    def held_back(self) -> bool:
        """True if a call had to wait for this dimension since the last observation."""

    @property
    def reserved(self) -> bool:
        """True if a call had to wait for this dimension because of reservations."""


class Throttle(NamedTuple):
    """The throttle of a call that was admitted `age` seconds ago. `in_a_row` is its number in the row of throttles,
    or 0 if the previous throttle had not arrived when the call was admitted.

    The uses are of the whole quota, in units per minute: `recently` in the last seconds, `lately` in the last minute,
    and `shortly` in the last second or the time of a few calls. `calls` is the number of calls in that short time.
    `refused` is the size of the throttled call, and `size` is its ratio to the mean size.
    """

    in_a_row: int
    recently: float
    lately: float
    refused: float = 1.0
    shortly: float = 0.0
    calls: float = 0.0
    age: float = 0.0
    size: float = 1.0

    def at_least(self, calls: float) -> float:
        """Return `recently`, or the use of `calls` such calls per minute if that is more, as for the first call."""
        return max(self.recently, calls * max(1.0, self.refused))


class Estimator(Protocol):
    """An estimator of one limit. Its answers are attributes, because they are read far more often than they change.

    `known` is True if the estimate is based on a configured limit, a throttle, or the estimate of another member.
    `reason` states this basis in words.
    """

    estimate: float
    burst: float
    slack: float
    known: bool
    reason: str

    def elapsed(self, seconds: float, counts: Counts) -> None:
        """Observe that `seconds` have passed."""

    def throttled(self, throttle: Throttle, counts: Counts) -> bool:
        """Observe a throttle. Return True if the burst is used up, otherwise False."""

    @property
    def noise(self) -> float:
        """The part of the calls that is throttled whatever the rate is."""

    def adopt(self, estimate: float) -> None:
        """Observe the estimate of another member of a shared quota."""

    def adopt_noise(self, noise: float) -> None:
        """Observe the noise that another member has found."""


class EstimatorFactory(Protocol):
    """A function or class that creates an estimator, such as `learning.EvidenceEstimator`."""

    def __call__(self, estimate: float, *, burst: float, ceiling: float = inf, known: bool = True) -> Estimator:
        """Return an estimator that starts from `estimate`."""
