"""Observations and answers of an estimator of a limit: the seam between counting and learning.

An estimator observes time, with the counts of that time (summed: admitting a call only adds to a number), throttles,
and what other members of a shared quota have learned. It answers with `estimate` (the rate, in units a minute), `burst`
(seconds' worth that may go at once) and `slack` (the share by which reservations may exceed the minute). `limit.Limit`
enforces the answers and does not know how they were found. An estimator reads no clock, so that a test can run it over
a recorded trace.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple, Protocol


class Counts(Protocol):
    """The counts of one dimension that an estimator reads."""

    @property
    def admitted(self) -> float:
        """Our calls admitted since the start."""

    @property
    def calls(self) -> float:
        """Our calls a second."""

    @property
    def used(self) -> float:
        """The units that the minute before now holds, those reserved by calls in flight, too."""

    @property
    def minute(self) -> float:
        """The units that a minute may hold."""

    @property
    def fixed(self) -> bool:
        """True if fixed minutes are counted: then a minute before now may hold more than the limit."""

    @property
    def held_back(self) -> bool:
        """True if the dimension made a call wait since the last observation."""

    @property
    def reserved(self) -> bool:
        """True if the dimension made a call wait because of reservations."""


class Throttle(NamedTuple):
    """A throttle of a call admitted `age` seconds ago, the `in_a_row`-th; 0 when the last one was not known then.

    `recently` is what the last seconds used of the whole quota, `lately` what the last minute did, `shortly` what the
    last second did, or the time of a few calls, all as units a minute; `calls` is how many calls went in that time.
    `refused` is what the throttled call wanted, `size` how much that is of what calls want on average.
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
        """Return `recently`, or so many calls like this a minute if that is more: a call may be the first of all."""
        return max(self.recently, calls * max(1.0, self.refused))


class Estimator(Protocol):
    """An estimator of one limit. Its answers are attributes, since they are read far more often than they change.

    `known` says whether the estimate rests on anything: a limit that was given, a throttle, or what others learned;
    `reason` says in words on what.
    """

    estimate: float
    burst: float
    slack: float
    known: bool
    reason: str

    def elapsed(self, seconds: float, counts: Counts) -> None:
        """Observe that `seconds` have passed."""

    def throttled(self, throttle: Throttle, counts: Counts) -> bool:
        """Observe a throttle; return whether nothing is left of the burst."""

    @property
    def noise(self) -> float:
        """The part of the calls that is throttled whatever the rate is."""

    def adopt(self, estimate: float) -> None:
        """Observe the estimate that another member of a shared quota has found."""

    def adopt_noise(self, noise: float) -> None:
        """Observe the noise that another member has found."""


class EstimatorFactory(Protocol):
    """A way to make an estimator, such as the class `learning.EvidenceEstimator`."""

    def __call__(self, estimate: float, *, burst: float, ceiling: float = inf, known: bool = True) -> Estimator:
        """Return an estimator that starts from `estimate`."""
