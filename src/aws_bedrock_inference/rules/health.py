"""The share of the calls that a route receives, based on the results of the calls on it."""

from __future__ import annotations

from enum import Enum

from aws_bedrock_inference.forks import Locked

DECREASE = 0.7
"""The factor by which a breach multiplies the share. With `INCREASE`, and breaches in the fraction p of the attempts,
the share is in balance at (1 - p) / p x 0.1 / 0.36. A route on which 3 % of the attempts fail keeps almost all its
calls, and a route on which 20 % fail keeps most of them.
"""

INCREASE = 0.1
"""The amount that a success adds to the share."""

IN_A_ROW = 4
"""The number of breaches without a success in between after which a route rests. This happens in an outage; if a fifth
of the attempts fail at random, it happens one time in 600.
"""

REST = 8.0
"""Seconds between two probes of a resting route: seven probes in an outage of a minute, and the end of the outage is
noticed at most 8 seconds late.
"""

BACK = 0.5
"""The share after a successful probe. Further successes raise it."""

FORGOTTEN = 300.0
"""Seconds without a breach after which earlier breaches are forgotten. It matters where few calls succeed and raise
the share.
"""

_NEARLY = 1e-9


class Turn(Enum):
    """The decision about a call that would use the route: send it, send it as a probe, or do not send it now."""

    YES = "yes"
    PROBE = "probe"
    NO = "no"


class Health(Locked):
    """The health of one route, as its share of the calls; 1 is healthy. A breach multiplies the share, a success adds
    to it. After four breaches in a row the route rests, and single calls probe it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.share = 1.0
        self.resting = False
        self._credit = 0.0
        self._in_a_row = 0
        self._probe_at = 0.0
        self._breached_at = 0.0

    def turn(self, now: float) -> Turn:
        """Return whether the next call uses the route. Each question counts as a call."""
        with self._lock:
            if self.resting:
                if now < self._probe_at:
                    return Turn.NO
                self._probe_at = now + REST
                self._breached_at = now
                return Turn.PROBE
            if self.share < 1.0 and now - self._breached_at >= FORGOTTEN:
                self.share = 1.0
                self._in_a_row = 0
            self._credit += self.share
            if self._credit < 1.0 - _NEARLY:
                return Turn.NO
            self._credit -= 1.0
            return Turn.YES

    def succeeded(self, *, probe: bool = False) -> bool:
        """Count a success, and return whether it ended the rest. While the route rests only a probe counts, because
        calls that started before the outage are no evidence about the present.
        """
        with self._lock:
            if self.resting and not probe:
                return False
            self._in_a_row = 0
            back, self.resting = self.resting, False
            self.share = BACK if back else min(1.0, self.share + INCREASE)
            return back

    def breached(self, now: float) -> bool:
        """Count a breach, and return whether it makes the route rest."""
        with self._lock:
            if self.resting:
                return False
            self.share *= DECREASE
            self._breached_at = now
            self._in_a_row += 1
            if self._in_a_row < IN_A_ROW:
                return False
            self._rest(now, REST)
            return True

    def rest(self, now: float, seconds: float) -> bool:
        """Let the route rest for `seconds` until its next probe, and return whether it was not resting before."""
        with self._lock:
            began = not self.resting
            self.share *= DECREASE
            self._rest(now, seconds)
            return began

    def idle(self) -> bool:
        """Return whether a new object would act the same."""
        return self.share >= 1.0 and not self.resting

    def _rest(self, now: float, seconds: float) -> None:
        self.resting = True
        self._credit = 0.0
        self._probe_at = now + seconds
