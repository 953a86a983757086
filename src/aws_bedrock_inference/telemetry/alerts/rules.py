"""The rules that raise alerts, as arithmetic on counts, without time, input or output.

A share of calls has risen if it is large, far above the usual share, above the share of earlier days at this time, and
not random: a Poisson count this high would occur once in ten million looks. One look every ten seconds at a dozen
causes is three million looks a month.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANCE = 1e-7
"""The probability above which a high count is treated as random."""

OUTSTANDING = 1.5
"""An alert is raised only if a value exceeds this factor times the value at the same time on earlier days. Therefore
a nightly job that fails every night in the same way raises no alert.
"""

PRIOR, WEIGHT = 0.005, 100.0
"""The share that is assumed to be usual for a new count, and the number of calls that this assumption weighs."""


BURST = 3
"""The number of slots that may be excluded from a window, the worst ones first: half a minute of a deployment, or one
bad second, is over before anybody has read the alert.
"""

LASTING = 0.7
"""The part of the threshold that the rest of the window must reach."""


@dataclass(frozen=True, slots=True)
class Rise:
    """A rule for one kind of share: at least `least` cases, a share of at least `floor`, and `factor` times the usual
    share, in one of the `windows` (in slots).
    """

    floor: float
    factor: float
    least: int
    windows: tuple[int, ...]

    def threshold(self, usual: float, pattern: float) -> float:
        """Return the share from which a rise counts."""
        return max(self.floor, self.factor * usual, OUTSTANDING * pattern)

    def holds(self, slots: Sequence[tuple[int, int]], usual: float, pattern: float) -> bool:
        """Return whether `slots`, each with its cases and its total, are a rise above `usual` and the day's
        `pattern`.
        """
        cases, of = (sum(each[part] for each in slots) for part in (0, 1))
        threshold = self.threshold(usual, pattern)
        if cases < self.least or cases < threshold * of or tail(cases, of * max(usual, pattern)) >= CHANCE:
            return False
        rest = sorted(slots)[:-BURST]
        left = sum(each[0] for each in rest)
        return left > 0 and left >= LASTING * threshold * sum(each[1] for each in rest)


FAILURES = Rise(floor=0.025, factor=2.5, least=5, windows=(6, 60))
"""Failed attempts with one cause. The threshold is 2.5 %: a failure share of 5 % must be reported within a minute, and
the first half of that minute may have passed before the failures began.
"""

STOPS = Rise(floor=0.1, factor=2.5, least=10, windows=(60,))
"""Answers that were refused or truncated. Some always are, and a tenth of all is worth an alert."""


def tail(cases: float, mean: float) -> float:
    """Return the probability that a Poisson count of this mean is at least `cases`."""
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
    """A rule for a count per time: `factor` times the usual value and the day's pattern, in both halves of a window of
    `window` slots with a total of at least `floor`. In its first `learning` slots it only learns the usual value.
    """

    floor: float
    factor: float
    window: int
    learning: int

    def holds(self, first: float, second: float, usual: float, pattern: float) -> bool:
        """Return whether the two halves of a window are a surge above the expected count of a slot."""
        expected = self.factor * max(usual, pattern) * self.window / 2
        return first + second >= self.floor and min(first, second) >= expected and first > 0.0


SPEND = Surge(floor=250_000, factor=3.0, window=60, learning=8640)
"""Millionths of a dollar. A quarter of a dollar in ten minutes is 36 dollars a day. The first day is for learning, so
that the first morning is no surge.
"""

TOKENS = Surge(floor=250_000, factor=3.0, window=60, learning=8640)
"""Tokens instead of dollars, for models whose prices are unknown."""

LETTERS = Surge(floor=20, factor=3.0, window=60, learning=0)
"""Dead letters: twenty in ten minutes are more than a person reads one by one."""

DAY_NEARLY = 0.85
"""The part of a Region's daily tokens from which they count as nearly exhausted."""

MINUTE_NEARLY = 0.95
"""The part of a quota per minute, over ten minutes, from which it counts as nearly exhausted."""
