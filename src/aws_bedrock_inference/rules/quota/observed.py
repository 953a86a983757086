"""The interface between counting (`limit.Limit`) and learning (an estimator of a limit).

An estimator observes the time that passes, the counts in that time, throttles, and the estimates of other members of a
shared quota. The counts are running totals, so the admission of a call is fast. `limit.Limit` enforces the three
results of the estimator:

* `estimate`: the limit in units per minute.
* `burst`: the number of seconds whose quota can be used at once.
* `slack`: the fraction by which reservations can exceed the limit of the minute.

An estimator reads no clock, so that a test can run it on a recorded trace.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple, Protocol


class Counts(Protocol):
    """The counts of one dimension (requests or tokens) that the estimator of its limit reads."""

    @property
    def admitted(self) -> float:
        """The number of calls of this process that were admitted since the start."""

    @property
    def calls(self) -> float:
        """The number of calls of this process per second."""

    @property
    def used(self) -> float:
        """The number of units (requests or tokens) that were used in the last 60 seconds. This number includes units
        that calls in flight have reserved.
        """

    @property
    def minute(self) -> float:
        """The number of units (requests or tokens) that this process can use in a minute."""

    @property
    def fixed(self) -> bool:
        """True if minutes with a fixed start are counted. In that case, the last 60 seconds can contain more than the
        limit.
        """

    @property
    def held_back(self) -> bool:
        """True if a call had to wait for this dimension (requests or tokens) since the last observation."""

    @property
    def reserved(self) -> bool:
        """True if a call had to wait for this dimension (requests or tokens) because other calls had reserved it."""


class Throttle(NamedTuple):
    """The throttle of a call that was admitted `age` seconds ago.

    * `in_a_row`: the position of the throttle in its row, starting with 1. In a row, almost no call succeeds between
      two throttles. It is 0 if this call was already in flight when the previous throttle arrived.
    * `recently`, `lately`: the use of the whole quota in the last few seconds and in the last minute.
    * `shortly`: the use in the last second, or in the time of a few calls if that is longer.
    * `calls`: the number of calls in the time of `shortly`.
    * `refused`: the size of the throttled call, in units (requests or tokens).
    * `size`: the size of the throttled call, divided by the mean size of calls.

    `recently`, `lately` and `shortly` are in units per minute.
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
        """Return the use of the last few seconds, in units per minute. Return at least the use that `calls` calls per
        minute would cause if each had the size of the throttled call.
        """
        return max(self.recently, calls * max(1.0, self.refused))


class Estimator(Protocol):
    """An estimator of one limit (requests or tokens per minute). The results are attributes, because they are read far
    more often than they change.

    `known` is True if the estimate is based on a configured or listed limit, a throttle, or the estimate of another
    member. `reason` is a text that explains the estimate.
    """

    estimate: float
    burst: float
    slack: float
    known: bool
    reason: str

    def elapsed(self, seconds: float, counts: Counts) -> None:
        """Observe that `seconds` have passed, and update the estimated limit."""

    def throttled(self, throttle: Throttle, counts: Counts) -> bool:
        """Record a throttle. Return True if the token bucket must be emptied, so that the next calls cannot use quota
        that was saved before; otherwise return False.
        """

    @property
    def noise(self) -> float:
        """The fraction of the calls that is throttled however few calls are sent."""

    def adopt(self, estimate: float) -> None:
        """Take into account the estimated limit of another member (process) of a shared quota."""

    def adopt_noise(self, noise: float) -> None:
        """Take into account the noise (random throttles) that another member of a shared quota has found."""


class EstimatorFactory(Protocol):
    """A function or class that creates an estimator of a limit, such as `learning.EvidenceEstimator`."""

    def __call__(self, estimate: float, *, burst: float, ceiling: float = inf, known: bool = True) -> Estimator:
        """Return an estimator that starts from `estimate`, the limit in units per minute."""
