"""The share of the calls that a route takes, by how the calls on it end."""

from __future__ import annotations

from enum import Enum

from aws_bedrock_inference.forks import Locked

DECREASE = 0.7
"""The factor of a breach. With `INCREASE`, a breach in p of the attempts is in balance at a share of
(1 - p) / p x 0.1 / 0.36: a route on which 3 % of the attempts fail keeps nearly all calls, one with 20 % most of
them."""

INCREASE = 0.1
"""The part that a success adds."""

IN_A_ROW = 4
"""Breaches without a success between them after which a route rests: an outage, and among attempts of which a fifth
fails one time in 600."""

REST = 8.0
"""Seconds between two probes of a resting route: seven in an outage of a minute, and at most so long until the end of
the outage is noticed."""

BACK = 0.5
"""The share after a probe that succeeded; further successes do the rest."""

FORGOTTEN = 300.0
"""Seconds without a breach after which the earlier ones say nothing more, where too few calls succeed to tell."""

_NEARLY = 1e-9


class Turn(Enum):
    """The answer to a call that would go to a route: yes, as a probe, or not now."""

    YES = "yes"
    PROBE = "probe"
    NO = "no"


class Health(Locked):
    """The health of one route as a share of the calls, 1 for a healthy one. A breach multiplies it, a success adds to
    it. After four breaches in a row the route rests, and single calls probe it.
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
        """Return whether the next call goes to the route. Asking counts as a call."""
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
        """Count a success; returns whether it ended the rest. While the route rests only a probe counts: the calls that
        were in flight when it fell ill say nothing of now.
        """
        with self._lock:
            if self.resting and not probe:
                return False
            self._in_a_row = 0
            back, self.resting = self.resting, False
            self.share = BACK if back else min(1.0, self.share + INCREASE)
            return back

    def breached(self, now: float) -> bool:
        """Count a breach; returns whether the route rests from now on."""
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
        """Let the route rest for `seconds` before its next probe; returns whether it did not rest before."""
        with self._lock:
            began = not self.resting
            self.share *= DECREASE
            self._rest(now, seconds)
            return began

    def idle(self) -> bool:
        """Return whether a new one would act the same."""
        return self.share >= 1.0 and not self.resting

    def _rest(self, now: float, seconds: float) -> None:
        self.resting = True
        self._credit = 0.0
        self._probe_at = now + seconds
