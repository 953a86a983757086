"""The health of a route (a model in one Region and account). Of the calls that would normally use the route, an
unhealthy route gets only a fraction. The health determines this fraction.

A breach is a failed attempt that counts against the route. After several breaches in a row, the route rests. A resting
route gets only probes, which are single calls that test the route.
"""

from __future__ import annotations

from enum import Enum

from aws_bedrock_inference.forks import Locked

DECREASE = 0.7
"""The factor by which each breach (failed attempt) multiplies a route's share of its calls. If the fraction p of the
attempts are breaches, the share settles at (1 - p) / p x 0.1 / 0.36, where 0.1 is `INCREASE`. A route on which 3 % of
the attempts fail therefore keeps almost all its calls, and a route on which 20 % fail keeps most of them.
"""

INCREASE = 0.1
"""The amount by which a success increases a route's share of its calls."""

IN_A_ROW = 4
"""After this number of breaches (failed attempts) in a row, a route rests: it gets only test calls. An outage causes so
many breaches within a short time. If 20 % of the attempts fail at random, four breaches in a row occur one time in 600.
"""

REST = 8.0
"""The seconds between two probes (test calls) of a resting route, which gets no other calls. In an outage of one
minute, the route receives seven probes, and the end of the outage is noticed at most 8 seconds late.
"""

BACK = 0.5
"""The share of its calls that a route gets after a successful probe (test call). Further successes increase this share.
"""

FORGOTTEN = 300.0
"""After this number of seconds without a breach (failed attempt), earlier breaches are forgotten. This helps a route
with few calls, on which few successes increase the share of the calls.
"""

_NEARLY = 1e-9


class Turn(Enum):
    """The decision whether a call uses a route. YES: send the call on the route. PROBE: send the call on the route, as
    a test of the route. NO: do not send the call on this route now.
    """

    YES = "yes"
    PROBE = "probe"
    NO = "no"


class Health(Locked):
    """The health of one route. `share` is the fraction of its normal calls that the route gets now. A healthy route has
    the share 1.

    A breach (failed attempt) multiplies the share by a factor below 1. A success increases the share. After four
    breaches in a row, the route rests: it gets only single calls (probes), which test the route.
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
        """Return whether the next call uses the route. Use this method once for each call, because it also records
        the decision.
        """
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
        """Record a successful call. Return True if this success ends a rest of the route, otherwise False.

        A resting route gets only test calls. Only the success of a test call (`probe`) ends the rest. Other calls may
        have started before the outage, so their success does not show that the outage has ended.
        """
        with self._lock:
            if self.resting and not probe:
                return False
            self._in_a_row = 0
            back, self.resting = self.resting, False
            self.share = BACK if back else min(1.0, self.share + INCREASE)
            return back

    def breached(self, now: float) -> bool:
        """Record a breach (a failed attempt). Return True if the breach makes the route rest, otherwise False. A
        resting route gets only test calls.
        """
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
        """Let the route rest: it gets no calls for `seconds` seconds, and after them one probe (test call). Return True
        if the route was not resting before, otherwise False.
        """
        with self._lock:
            began = not self.resting
            self.share *= DECREASE
            self._rest(now, seconds)
            return began

    def idle(self) -> bool:
        """Return True if this object can be deleted, because a new one would act in the same way; otherwise return
        False.
        """
        return self.share >= 1.0 and not self.resting

    def _rest(self, now: float, seconds: float) -> None:
        self.resting = True
        self._credit = 0.0
        self._probe_at = now + seconds
