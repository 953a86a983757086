"""The rules by which an alert is raised, as arithmetic on counts: no time, no input, no output.

A share of calls has risen when it is large, far above what is usual, above what the same time of earlier days had, and
no chance: a Poisson count as high would be seen once in ten million looks. One look every ten seconds at a dozen causes
is three million looks a month.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANCE = 1e-7
"""The probability above which a count may be chance."""

OUTSTANDING = 1.5
"""The factor above what the same time of day had before: a nightly job fails as it did last night."""

PRIOR, WEIGHT = 0.005, 100.0
"""The share that is usual for what was never seen, and how many calls this belief is worth."""


BURST = 3
"""Slots that may be left out of a window, the worst ones: half a minute of a deployment, or of one bad second, is over
before anybody has read of it."""

LASTING = 0.7
"""The part of the threshold that the rest of the window must have."""


@dataclass(frozen=True, slots=True)
class Rise:
    """A rule for one kind of share: at least `least` cases, `floor` of all and `factor` times the usual, in one of the
    `windows`, in slots.
    """

    floor: float
    factor: float
    least: int
    windows: tuple[int, ...]

    def threshold(self, usual: float, pattern: float) -> float:
        """Return the share from which a rise counts."""
        return max(self.floor, self.factor * usual, OUTSTANDING * pattern)

    def holds(self, slots: Sequence[tuple[int, int]], usual: float, pattern: float) -> bool:
        """Return whether `slots`, each with its cases and all, are a rise above `usual` and the day's `pattern`."""
        cases, of = (sum(each[part] for each in slots) for part in (0, 1))
        threshold = self.threshold(usual, pattern)
        if cases < self.least or cases < threshold * of or tail(cases, of * max(usual, pattern)) >= CHANCE:
            return False
        rest = sorted(slots)[:-BURST]
        left = sum(each[0] for each in rest)
        return left > 0 and left >= LASTING * threshold * sum(each[1] for each in rest)


FAILURES = Rise(floor=0.025, factor=2.5, least=5, windows=(6, 60))
"""Failed attempts of one cause. Two and a half per cent, since five must be told within a minute, of which the first
half may have passed without any."""

STOPS = Rise(floor=0.1, factor=2.5, least=10, windows=(60,))
"""Answers that were refused or truncated: some always are, and a tenth of all is worth a look."""


def tail(cases: float, mean: float) -> float:
    """Return the probability that a Poisson count of this mean is as high as `cases`, or higher."""
    if cases <= mean or mean <= 0.0:
        return 1.0 if cases <= mean else 0.0
    term = exp(cases * log(mean) - mean - lgamma(cases + 1.0))
    total, count = term, cases
    while term > total * 1e-12:
        count += 1.0
        term *= mean / count
        total += term
    return min(1.0, total)


@dataclass(frozen=True, slots=True)
class Surge:
    """A rule for what is counted by time: `factor` times the usual and the day's pattern, in both halves of a window of
    `window` slots that has `floor` at least. Its first `learning` slots are for learning what is usual.
    """

    floor: float
    factor: float
    window: int
    learning: int

    def holds(self, first: float, second: float, usual: float, pattern: float) -> bool:
        """Return whether the two halves of a window are a surge above what is expected of a slot."""
        expected = self.factor * max(usual, pattern) * self.window / 2
        return first + second >= self.floor and min(first, second) >= expected and first > 0.0


SPEND = Surge(floor=250_000, factor=3.0, window=60, learning=8640)
"""Millionths of a dollar: a quarter of a dollar in ten minutes is 36 a day. The first day is for learning: a morning is
no surge."""

TOKENS = Surge(floor=250_000, factor=3.0, window=60, learning=8640)
"""Tokens in the place of dollars, for models whose prices are not known."""

LETTERS = Surge(floor=20, factor=3.0, window=60, learning=0)
"""Dead letters: twenty in ten minutes are more than somebody reads one by one."""

DAY_NEARLY = 0.85
"""The part of the Region's tokens of the day from which they are nearly gone."""

MINUTE_NEARLY = 0.95
"""The part of a quota per minute, over ten minutes, from which it is nearly gone."""
