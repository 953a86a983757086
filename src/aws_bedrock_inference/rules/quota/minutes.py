"""Learn when the minutes begin if the service counts fixed minutes, and send many calls at the start of each minute.

A call reserves its `max_tokens`, and refunds unused tokens when it ends. If answers take long, reservations reach the
limit of a minute, although few tokens have been used. A refund is useful only if the call ends in the minute in which
it was sent. Calls that are sent at the start of a minute mostly end in this minute, so other calls can use their
refunds. While the start is unknown, the package stays within the limit in every period of 60 seconds, and uses only 83
to 88 % of the quota.

Three kinds of assumptions about the service are compared:

* It counts fixed minutes, which begin at one of 120 moments. Each moment is a separate assumption.
* It counts the last 60 seconds (a sliding minute).
* It uses a token bucket, which has no minutes.

The slots (short parts of the minute) show how many tokens were sent in the minute of each assumption. Two observations
contradict the assumption of a fixed or sliding minute:

* A call was refused although its tokens fitted into the minute.
* The minute contains more than the limit, and nothing was refused.

A row of refusals in a full minute contradicts the bucket: tokens are added to a bucket all the time, so the service
would soon accept calls again. A moment is accepted if observations contradict all other assumptions, but hardly
contradict this moment. An individual refusal is weak evidence, because it may be noise (a random throttle). If noise is
common, individual refusals are ignored. Minutes are learned only if the limit is configured and one process uses all of
it.
"""

from __future__ import annotations

from math import exp, inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.slot import SLOT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from aws_bedrock_inference.rules.quota.limit import Limit
    from aws_bedrock_inference.rules.quota.slot import Slot

MINUTE = 60.0

# The possible starts of the minute are STEP seconds apart. The service can still refuse calls of the last LATELY
# seconds. The evidence is checked every LOOK seconds.
STEP = 0.5
MOMENTS = int(MINUTE / STEP)
LATELY = 0.5
LOOK = 1.0

# A minute counts as full at the first fraction of the limit. Above the second fraction, it contains more than the
# limit.
FULL = 0.98
MORE = 1.01

# ROW refusals with almost no success between them are a row. The known start of the minute becomes doubtful after TRIES
# refusals outside a full minute, if their tokens are more than the fraction MOSTLY of the minute's tokens.
ROW = 3
TRIES = 4
MOSTLY = 0.3

# Weights of the evidence against a possible start of the minute, in units of log likelihood. They are, in order: a row
# of refusals although the calls fitted into the minute; the same row if no accepted minute was full; an individual
# refusal; the maximum for all individual refusals (SINGLES); and each check at which a minute contains too much. The
# sum is at most MOST, and decays in FORGOTTEN seconds.
THROUGHOUT = 3.0
UNEXPLAINED = 1.0
SINGLE = 1.0
SINGLES = 2.0
PASSED = 1.0
MOST = 12.0
FORGOTTEN = 900.0

# Individual refusals are no evidence if this fraction of the calls is refused even at a low rate.
NOISE = 0.01
MEMORY = 0.99  # the fraction of the counts that remains at each check

# A start of the minute is accepted if the evidence against it is at most GOOD. The evidence against all starts that are
# not within SURE / 2 of the best one must be higher by at least this number. The evidence against the sliding minute
# must be higher by SURE, and against the bucket by BUCKET. At most WIDE starts can remain.
GOOD = 2.5
SURE = 4.0
BUCKET = 4.0
WIDE = 16

# A minute is filled within this many seconds. If the assumed start is wrong, the service refuses only few calls before
# the package notices the error.
FILL = 2.0

# A full minute refuses calls for at least this many seconds. A short problem of the service looks the same at first,
# but calls succeed again earlier.
CONFIRMED = 8.0

# If the last 60 seconds contain more than the limit, fixed minutes explain this and a sliding minute does not. Each
# check then multiplies the evidence against the best starts by this factor.
PROVED = 0.93

# If observations contradict an accepted start, learning begins again after this many seconds. Each further time, the
# wait is longer.
REST = 30.0
LONGER = 4.0
LONGEST = 3600.0


