"""Estimate the limit of one dimension from what happens to calls.

An estimator observes and answers. It observes time, with the counts of that time (admissions less settlements, summed:
admitting a call only adds to a number), throttles, and what other members of a shared quota have learned. It answers
with `estimate` (the rate, in units a minute), `burst` (seconds' worth that may go at once) and `slack` (the share by
which reservations may exceed the minute). `limit.Limit` enforces the answers and does not know how they were found. An
estimator reads no clock, so that a test can run it over a recorded trace.

`AimdEstimator` is the default: additive increase, multiplicative decrease, and a probe after a long quiet time.

    state         entered                          rate                                     slack
    ------------  -------------------------------  ---------------------------------------  ---------------------------
    configured    at the start, with a limit       as given; what the user gave is also     grows 0.5 % a second while
                  given or discovered              the ceiling; else as converged           reservations hold calls
                                                                                            back, to at most 4
    unknown       at the start, without            doubles about every second               0
    converged     by success after a throttle; by  additive increase, to a little above     as configured
                  another member's estimate        the level of the last throttle; 4 % a
                                                   second far below that level
    one throttle  from every state                 unknown: 70 % of the last 5 s; else      from above 2 %: reduced by
                                                   multiplicative decrease by 2 % to 30 %,  a fifth, and the rate stays
                                                   unless the slack is reduced
    two in a row  the next throttle, without a     the last 5 s, at least 85 % of the rate  unchanged
                  success between
    more in a row the next, after a pause          the last minute, at least 75 % of the    unchanged
                                                   rate
    quiet         62 s of full minutes without a   probe: growth of at least 0.2 % a        as configured
                  throttle                         second doubles every 2 s, to at most
                                                   12 %, up to twice what is used

Time raises the rate only while the limit holds calls back, and never above the ceiling. No state changes `burst`. A
throttle leads from quiet to "one throttle". A success, as the ledger sees it, ends a row of throttles.

The constants were found in simulation, with one and with four clients that know nothing of each other, under four ways
of counting (bench/quota.py). They are not facts about AWS.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple, Protocol

# Unknown: the estimate doubles about every second. The first throttle sets it to this part of the last seconds.
UNKNOWN_INCREASE = 0.7
UNKNOWN_KEPT = 0.7

# Throttles alone never lower the estimate below so many calls a minute: a service that refuses everything says nothing
# about the quota.
LEAST_CALLS = 6.0

# The multiplicative decrease. It starts large, so that several who share a limit soon have equal parts, and settles.
DECREASE_FIRST = 0.3
DECREASE_CONFIGURED = 0.02
DECREASE_LEAST = 0.12
DECREASE_SETTLES = 0.9
DECREASE_WIDENS = 1.15

# The second throttle in a row shows that the decrease was too small: the limit is what went through in the last
# seconds, but at least this part of the estimate.
SECOND_KEPT = 0.85

# From the third on, after a pause of a second or more, only a minute window explains them: the limit is what went
# through in the last minute. That is exact, so that later decreases can be small.
MORE_KEPT = 0.75
DECREASE_EXACT = 0.03
DECREASE_NARROWS = 0.6

# Additive increase, in calls a second each second for a decrease of 1: the same for large and small, as fairness needs.
# It slows down where throttles come more often than every SPACING calls. It ends REACH decreases above the last
# throttled level, and nearer to it where decreases are small.
INCREASE = 0.4
SPACING = 50.0
SPACING_WEIGHT = 0.2
REACH = 4.0

# A row of throttles may be a bad minute of the service, not a lower quota. So an estimate far below the last throttled
# level recovers quickly; where a limit was configured, nearly to that level.
RECOVERY = 0.04
RECOVERED = 0.8
RECOVERED_CONFIGURED = 0.95

# After QUIET seconds without a throttle, longer than a minute window can hide one, the quota may have become larger:
# the probe must find a doubled quota within 90 s. A minute counts only if it was used about as much as the one that was
# throttled.
QUIET = 62.0
PROBE_LEAST = 0.002
PROBE_DOUBLES = 2.0
PROBE_DOUBLINGS = 10.0
PROBE_MOST = 0.12
DECREASE_PROBING = 0.1
TESTED = 0.93

# If answers take long and max_tokens is far above their usage, reservations fill the minute with tokens that will never
# be used. A bucket does not mind: so they may exceed the minute by this share more each second, and a throttle takes a
# part back.
SLACK_INCREASE = 0.005
SLACK_MOST = 4.0
SLACK_LEAST = 0.02
SLACK_KEPT = 0.8


class Counts(Protocol):
    """The counts of one dimension that an estimator reads."""

    @property
    def used(self) -> float:
        """The units of our share used in the minute before now: those admitted, less those refunded by settlements."""

    @property
    def share(self) -> float:
        """The part of the quota that is ours."""

    @property
    def calls(self) -> float:
        """Our calls a second."""

    @property
    def held_back(self) -> bool:
        """True if the dimension made a call wait since the last observation."""

    @property
    def reserved(self) -> bool:
        """True if the dimension made a call wait because of reservations."""

    @property
    def windowed(self) -> bool:
        """True if the minute is counted in addition to the bucket."""


class Throttle(NamedTuple):
    """A throttle, the `in_a_row`-th. `recently` is what the last seconds used of the whole quota, `lately` what the
    last minute did, both as units a minute; `refused` is what the throttled call wanted.
    """

    in_a_row: int
    recently: float
    lately: float
    refused: float = 1.0


class Estimator(Protocol):
    """An estimator of one limit. Its answers are attributes, since they are read far more often than they change.

    `known` says whether the estimate rests on anything: a limit that was given, a throttle, or what others learned.
    """

    estimate: float
    burst: float
    slack: float
    known: bool

    def elapsed(self, seconds: float, counts: Counts) -> None:
        """Observe that `seconds` have passed."""

    def throttled(self, throttle: Throttle, counts: Counts) -> None:
        """Observe a throttle that came after the last one was known."""

    def adopt(self, estimate: float) -> None:
        """Observe what all members of a shared quota estimate."""


class EstimatorFactory(Protocol):
    """A way to make an estimator, such as the class `AimdEstimator`."""

    def __call__(self, estimate: float, *, burst: float, ceiling: float = inf, known: bool = True) -> Estimator:
        """Return an estimator that starts from `estimate`."""


class AimdEstimator:
    """An estimator by additive increase and multiplicative decrease; the module draws its states.

    The estimate is never above `ceiling`.
    """

    __slots__ = (
        "_calls",
        "_decrease",
        "_full",
        "_quiet",
        "_spacing",
        "_throttled_level",
        "burst",
        "ceiling",
        "estimate",
        "known",
        "slack",
    )

    def __init__(self, estimate: float, *, burst: float, ceiling: float = inf, known: bool = True) -> None:
        self.estimate = estimate
        self.burst = burst
        self.slack = 0.0
        self.ceiling = ceiling
        self.known = known
        self._decrease = DECREASE_FIRST if ceiling == inf else DECREASE_CONFIGURED
        self._throttled_level = estimate
        self._full = 0.0
        self._quiet = 0.0
        self._calls = 0.0
        self._spacing = SPACING

    def elapsed(self, seconds: float, counts: Counts) -> None:
        """Increase the estimate, or probe, while it holds calls back."""
        if not counts.held_back:
            return
        if not self.known:
            self.estimate *= 1.0 + UNKNOWN_INCREASE * seconds
            return
        if counts.reserved:
            self.slack = min(SLACK_MOST, self.slack + SLACK_INCREASE * seconds)
        if self._quiet > QUIET or not counts.windowed or counts.used >= TESTED * self._full * counts.share:
            self._quiet += seconds
        self._calls += counts.calls * seconds
        increase, top = self._probe(counts) if self._quiet > QUIET else self._increase(counts)
        self.estimate = min(self.ceiling, max(self.estimate, top), self.estimate * (1.0 + increase * seconds))

    def throttled(self, throttle: Throttle, counts: Counts) -> None:
        """Lower the estimate, or the slack."""
        in_a_row, recently, lately, refused = throttle
        least = min(self.estimate, LEAST_CALLS * refused)
        used = counts.used / counts.share
        self._full = min(used, self.estimate)
        self._throttled_level = min(self.estimate, max(recently, used))
        if not self.known:
            self.known = True
            if UNKNOWN_KEPT * recently < least:
                self._throttled_level = self.estimate
            self.estimate = min(self.estimate, UNKNOWN_KEPT * recently)
        elif in_a_row == 1:
            self._after_one()
        elif in_a_row == 2:  # noqa: PLR2004 - the second in a row
            self.estimate = max(SECOND_KEPT * self.estimate, min(recently, self.estimate))
        else:
            self.estimate = max(MORE_KEPT * self.estimate, min(lately, self.estimate))
            self._decrease = max(DECREASE_EXACT, self._decrease * DECREASE_NARROWS)
        self.estimate = max(least, self.estimate)
        self._quiet = 0.0

    def adopt(self, estimate: float) -> None:
        """Replace the estimate by what all members share. A throttle that one of them met counts as met here."""
        before = self.estimate
        self.estimate = min(self.ceiling, estimate)
        if not self.known or self.estimate < before:
            level = max(before, self.estimate) if self.known else self.estimate
            self._throttled_level = min(self._throttled_level, level)
            self._quiet = 0.0
        self.known = True

    def _after_one(self) -> None:
        if self.slack > SLACK_LEAST:
            self.slack *= SLACK_KEPT
            return
        settled = self._decrease * DECREASE_SETTLES
        if settled > DECREASE_LEAST:
            self._decrease = settled
        else:
            self._decrease = min(DECREASE_LEAST, self._decrease * DECREASE_WIDENS)
        self._spacing += SPACING_WEIGHT * (max(1.0, self._calls) - self._spacing)
        self._calls = 0.0
        self.estimate *= 1.0 - self._decrease

    def _increase(self, counts: Counts) -> tuple[float, float]:
        """Return the share by which the estimate grows each second, and where that ends."""
        decrease, level = self._decrease, self._throttled_level
        increase = decrease * INCREASE / max(counts.calls, 0.1) * min(1.0, (self._spacing / SPACING) ** 2)
        if self.estimate < level * (RECOVERED_CONFIGURED if self.ceiling < inf else RECOVERED):
            increase = max(increase, RECOVERY)
        return increase, level * (1.0 + REACH * decrease * min(1.0, decrease / DECREASE_LEAST))

    def _probe(self, counts: Counts) -> tuple[float, float]:
        """Return the same for a quota that may have become larger."""
        increase, _ = self._increase(counts)
        doublings = min(PROBE_DOUBLINGS, (self._quiet - QUIET) / PROBE_DOUBLES)
        if self.estimate < self.ceiling:
            self._decrease = max(self._decrease, DECREASE_PROBING)
        return min(PROBE_MOST, max(increase, PROBE_LEAST) * 2.0**doublings), 2.0 * counts.used / counts.share
