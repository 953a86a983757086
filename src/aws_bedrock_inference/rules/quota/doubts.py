"""Distinguish throttles that a trial causes from those that come anyway.

Throttles while nothing is tried are counted: which part of the calls they are, and how many come together, as in a bad
moment of the service. Throttles beyond these while something is tried are summed, as in `evidence`.
"""

from __future__ import annotations

from math import log

from aws_bedrock_inference.rules.quota.evidence import MORE, MORE_AND, TOLERATED

# The logarithm of how much likelier throttles must be because of what is tried; a doubt less than `SLIGHT` is none.
# Where throttles come in rows anyway, a doubt must be so many times the largest that there is without trying, which is
# forgotten by halves in so many seconds.
DOUBT = 4.0
SLIGHT = 1.0
WORST = 2.0
FORGOTTEN = 900.0

# The throttles there are anyway are counted as if there had been so many calls before, and forgotten by halves.
BEFORE = 100.0
MANY = 4000.0


class Doubts:
    """Throttles of calls beyond what there are anyway."""

    def __init__(self) -> None:
        self._admitted = 0.0
        self.start()

    def start(self) -> None:
        """Know nothing of how many throttles there are anyway."""
        self.doubt = self._most = self._worst = 0.0
        self._calls, self._throttles = BEFORE, BEFORE * TOLERATED

    @property
    def enough(self) -> bool:
        """True if what is tried is a far likelier cause than chance."""
        return self.doubt > DOUBT + WORST * self._worst

    def count(self, admitted: float, seconds: float, *, anyway: bool) -> None:
        """Count the calls up to the `admitted`-th, in `seconds`; `anyway` says that nothing was tried with them."""
        calls = admitted - self._admitted
        self._admitted = admitted
        self._worst *= 0.5 ** (seconds / FORGOTTEN)
        usual = self._usual
        self.doubt -= calls * (MORE * usual + MORE_AND - usual)
        if self.doubt <= 0.0:
            self.end(anyway=anyway)
        if anyway:
            self._calls += calls
            if self._calls > MANY:
                self._calls, self._throttles = self._calls / 2.0, self._throttles / 2.0

    def throttle(self, *, anyway: bool) -> None:
        """Count a throttle."""
        most = DOUBT + WORST * self._worst + SLIGHT  # more would only take longer to go
        self.doubt = min(most, self.doubt + log(MORE + MORE_AND / self._usual))
        self._most = max(self._most, self.doubt)
        if anyway:
            self._throttles += 1.0

    def end(self, *, anyway: bool) -> None:
        """Begin anew. A doubt that came anyway is remembered: it takes more to be sure from now on."""
        if anyway:
            self._worst = max(self._worst, self._most)
        self.doubt = self._most = 0.0

    @property
    def _usual(self) -> float:
        return max(TOLERATED, self._throttles / self._calls)
