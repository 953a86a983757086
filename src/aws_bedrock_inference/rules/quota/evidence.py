"""Weigh throttles as evidence: whether there are more than noise explains, and whether they go on at a lower rate.

Some throttles come although there is room. As long as they are no more than a tolerated part of the calls, they say
nothing. `Evidence` sums up the logarithm of how much more likely each call and each throttle is if there are twice as
many and a little more (a CUSUM test); where the sum falls to nothing, it starts again. `verdict` decides by a
sequential likelihood ratio between two rates of throttles.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

# The part of calls that may be throttled without any reason to slow down, and by how much more is too many.
TOLERATED = 0.005
MORE = 2.0
MORE_AND = 0.015

# The logarithm of how much likelier one explanation must be: 3 is about 20 times.
SURE = 3.0

# A full limit refuses large calls sooner than small ones, and noise does not care: throttled calls that are larger by
# this factor than others, on a running average, are not noise.
LARGER = 1.15
SIZE_WEIGHT = 0.15

# Noise is an average over so many calls; it is none once it is below this part of what is tolerated anyway.
MEMORY = 1000.0
OPEN = 300.0  # calls: a doubt that is not decided by then was none
NONE = 0.5

# Small calls say less than large ones, but never more than this factor.
SIZES = 4.0

# A verdict takes so many throttles at least, and when so many were expected it is due.
FEW = 3
DUE = 12.0


class Prior(NamedTuple):
    """The evidence that it takes. `doubt` of it starts a trial, which goes `below` what the throttles explain; `gone`
    of it blames the rate, and throttles that go on although `cut` of the rate was taken away are noise. `rows` rows in
    half a minute lower the rate, each to `kept` of it at the least. A burst grows again by itself in `regrows` seconds.
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
    """The answers before a trial, and the rate of throttles then. Slack and burst are 0 once they are no suspects."""

    estimate: float
    slack: float
    burst: float
    known: bool
    throttled: float


class Evidence:
    """Calls and throttles since the last change. `doubt` says how sure it is that there are too many throttles, `noise`
    is the part of the calls that is throttled whatever the rate is.
    """

    __slots__ = ("_seen", "_well", "calls", "doubt", "noise", "size", "throttles")

    def __init__(self) -> None:
        self.noise = 0.0
        self.size = 1.0
        self._seen = 1.0  # calls that the noise is an average of
        self._well = 1.0  # calls since throttles were last blamed on anything else
        self.forget()

    @property
    def tolerated(self) -> float:
        """The part of the calls that may be throttled."""
        return self.noise if self.noise > TOLERATED else TOLERATED

    def forget(self) -> None:
        """Start again, after a change; the noise stays."""
        self.calls = self.throttles = self.doubt = 0.0

    def admit(self, calls: float, *, on_trial: bool) -> None:
        """Count `calls` that were admitted."""
        self.calls += calls
        self._well += calls
        tolerated = self.tolerated
        self.doubt -= calls * (MORE * tolerated + MORE_AND - tolerated)
        if not on_trial and (self.doubt <= 0.0 or (self.noise and self.calls > OPEN)):
            self.learn()
            self.forget()

    def throttle(self, size: float) -> None:
        """Count a throttle of a call that wanted `size` of what calls want on average."""
        self.size += SIZE_WEIGHT * (size - self.size)
        self.throttles += 1.0
        self.doubt += log(MORE + MORE_AND / self.tolerated)
        self.doubt += log(min(SIZES, max(1.0 / SIZES, size)))

    def withdraw(self, before: tuple[float, float]) -> None:
        """Take back the throttles since `mark` returned `before`: something else explains them."""
        self.throttles = min(self.throttles, before[0])
        self.doubt = min(self.doubt, before[1])

    def mark(self) -> tuple[float, float]:
        """Return what `withdraw` goes back to."""
        return self.throttles, self.doubt

    def find_noise(self, rate: float) -> None:
        """Take `rate` of the calls for noise from now on, as seen since the last change."""
        self.noise = max(self.noise, rate)
        self._seen = max(self.calls, 1.0 / self.noise)

    def learn(self) -> None:
        """Count what was seen since the last change as an example of the noise, if there is noise."""
        if self.noise:
            self._seen = min(MEMORY, self._seen + self.calls)
            self.noise += (self.throttles - self.noise * self.calls) / max(self._seen, self.calls)
            if self.noise < NONE * TOLERATED:
                self.noise = 0.0

    def blame(self) -> None:
        """Hear that throttles were due to something else: now more may be."""
        self._well = 1.0

    def doubtful(self, enough: float) -> bool:
        """Return whether there are too many throttles. The longer all was well under noise, the more often chance has
        had the opportunity to look like more than noise, and the more it takes.
        """
        return self.throttles > 1.0 and self.doubt > (max(TOLD.doubt, log(self._well)) if self.noise else enough)

    @property
    def rate(self) -> float:
        """The part of the calls that was throttled."""
        return self.throttles / max(self.calls, self.throttles, 1.0)

    def verdict(self, rate: float, gone: float, *, blamed: bool) -> bool | None:
        """Return whether throttles have gone since there was `rate` of them; None as long as that is open. `gone` is
        how sure it must be; where it stays open for long, they have if the rate is `blamed` anyway.
        """
        fewer = self.tolerated if rate > 2.0 * self.tolerated else rate / 2.0
        surplus = self.calls * (rate - fewer) - self.throttles * log(rate / fewer)
        if surplus > gone:
            return True
        if surplus < -SURE and self.throttles >= FEW:
            return False
        return surplus > 0.0 or blamed if self.calls * rate > DUE else None
