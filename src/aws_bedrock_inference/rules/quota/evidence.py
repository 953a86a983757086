"""Use throttles as evidence about a limit, to answer two questions: whether there are more throttles than noise
explains, and whether they stop if fewer calls are sent.

Noise means throttles that occur although the quota is not full. Therefore a small fraction of throttled calls is
tolerated.

`Evidence` answers the first question with a CUSUM test (a cumulative sum that detects a change). The test compares two
assumptions. The first is that the tolerated fraction of the calls is throttled. The second is that more calls are
throttled: twice this fraction, plus 1.5 %. Each throttle increases the sum, because it is more probable under the
second assumption. Each call decreases the sum a little. If the sum falls to zero, the test starts again.

`verdict` answers the second question with a sequential likelihood ratio test between two rates of throttles.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

# The fraction of the calls whose throttles are tolerated. There are too many throttles if their fraction exceeds MORE
# times this fraction plus MORE_AND.
TOLERATED = 0.005
MORE = 2.0
MORE_AND = 0.015

# The necessary evidence, as the logarithm of a likelihood ratio: 3 is about 20 times as probable.
SURE = 3.0

# A full quota refuses large calls before small ones, but noise (throttles without a full quota) does not depend on the
# size of a call. Throttles are therefore not noise if throttled calls are on average larger than others by this factor.
LARGER = 1.15
SIZE_WEIGHT = 0.15

# The noise (the usual fraction of throttled calls) is averaged over this many calls. Noise below NONE times the
# tolerated fraction counts as zero.
MEMORY = 1000.0
OPEN = 300.0  # calls after which an undecided doubt is dropped
NONE = 0.5

# The size of a call changes its weight as evidence by at most this factor.
SIZES = 4.0

# A verdict (whether throttles continue) needs at least FEW throttles. It is due as soon as DUE throttles were to be
# expected.
FEW = 3
DUE = 12.0


class Prior(NamedTuple):
    """The evidence that is needed to change an estimated limit, and the size of the changes. All evidence is the
    logarithm of a likelihood ratio. A trial lowers a value to see whether the throttles stop.

    * `doubt`: a trial starts at this evidence of too many throttles.
    * `below`: a trial of the rate first lowers the rate by the fraction of the calls that was throttled, without the
      noise (random throttles). For example, it lowers the rate by 10 % if 10 % were throttled. It then lowers the new
      rate by the fraction `below`.
    * `gone`: at this evidence that the throttles have stopped, the value was the cause of the throttles, and it stays
      lowered.
    * `cut`: if the rate was lowered by at least this fraction and throttles continue, the throttles are noise. Noise
      means throttles although the quota is not full.
    * `rows`: after this number of rows of throttles within half a minute, the rate is lowered. In a row, almost no call
      succeeds between the throttles.
    * `kept`: such rows never lower the rate below this fraction of its value. 0.8 means a decrease by at most 20 %.
    * `regrows`: in this many seconds, a reduced burst grows to 2.7 times its size. The burst is the quota that calls
      can use without a pause between them.
    """

    doubt: float
    below: float
    gone: float
    cut: float
    rows: float
    kept: float
    regrows: float


TOLD = Prior(doubt=4.0, below=0.04, gone=2 * SURE, cut=0.0, rows=2.2, kept=0.8, regrows=300.0)
UNTOLD = Prior(doubt=2.0, below=0.18, gone=SURE, cut=0.2, rows=1.5, kept=0.5, regrows=600.0)


class Trial(NamedTuple):
    """The values before a trial. A trial lowers one value to see whether throttles stop.

    The trial lowers the first of these values that is not 0:

    * `slack`: the fraction by which the reserved tokens could exceed the limit per minute. 0.2 means 20 %.
    * `burst`: the quota that calls could use without a pause between them. 5 means the quota of 5 seconds.
    * `estimate`: the estimated limit.

    `known` is True if `estimate` was based on evidence. `throttled` is the fraction of the calls that was throttled
    before the trial.
    """

    estimate: float
    slack: float
    burst: float
    known: bool
    throttled: float

    @property
    def of_rate(self) -> bool:
        """True if the trial lowers the rate."""
        return not self.slack and not self.burst


class Evidence:
    """The calls and throttles since the last change of the estimated limit. `doubt` is the evidence that there are too
    many throttles. `noise` is the fraction of the calls that is throttled even if few calls are sent.
    """

    __slots__ = ("_seen", "_well", "calls", "doubt", "noise", "size", "throttles")

    def __init__(self) -> None:
        self.noise = 0.0
        self.size = 1.0
        self._seen = 1.0  # the number of calls in the average of the noise
        self._well = 1.0  # calls since throttles last had a proven cause
        self.forget()

    @property
    def tolerated(self) -> float:
        """The tolerated fraction of throttled calls: the measured noise, but at least `TOLERATED`. If 1 % is tolerated,
        one throttle in 100 calls is no evidence against the estimated limit.
        """
        return self.noise if self.noise > TOLERATED else TOLERATED

    def forget(self) -> None:
        """Delete the counts of calls and throttles after a change of the estimated limit. The measured noise (usual
        throttles) remains.
        """
        self.calls = self.throttles = self.doubt = 0.0

    def admit(self, calls: float, *, on_trial: bool) -> None:
        """Record that `calls` more calls were admitted. `on_trial` is True while a trial runs. A trial lowers the
        slack, the burst or the estimated limit, to see whether throttles stop.
        """
        self.calls += calls
        self._well += calls
        tolerated = self.tolerated
        self.doubt -= calls * (MORE * tolerated + MORE_AND - tolerated)
        if not on_trial and (self.doubt <= 0.0 or (self.noise and self.calls > OPEN)):
            self.learn()
            self.forget()

    def throttle(self, size: float) -> None:
        """Record a throttle as evidence. `size` is the size of the throttled call divided by the mean size of all
        calls.
        """
        self.size += SIZE_WEIGHT * (size - self.size)
        self.throttles += 1.0
        self.doubt += log(MORE + MORE_AND / self.tolerated)
        self.doubt += log(min(SIZES, max(1.0 / SIZES, size)))

    def withdraw(self, before: tuple[float, float]) -> None:
        """Remove throttles from the evidence, because they have another cause. The removed throttles are those that
        were recorded after the method `mark` returned the value `before`.
        """
        self.throttles = min(self.throttles, before[0])
        self.doubt = min(self.doubt, before[1])

    def mark(self) -> tuple[float, float]:
        """Return the present evidence, so that `withdraw` can restore it later."""
        return self.throttles, self.doubt

    def find_noise(self, rate: float) -> None:
        """Record that the fraction `rate` of the calls is throttled although the quota is not full (noise). From now
        on, this fraction is tolerated: throttles are evidence against the estimated limit only if more calls are
        throttled. `rate` was measured on the calls since the last change of the estimated limit.
        """
        self.noise = max(self.noise, rate)
        self._seen = max(self.calls, 1.0 / self.noise)

    def learn(self) -> None:
        """Update the average of the noise (throttles although the quota is not full). Use the calls and throttles since
        the last change of the estimated limit. If no noise is known, do nothing.
        """
        if self.noise:
            self._seen = min(MEMORY, self._seen + self.calls)
            self.noise += (self.throttles - self.noise * self.calls) / max(self._seen, self.calls)
            if self.noise < NONE * TOLERATED:
                self.noise = 0.0

    def blame(self) -> None:
        """Record that throttles had a proven cause, for example too many calls per minute. If noise is known,
        `doubtful` now needs little evidence again. With each further call, it needs more.
        """
        self._well = 1.0

    def doubtful(self, enough: float) -> bool:
        """Return True if there are more throttles than chance explains; otherwise return False.

        Noise means throttles although the quota is not full. If no noise is known, the evidence (a log likelihood
        ratio) must exceed `enough`. If noise is known, more evidence is needed, because among many calls noise alone
        sometimes causes many throttles. The evidence must then exceed both 4 and log(n). The number n counts the calls
        that were admitted since `blame` last recorded a cause. After 1000 calls, log(n) is 6.9.
        """
        return self.throttles > 1.0 and self.doubt > (max(TOLD.doubt, log(self._well)) if self.noise else enough)

    @property
    def rate(self) -> float:
        """The fraction of the calls that was throttled."""
        return self.throttles / max(self.calls, self.throttles, 1.0)

    def verdict(self, rate: float, gone: float, *, blamed: bool) -> bool | None:
        """Decide whether a trial has stopped the throttles. Before the trial, the fraction `rate` of the calls was
        throttled. Return True if the throttles have stopped, False if they continue, and None while more calls are
        needed.

        The result is True as soon as the evidence that the throttles have stopped exceeds `gone` (a log likelihood
        ratio). Sometimes the evidence is still unclear after many calls. The parameter `blamed` is for this case. If
        `blamed` is True, the result is True. If `blamed` is False, the result is the more probable answer.
        """
        fewer = self.tolerated if rate > 2.0 * self.tolerated else rate / 2.0
        surplus = self.calls * (rate - fewer) - self.throttles * log(rate / fewer)
        if surplus > gone:
            return True
        if surplus < -SURE and self.throttles >= FEW:
            return False
        return surplus > 0.0 or blamed if self.calls * rate > DUE else None
