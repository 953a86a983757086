"""The interface between counting (`limit.Limit`) and learning (an estimator of a limit).

An estimator observes the time that passes, the counts in that time, throttles, and the estimates of other members of a
shared quota. The admission of a call is fast, because it changes only the counts and does not call the estimator.
`limit.Limit` enforces the three results of the estimator:

* `estimate`: the limit in units per minute.
* `burst`: the amount of quota that can be used within a moment. For example, 5 means the quota of 5 seconds.
* `slack`: the fraction by which reservations can exceed the limit of the minute. For example, with 0.5, calls can
  reserve 1.5 times the limit.

An estimator reads no clock, so that a test can run it on a recorded trace.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple, Protocol


class Counts(Protocol):
    """The counts of one dimension (requests or tokens) that the estimator of its limit reads."""

    @property
    def admitted(self) -> float:
        """The number of calls that were admitted since this process began to use the quota."""

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
        """True if the service counts minutes with a fixed start, and this start is known. The last 60 seconds can then
        contain more than the limit, because they include parts of two minutes.
        """

    @property
    def held_back(self) -> bool:
        """True if a call had to wait for this dimension (requests or tokens) since the last observation."""

    @property
    def reserved(self) -> bool:
        """True if a call had to wait, and one cause is that calls in flight have reserved more than a tenth of the
        limit of tokens per minute. For requests, it is always False.
        """


class Throttle(NamedTuple):
    """The throttle of a call that was admitted `age` seconds ago.

    * `in_a_row`: the position of the throttle in its row, starting with 1. In a row, almost no call succeeds between
      two throttles. If the throttled call was already in flight when the previous throttle arrived, `in_a_row` is 0.
    * `recently`, `lately`: the use of the whole quota in the last few seconds and in the last minute.
    * `shortly`: the use in the last second. If calls are rare, it is the use in a longer time, in which about 5 calls
      are sent.
    * `calls`: the number of calls in the time that `shortly` measures.
    * `refused`: the size of the throttled call, in units (requests or tokens).
    * `size`: the size of the throttled call, divided by the mean size of calls.
    * `refused_probes`: in a row of throttles, calls pause, and the first call after each pause is a probe. This is the
      number of probes that were refused without an accepted probe between them. A token bucket receives tokens during
      a pause. So if several probes are refused, an empty bucket is not the cause.
    * `probe_accepted`: True if the service accepted the last probe, and then refused this call.

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
    refused_probes: int = 0
    probe_accepted: bool = False

    def at_least(self, calls: float) -> float:
        """Return the larger of two numbers, in units (requests or tokens) per minute: `recently`, the use of the last
        few seconds, and `calls` times the size of the throttled call (`refused`).
        """
        return max(self.recently, calls * max(1.0, self.refused))


class Estimator(Protocol):
    """An estimator of one limit (requests or tokens per minute). The results are attributes, because they are read far
    more often than they change.

    `known` is True if the estimate is based on a configured or listed limit, a throttle, or the estimate of another
    member. `reason` is a text that explains the estimate. `ceiling` is the configured limit, or infinity.
    """

    estimate: float
    ceiling: float
    burst: float
    slack: float
    known: bool
    reason: str

    def elapsed(self, seconds: float, counts: Counts) -> None:
        """Observe that `seconds` have passed, and update the estimated limit."""

    def throttled(self, throttle: Throttle, counts: Counts) -> bool:
        """Record a throttle. Return True if the token bucket must be emptied; otherwise return False. When the bucket
        is empty, the next calls can use only units that are added to it from then on.
        """

    def overfull(self, used: float, minute: float) -> bool:
        """Return True if the slack (reservations beyond the limit of the minute) can be the cause of a throttle;
        otherwise return False. `used` is the number of units (requests or tokens) that the last minute and the
        throttled call need. `minute` is the limit of the minute.
        """

    @property
    def noise(self) -> float:
        """The noise: the fraction of the calls that is throttled at random. These throttles do not stop if fewer calls
        are sent.
        """

    def adopt(self, estimate: float) -> None:
        """Take into account the estimated limit of another member (process) of a shared quota."""

    def adopt_noise(self, noise: float) -> None:
        """Take into account the noise (random throttles) that another member of a shared quota has found."""


class EstimatorFactory(Protocol):
    """A function or class that creates an estimator of a limit, such as `learning.EvidenceEstimator`."""

    def __call__(self, estimate: float, *, burst: float, ceiling: float = inf, known: bool = True) -> Estimator:
        """Return an estimator that starts from `estimate`, the limit in units per minute."""
