"""The rules that raise alerts. They are pure arithmetic on counts: they read no clock, no file and no store.

A share is a fraction of all attempts or answers, for example the fraction of the attempts that failed. A share has
risen if all these conditions are true:

* It is large.
* It is far above the usual share.
* It is far above the share at the same time on earlier days.
* It is also high without its three worst time slots.
* It is not due to chance. The rules examine the counts every ten seconds. If the share were as usual, a count this high
  would occur in less than one of ten million examinations. For twelve causes, each with two windows, the rules make six
  million examinations in a month. Chance therefore raises less than one false alert in a month.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANCE = 1e-7
"""A maximum probability. If a count this high has a smaller probability with the usual share, the rise is not due to
chance.
"""

OUTSTANDING = 1.5
"""The factor by which a value must exceed the value at the same time on earlier days before an alert is raised.
Therefore a nightly job that fails every night in the same way raises no alert.
"""

PRIOR, WEIGHT = 0.005, 100.0
"""The usual share that a new count is assumed to have, and the weight of this assumption as a number of calls."""


BURST = 3
"""The number of worst time slots that the second test of a rule excludes. Three slots are half a minute. A fault that
lasts only this long, for example during a deployment, ends before a person has read the alert.
"""

LASTING = 0.7
"""Without the worst slots, the share in a window must still reach this fraction of the threshold."""


@dataclass(frozen=True, slots=True)
class Rise:
    """A rule for one kind of share, such as the fraction of attempts that failed.

    The rule examines the share in several windows. `windows` contains their lengths in time slots of ten seconds. The
    share has risen if these conditions are true in one of the windows:

    * The window contains at least `least` cases, such as failed attempts.
    * The share is at least `floor`, and at least `factor` times the usual share.
    * The share is far above the share at the same time on earlier days.
    * Chance alone would almost never cause so many cases.
    * The share is also high without the three slots with the most cases.
    """

    floor: float
    factor: float
    least: int
    windows: tuple[int, ...]

    def threshold(self, usual: float, pattern: float) -> float:
        """Return the smallest share that is treated as a rise.

        `usual` is the usual share, and `pattern` is the share at the same time on earlier days.
        """
        return max(self.floor, self.factor * usual, OUTSTANDING * pattern)

    def holds(self, slots: Sequence[tuple[int, int]], usual: float, pattern: float) -> bool:
        """Return whether the share in `slots` has risen above both expected shares: `usual` and `pattern`.

        `usual` is the usual share, and `pattern` is the share at the same time on earlier days. Each element of `slots`
        contains two numbers for one time slot: the number of cases, such as failures, and the number of all events.

        The share must also be high without the three worst slots. Three slots are half a minute, so a fault that lasts
        only half a minute raises no alert.
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
    """Return the probability that a random count (a Poisson variable) with the mean `mean` is at least `cases`."""
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
    """A rule for an amount per time, such as cost.

    The rule divides a window of `window` time slots (ten seconds each) into two halves. It raises an alert if three
    conditions are true:

    * In each half, the amount is at least `factor` times the usual amount.
    * In each half, the amount is at least `factor` times the amount at the same time on earlier days.
    * In the complete window, the amount is at least `floor`.

    In the first `learning` slots of a place (a model in a Region), the rule only learns the usual amount.
    """

    floor: float
    factor: float
    window: int
    learning: int

    def holds(self, first: float, second: float, usual: float, pattern: float) -> bool:
        """Return whether the amount in a window is so high that the rule raises an alert.

        `first` and `second` are the amounts in the two halves of the window. `usual` is the usual amount per time slot.
        `pattern` is the amount per time slot at the same time on earlier days.
        """
        expected = self.factor * max(usual, pattern) * self.window / 2
        return first + second >= self.floor and min(first, second) >= expected and first > 0.0


SPEND = Surge(floor=250_000, factor=3.0, window=60, learning=8640)
"""The rule for spending, in millionths of a dollar. `floor` is a quarter of a dollar in ten minutes, which is 36
dollars a day. On the first day, the rule only learns, because otherwise the first morning would be reported as a
surge.
"""

TOKENS = Surge(floor=250_000, factor=3.0, window=60, learning=8640)
"""The rule for spending in tokens, for models whose prices are unknown."""

LETTERS = Surge(floor=20, factor=3.0, window=60, learning=0)
"""The rule for dead letters. Twenty dead letters in ten minutes are more than a person reads one by one."""

DAY_NEARLY = 0.85
"""The used fraction of a Region's daily token quota from which the quota is treated as nearly exhausted."""

MINUTE_NEARLY = 0.95
"""The used fraction of a quota per minute, as a mean over ten minutes, from which the quota is treated as nearly
exhausted.
"""
