"""Distinguish throttles that a trial causes from the usual throttles. In a trial, the package sends more than the
service is known to accept, to test a limit of the quota.

While there is no trial, the usual throttles are counted: which fraction of the calls is throttled, and how many
throttles come together, as in a short problem of the service. During a trial, each throttle beyond the usual number
increases the doubt, which is the evidence against the trial. `evidence` describes the method.
"""

from __future__ import annotations

from math import log

from aws_bedrock_inference.rules.quota.evidence import MORE, MORE_AND, TOLERATED

# The evidence that ends a trial (sending more than usual), as the logarithm of a likelihood ratio. A doubt (evidence
# against a trial) below SLIGHT is negligible. Throttles can also come together without a trial. Therefore, the doubt
# must exceed DOUBT by WORST times the largest doubt that arose without a trial. This largest doubt decreases by half in
# this many seconds.
DOUBT = 4.0
SLIGHT = 1.0
WORST = 2.0
FORGOTTEN = 900.0

# The usual throttles are counted as if there had been this many calls before. Above MANY calls, the counts are halved.
BEFORE = 100.0
MANY = 4000.0


class Doubts:
    """The evidence that a trial causes more throttles than usual. In a trial, the package sends more than the service
    is known to accept.
    """

    def __init__(self) -> None:
        self._admitted = 0.0
        self.start()

    def start(self) -> None:
        """Delete the doubt: the evidence that a trial causes throttles. Delete also the counts of the usual throttles,
        which arrive while no trial runs. In a trial, the package sends more than the service is known to accept.
        """
        self.doubt = self._most = self._worst = 0.0
        self._calls, self._throttles = BEFORE, BEFORE * TOLERATED

    @property
    def enough(self) -> bool:
        """True if the trial must end, because it causes throttles: far more throttles than usual have arrived. In a
        trial, the package sends more than the service is known to accept.
        """
        return self.doubt > DOUBT + WORST * self._worst

    def count(self, admitted: float, seconds: float, *, anyway: bool) -> None:
        """Record the calls of the last `seconds` seconds. `admitted` is the number of calls that were admitted so far.
        `anyway` is True if no trial runs. In a trial, the package sends more than the service is known to accept.
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
        """Record a throttle. If no trial runs (`anyway` is True), the throttle is counted as one of the usual
        throttles. In a trial, the package sends more than the service is known to accept.
        """
        most = DOUBT + WORST * self._worst + SLIGHT  # a larger doubt would only take longer to disappear
        self.doubt = min(most, self.doubt + log(MORE + MORE_AND / self._usual))
        self._most = max(self._most, self.doubt)
        if anyway:
            self._throttles += 1.0

    def mark(self) -> tuple[float, float, float]:
        """Return the present counts, so that `withdraw` can restore them later."""
        return self.doubt, self._most, self._throttles

    def withdraw(self, before: tuple[float, float, float]) -> None:
        """Remove throttles from the counts, because they have another cause. The removed throttles are those that were
        recorded after the method `mark` returned the value `before`.
        """
        self.doubt, self._most, self._throttles = map(min, before, self.mark())

    def end(self, *, anyway: bool) -> None:
        """Set the doubt to zero. The doubt is the evidence that a trial causes throttles. In a trial, the package sends
        more than the service is known to accept.

        Many throttles can come together by chance, also without a trial. If no trial was running (`anyway` is True),
        the largest doubt so far is stored. A later trial then ends only after far more throttles: its doubt must exceed
        4 plus twice the stored doubt.
        """
        if anyway:
            self._worst = max(self._worst, self._most)
        self.doubt = self._most = 0.0

    @property
    def _usual(self) -> float:
        return max(TOLERATED, self._throttles / self._calls)