class Minutes:
    """The start of the service's minutes, on the clock of `now`. `phase` is the second at which each minute starts,
    from 0 to below 60, or None while it is unknown. The true start is at `phase`, or at most `unsure` seconds later. If
    no `limit` is configured, nothing is learned.
    """

    def __init__(self, limit: float = inf, now: float = 0.0) -> None:
        self.phase: float | None = None
        self.unsure = 0.0
        self.due = now if limit < inf else inf
        self._limit = limit
        self._against = [0.0] * (MOMENTS + 1)  # evidence against each start; the last item is for the sliding minute
        self._bucket = 0.0
        self._full_at = -inf  # the first refusal of the last full minute
        self._rest = REST
        self._odd = self._calls = 0.0  # refusals that no full minute explains; calls
        self._admitted = 0.0
        self._looked = now
        self._began = -inf
        self._tries = 0  # refusals in this minute before it was full
        self._short = 0.0  # tokens that seemed free when the service reported this minute as full

    def turn(self, slots: Collection[Slot], limit: Limit, now: float, *, exact: bool) -> None:
        """Update the evidence about the moment at which the service's minutes begin. If this moment is known, set
        `limit.before` to the part of the use that belongs to earlier minutes; otherwise set it to None. The caller
        calls this method at each new slot (a short part of the minute).

        `exact` is False if the counted use can be higher than the service's count. A minute that contains more than the
        limit is then no evidence.
        """
        if now >= self.due:
            self.due = now + LOOK
            self._count(limit.admitted)
            self._look(slots, now, exact=exact)
        if self.phase is None or limit.share < 1.0:
            limit.before = None
            return
        began = self.began(now)
        if began > self._began + MINUTE / 2:
            self._began, self._short, self._tries = began, 0.0, 0
        early = (1.0 - min(1.0, (now - began - self._tried) / FILL) ** 2) * limit.minute
        limit.before = sum(slot.tokens for slot in slots if slot.end <= began) - self._short - early
        limit.pace = inf

    def refused(self, slots: Iterable[Slot], limit: Limit, amount: float, sent: float, in_a_row: int) -> bool:
        """Use the refusal of a call that needs `amount` tokens as evidence about the moments at which minutes begin.
        `sent` is the time at which the call was sent. `in_a_row` is the position of the refusal in its row of refusals
        (see `Throttle`).

        Return True if the start of the minutes is known, and the service's minute at the time `sent` was full. The full
        minute then explains the refusal. Otherwise return False.
        """
        if self.due == inf or limit.share < 1.0 or (self.phase is None and not 0 < in_a_row <= ROW):
            return False
        until = sent + SLOT
        held = _held(slots, until)
        present = self._present(held, until, sent)
        full = present + amount >= FULL * self._limit
        if self.phase is not None and not full:
            self._tries += 1
        wrong = self._tries >= TRIES and self._tries * amount > MOSTLY * present
        if wrong or 0 < in_a_row <= ROW:
            self._judge(held, until, amount, row=wrong or in_a_row == ROW, first=in_a_row == 1)
            self._decide()
        if wrong:
            self._tries = 0
        if full and limit.before is not None:
            self._short += limit.fill()
            return True
        return False

    def _present(self, held: list[float], until: float, sent: float) -> float:
        """Return the number of tokens that were sent in one minute of the service: from the start of the minute that
        contains the time `sent`, to the time `until`. Return 0 if the start of the minutes is unknown.
        """
        return held[min(MOMENTS, _step(until) - _step(self.began(sent)))] if self.phase is not None else 0.0

    def began(self, now: float) -> float:
        """Return the earliest time at which the service's present minute may have begun.

        A new minute is assumed only when about half of its possible starts have passed. For example, a minute begins
        between 12:00:10 and 12:00:14. Until 12:00:12, the result is 11:59:10. From 12:00:12 on, the result is 12:00:10,
        and calls are sent for the new minute. If the service accepts them, the minute began before 12:00:12. If the
        service refuses them, the minute begins later. In both cases, about half of the possible starts are ruled out.
        """
        phase = self.phase or 0.0
        return phase + (now - self._tried - phase) // MINUTE * MINUTE

    @property
    def _tried(self) -> float:
        return (self.unsure + STEP) / 2.0

    def _count(self, admitted: float) -> None:
        self._calls = MEMORY * self._calls + admitted - self._admitted
        self._odd *= MEMORY
        self._admitted = admitted

    def _look(self, slots: Iterable[Slot], now: float, *, exact: bool) -> None:
        kept = exp((self._looked - now) / FORGOTTEN)
        self._looked = now
        held = _held(slots, now - LATELY)
        beyond = exact and self.phase is not None and held[MOMENTS] > MORE * self._limit
        good = min(self._against) + SURE if beyond else -inf
        self._against = [against * (PROVED if against < good else kept) for against in self._against]
        self._bucket *= kept
        for ago, tokens in enumerate(held):
            if exact and tokens > MORE * self._limit:
                self._blame(_at(ago, now - LATELY), PASSED)
        self._decide()

    def _judge(self, held: list[float], until: float, amount: float, *, row: bool, first: bool) -> None:
        full = [tokens + amount >= FULL * self._limit for tokens in held]
        explained = any(full[ago] and self._against[_at(ago, until)] <= GOOD for ago in range(MOMENTS))
        if first and not explained:
            self._odd += 1.0
        by = SINGLE if explained and self._odd < NOISE * self._calls else 0.0
        if row:
            by = THROUGHOUT if explained else UNEXPLAINED if self.phase is not None else 0.0
        if explained and row and until > self._full_at + MINUTE / 2:
            self._full_at = until
            self._bucket = min(MOST, self._bucket + by)
        for ago, is_full in enumerate(full):
            at = _at(ago, until)
            if not is_full and (row or self._against[at] < SINGLES):
                self._blame(at, by)

    def _blame(self, at: int, by: float) -> None:
        self._against[at] = min(MOST, self._against[at] + by)

    def _decide(self) -> None:
        best = min(self._against[:MOMENTS])
        good = [at for at in range(MOMENTS) if self._against[at] <= best + SURE / 2.0]
        new = self._bucket >= BUCKET and len(good) <= WIDE and self._looked >= self._full_at + CONFIRMED
        minutes = self._against[MOMENTS] >= best + SURE and (new or self.phase is not None)
        if best > GOOD and self.phase is not None:
            self._against, self._bucket = [0.0] * (MOMENTS + 1), 0.0
            self.due = self._looked + self._rest
            self._rest = min(LONGEST, self._rest * LONGER)
        if best > GOOD or not minutes:
            self.phase = None
            return
        # The possible starts are adjacent, perhaps across the end of the minute. The largest gap follows the last one.
        following = [*good[1:], good[0] + MOMENTS]
        last = max(range(len(good)), key=lambda i: following[i] - good[i])
        first = following[last] % MOMENTS
        self.unsure = ((good[last] - first) % MOMENTS + 1) * STEP
        self.phase = first * STEP


def _step(time: float) -> int:
    return int(time / STEP)


def _at(ago: int, until: float) -> int:
    """Return the index of one assumption in the list of evidence. It is the assumption that the service's minute began
    `ago` steps of 0.5 seconds before the time `until`. If `ago` is 120 (`MOMENTS`), it is the assumption of a sliding
    minute (the last 60 seconds).
    """
    return MOMENTS if ago == MOMENTS else (_step(until) - ago) % MOMENTS


def _held(slots: Iterable[Slot], until: float) -> list[float]:
    """Return, for each possible start of the minute, the number of tokens that were sent from that start to `until`."""
    sent = [0.0] * (MOMENTS + 1)
    last = _step(until)
    for slot in slots:
        ago = last - _step(slot.end)
        if slot.end <= until and ago <= MOMENTS:
            sent[ago] += slot.tokens
    for ago in range(MOMENTS):
        sent[ago + 1] += sent[ago]
    return sent
