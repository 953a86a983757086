"""The rules that raise alerts, as arithmetic on counts, without time, input or output.

A share of calls has risen if four conditions are true. The share is large. It is far above the usual share, and above
the share at the same time on earlier days. And it is not due to chance: with the usual share, a count this high would
occur in one of ten million examinations. An examination of a dozen causes every ten seconds makes three million
examinations a month.
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
"""The share that is assumed to be usual for a new count, and the number of calls whose weight this assumption has."""


BURST = 3
"""The number of slots that a rule excludes from a window before it examines the rest. The worst slots are excluded,
because half a minute of a deployment, or one bad second, ends before anybody has read the alert.
"""

LASTING = 0.7
"""The part of the threshold that the rest of the window must reach after the worst slots were excluded."""


@dataclass(frozen=True, slots=True)
class Rise:
    """A rule for one kind of share. The share has risen if it is at least `floor` and at least `factor` times the
    usual share in one of the `windows`, with at least `least` cases. The lengths of the windows are in slots.
    """

    floor: float
    factor: float
    least: int
    windows: tuple[int, ...]

    def threshold(self, usual: float, pattern: float) -> float:
        """Return the smallest share that counts as a rise."""
        return max(self.floor, self.factor * usual, OUTSTANDING * pattern)

    def holds(self, slots: Sequence[tuple[int, int]], usual: float, pattern: float) -> bool:
        """Return True if the share in `slots` has risen above `usual` and above the daily `pattern`; otherwise return
        False. Each slot has its cases and its total.
        """
        cases, of = (sum(each[part] for each in slots) for part in (0, 1))
        threshold = self.threshold(usual, pattern)
        if cases < self.least or cases < threshold * of or tail(cases, of * max(usual, pattern)) >= CHANCE:
            return False
        rest = sorted(slots)[:-BURST]
        left = sum(each[0] for each in rest)
        return left > 0 and left >= LASTING * threshold * sum(each[1] for each in rest)


FAILURES = Rise(floor=0.025, factor=2.5, least=5, windows=(6, 60))
"""The rule for failed attempts with one cause. The threshold is 2.5 %, because a failure share of 5 % must be
reported within a minute, and the first half of that minute can be a time without failures.
"""

STOPS = Rise(floor=0.1, factor=2.5, least=10, windows=(60,))
"""The rule for answers that were refused or truncated. A few such answers are usual, so the alert is raised only from
a tenth of all answers.
"""


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
    """A rule for an amount per time. The amount surges if, in both halves of a window of `window` slots, it is at
    least `factor` times the usual amount and the amount on earlier days, and at least `floor` in the whole window. In
    its first `learning` slots, the rule only learns the usual amount.
    """

    floor: float
    factor: float
    window: int
    learning: int

    def holds(self, first: float, second: float, usual: float, pattern: float) -> bool:
        """Return True if the amounts in the two halves of a window are a surge; otherwise return False. `usual` and
        `pattern` are amounts per slot.
        """
        expected = self.factor * max(usual, pattern) * self.window / 2
        return first + second >= self.floor and min(first, second) >= expected and first > 0.0


SPEND = Surge(floor=250_000, factor=3.0, window=60, learning=8640)
"""The rule for spending, in millionths of a dollar. `floor` is a quarter of a dollar in ten minutes, which is 36
dollars a day. The rule only learns on the first day, so that the first morning is not reported as a surge.
"""

TOKENS = Surge(floor=250_000, factor=3.0, window=60, learning=8640)
"""The rule for spending in tokens, for models whose prices are unknown."""

LETTERS = Surge(floor=20, factor=3.0, window=60, learning=0)
"""The rule for dead letters. Twenty dead letters in ten minutes are more than a person reads one by one."""

DAY_NEARLY = 0.85
"""The used part of a Region's daily token quota from which the quota counts as nearly exhausted."""

MINUTE_NEARLY = 0.95
"""The used part of a quota per minute, measured over ten minutes, from which the quota counts as nearly exhausted."""
