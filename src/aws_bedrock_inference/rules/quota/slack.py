"""Learn the slack: the fraction by which reservations can exceed the limit of the minute. For example, with a slack of
0.5, calls can reserve 1.5 times the limit.

A call reserves `max_tokens`, and may use far less. If answers take long, such reservations fill the minute with tokens
that are never used. A service with a bucket returns these tokens when the call ends, so it accepts reservations beyond
the limit of the minute. A service that counts the tokens of each minute refuses such reservations. To find out which
kind of service it is, the slack grows step by step while reservations delay calls.

A throttle can be evidence against the slack. To decide this, the tokens of the throttled call are added to the tokens
of the last minute. If the sum is more than the service has ever accepted in a minute, the slack is probably the cause
of the throttle. These throttles are counted separately (`doubts`). If there are many of them, the service probably
counts the tokens of each minute. The slack is then 0 for at least 60 seconds. Earlier reservations remain in the minute
for 60 seconds. Throttles in this time are no further evidence while the minute contains more than its limit.

The use of the last 60 seconds is checked every second. If it has been above the limit at every check for over a minute,
the service certainly does not count the last 60 seconds. Otherwise it would have refused calls. Later throttles are
then no evidence against the slack.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.doubts import DOUBT, Doubts
from aws_bedrock_inference.rules.quota.limit import MINUTE

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.observed import Counts, Throttle

# The increase of the slack (reservations beyond the minute) per second, and the largest slack, as fractions of the
# minute's limit.
INCREASE = 0.05
MOST = 4.0

# The seconds without slack (reservations beyond the minute) after a failure. Each further failure multiplies the time.
REST = 60.0
LONGER = 4.0
LONGEST = 3600.0

# If no minute contained more than this fraction of the limit, the service may count a sliding minute, and few throttles
# are enough evidence. If the minute has contained more than its limit for PROVEN seconds, the service certainly does
# not count a sliding minute.
NEAR = 1.01
PROVEN = 62.0

# The interval, in seconds, at which the use is checked.
LOOK = 1.0


class Slack:
    """The slack: `share` is the fraction by which the reservations of calls can exceed the limit of the minute. For
    example, if `share` is 0.5, calls can reserve 1.5 times the limit. They will probably use less than they reserve.
    """

    def __init__(self, *, configured: bool) -> None:
        self.share = 0.0
        self._configured = configured  # the limit is configured
        self._passed = 0.0  # the largest use of the minute without a refusal
        self._held = inf  # the use at the last check; inf after a refusal
        self._looked = self._due = self._low_at = 0.0
        self._failed_at = -inf
        self._rest = REST
        self._doubts = Doubts()

    def elapsed(self, now: float, seconds: float, counts: Counts) -> float:
        """Return the slack (the fraction by which reservations can exceed the limit of the minute).

        If calls wait now because other calls have reserved tokens, increase the slack first. If the service counts
        fixed minutes, set the slack to 0.
        """
        if counts.fixed:  # use in fixed minutes is no evidence about a bucket
            self.share, self._passed, self._held, self._low_at = 0.0, 0.0, inf, now
            return 0.0
        if counts.reserved and now >= self._due:
            self.share = min(MOST, self.share + INCREASE * seconds)
        if now - self._looked >= LOOK:
            self._count(now, counts, tried=self._tries(now, counts.used, counts))
        return self.share

    def explains(self, throttle: Throttle, now: float, counts: Counts) -> bool:
        """Use a throttle as evidence about the slack (the fraction by which reservations can exceed the limit of the
        minute).

        Return True if the slack explains the throttle; otherwise return False. The slack explains it if the last
        minute, with the throttled call, would have contained more tokens than the service has ever accepted in a
        minute. After too many of these throttles, set the slack to 0. In the next 60 seconds, earlier reservations
        explain each throttle with which the minute would have contained more than the limit.
        """
        held = counts.used + throttle.refused
        tried = self._tries(now, held, counts)
        self._count(now, counts, tried=tried)
        self._held = inf
        if self.remains(now) and held > counts.minute:
            return True
        if self._configured:  # a service changes; without a configured limit, the limit itself may be wrong
            self._passed = min(self._passed, counts.used)
        near = self._passed < NEAR * counts.minute
        if throttle.in_a_row == 1 or near:
            self._doubts.throttle(anyway=not tried)
        if tried and (self._doubts.enough or (near and self._doubts.doubt > DOUBT)):
            self.fail(now)
        return tried

    def fail(self, now: float) -> None:
        """Set the slack to 0, because it may be the cause of throttles. Reservations then stay within the limit of the
        minute. The first time, the slack stays 0 for 60 seconds. Each further period is four times as long: 240
        seconds, 960 seconds, up to an hour. `restore` makes the next period shorter again.
        """
        self.share = self._passed = 0.0
        self._failed_at = now
        self._due = now + self._rest
        self._rest = min(LONGEST, self._rest * LONGER)
        self._doubts.end(anyway=False)

    def restore(self, share: float, now: float) -> None:
        """Set the slack (the fraction by which reservations can exceed the limit of the minute) to `share` after a
        trial. `share` is the slack from before the trial. In the trial, the slack was 0, to see whether the throttles
        stop. The trial did not show that the slack caused the throttles, so the slack can be used again.
        """
        self.share, self._due, self._failed_at = share, now, -inf
        self._rest = max(REST, self._rest / LONGER)

    def _tries(self, now: float, held: float, counts: Counts) -> bool:
        return self.share > 0.0 and held > max(counts.minute, self._passed) and not self.proven(now)

    def remains(self, now: float) -> bool:
        """Return True if the slack was set to 0 in the last 60 seconds; otherwise return False. In this time, the
        minute can still contain the reservations that exceeded its limit.
        """
        return now - self._failed_at <= MINUTE

    def proven(self, now: float) -> bool:
        """Return True if the service certainly does not count a sliding minute (the last 60 seconds); otherwise return
        False. It is certain if the last 60 seconds have contained more than the limit at each check, for more than a
        minute. A service that counts a sliding minute would have refused calls in this time.
        """
        return now - self._low_at > PROVEN

    def _count(self, now: float, counts: Counts, *, tried: bool) -> None:
        self._doubts.count(counts.admitted, now - self._looked, anyway=not tried)
        if self._held < inf:
            self._passed = max(self._passed, self._held)
        self._held = counts.used
        if self._held <= NEAR * counts.minute:
            self._low_at = now
        self._looked = now
