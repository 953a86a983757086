"""Distinguish throttles that a trial causes from the usual throttles. In a trial, a limit is tested by sending more
than is known to be accepted.

While there is no trial, the usual throttles are counted: which part of the calls is throttled, and how many throttles
come together, as in a short problem of the service. During a trial, each throttle beyond the usual number increases
the evidence against the trial (the doubt), with the method of `evidence`.
"""

from __future__ import annotations

from math import log

from aws_bedrock_inference.rules.quota.evidence import MORE, MORE_AND, TOLERATED

# The necessary evidence, as the logarithm of a likelihood ratio; a doubt below SLIGHT is negligible. If throttles also
# come in rows without a trial, the doubt must exceed DOUBT by WORST times the largest doubt without a trial. Half of
# that largest doubt is forgotten in this many seconds.
DOUBT = 4.0
SLIGHT = 1.0
WORST = 2.0
FORGOTTEN = 900.0

# The usual throttles are counted as if there had been this many calls before. Above MANY calls, the counts are halved.
BEFORE = 100.0
MANY = 4000.0


class Doubts:
    """The evidence that a trial causes more throttles than usual."""

    def __init__(self) -> None:
        self._admitted = 0.0
        self.start()

    def start(self) -> None:
        """Forget the usual number of throttles."""
        self.doubt = self._most = self._worst = 0.0
        self._calls, self._throttles = BEFORE, BEFORE * TOLERATED

    @property
    def enough(self) -> bool:
        """True if the throttles are so many that the trial is a far more probable cause than chance."""
        return self.doubt > DOUBT + WORST * self._worst

    def count(self, admitted: float, seconds: float, *, anyway: bool) -> None:
        """Record that `seconds` have passed and that `admitted` calls have been admitted since the start. `anyway` is
        True if there was no trial in these seconds.
        """
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
        """Record a throttle. `anyway` is True if there was no trial when it occurred."""
        most = DOUBT + WORST * self._worst + SLIGHT  # a larger doubt would only take longer to disappear
        self.doubt = min(most, self.doubt + log(MORE + MORE_AND / self._usual))
        self._most = max(self._most, self.doubt)
        if anyway:
            self._throttles += 1.0

    def end(self, *, anyway: bool) -> None:
        """Set the doubt to zero. `anyway` is True if the doubt arose without a trial. In that case its size is
        remembered, and later trials need more evidence.
        """
        if anyway:
            self._worst = max(self._worst, self._most)
        self.doubt = self._most = 0.0

    @property
    def _usual(self) -> float:
        return max(TOLERATED, self._throttles / self._calls)
