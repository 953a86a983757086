"""Recognize rows of throttles. In a row, almost no call succeeds between one throttle and the next."""

from __future__ import annotations

from collections import deque
from math import exp, inf, sqrt

from aws_bedrock_inference.rules.quota.gates import THROUGH

# A row has at least OUTAGE throttles. If a row has PROVEN throttles, its cause is not the rate.
OUTAGE = 3
PROVEN = 5

# If this many probes (the first calls after pauses) are refused, and no call is accepted between them, an empty token
# bucket is not the cause of the row: the service has a short problem, or the minute is full.
PROBES = 2

# If a row lasts longer than this, in seconds, its only possible cause is a full minute of the quota.
LONG = 6.0

# If rows lower the rate twice within this many seconds, the rate is too high in general, and not only for a moment.
REPEATED = 60.0

# Rows are forgotten in this many seconds.
FORGOTTEN = 30.0

# If OUTAGES rows within a minute look like outages, the service probably refuses all calls for a few seconds after each
# burst that is too large.
OUTAGES = 6

# Noise (random throttles) also causes rows, but a larger fraction of throttled calls than this is not only noise.
MOST_NOISE = 0.1


def most_by_noise(noise: float, calls: float) -> float:
    """Return the largest number of rows of throttles that noise alone probably causes within 30 seconds. `noise`
    is the fraction of the calls that the service throttles at random. `calls` is the number of calls per second.
    """
    noise = min(noise, MOST_NOISE)
    next_too = 1.0 - (1.0 - noise) ** (1.0 + THROUGH)  # the probability that the row has one more throttle
    rows: float = calls * FORGOTTEN * noise * next_too ** (OUTAGE - 1)
    return rows + sqrt(rows)


class Rows:
    """The recent rows of throttles. In a row, almost no call succeeds between two throttles. `estimate` is the
    estimated limit before the present row. `before` is a pair of numbers from before the present row: the throttles
    that were counted as evidence against the limit, and the resulting doubt about the limit. `length` is the number of
    throttles in the present row. `weighed` is True if the present row needs no further weighing: it was counted as
    evidence, or it is not evidence.
    """

    def __init__(self, estimate: float) -> None:
        self.before = 0.0, 0.0
        self.estimate = estimate
        self._began = self._counted_at = -inf
        self.weighed = False
        self.length = 0
        self._lately = 0.0
        self._lowered_at = -inf
        self._outages: deque[float] = deque(maxlen=OUTAGES)

    def begin(self, now: float, before: tuple[float, float], estimate: float) -> None:
        """Begin a row of throttles when its first throttle arrives. In a row, almost no call succeeds between two
        throttles. `before` (the evidence against the limit) and `estimate` (the estimated limit) are values from
        before this throttle. `Rows` explains both.
        """
        self._began, self.weighed = now, False
        self.before, self.estimate = before, estimate

    def again(self, now: float, enough: float) -> bool:
        """Count the present row of throttles among the recent rows. The older a row is, the less it counts: after 30
        seconds, it counts about a third.

        Return True if the count reaches `enough`. The present row is then the only one that remains counted. Otherwise
        return False.
        """
        self.weighed = True
        self._lately = self._lately * exp((self._counted_at - now) / FORGOTTEN) + 1.0
        self._counted_at = now
        if self._lately < enough:
            return False
        self._lately = 1.0
        return True

    def outage(self, now: float) -> bool:
        """Record that the present row is an outage: the service refused several probes. Return True if there were
        `OUTAGES` of them in the last 60 seconds; otherwise return False.
        """
        self.weighed = True
        self._outages.append(now)
        return len(self._outages) == OUTAGES and now - self._outages[0] < REPEATED

    def level(self, now: float, level: float, lately: float) -> float:
        """Return the level to which a rate later grows back. A row of throttles lowers the rate now.

        Normally, the result is the argument `level`. But if an earlier row lowered the rate less than 60 seconds ago,
        the rate was still too high after that decrease. In this case, the result is at most `lately` (the use of the
        last minute).
        """
        again = self.repeated(now)
        self._lowered_at = now
        return min(level, lately) if again else level

    @property
    def lowered(self) -> bool:
        """True if the present row of throttles has lowered the rate."""
        return self._lowered_at >= self._began

    def repeated(self, now: float) -> bool:
        """Return True if a row of throttles lowered the rate less than 60 seconds ago; otherwise return False."""
        return now - self._lowered_at < REPEATED

    def lasted(self, now: float) -> float:
        """Return the duration of the present row of throttles, in seconds."""
        return now - self._began
