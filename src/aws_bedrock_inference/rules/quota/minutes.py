"""Learn when the minutes of a service begin that counts fixed minutes, and fill each of them at its start.

Where answers take long, reservations fill a minute long before its tokens are used. In a fixed minute only what is sent
at the start comes back in time to be sent again. Without knowledge of the start, calls keep within every sliding
minute, which uses 83 to 88 % of such a quota.

Minutes may begin at any of 120 moments. For each moment, the slots tell how much the present minute would hold. Two
observations contradict a moment:

* a call was refused although the minute had room;
* the minute holds more than the limit, and nothing was refused.

The same observations judge the assumption that the service counts the sliding minute before now. A third assumption
is a bucket, which has no minutes. A refusal in a full minute contradicts the bucket. A moment is believed once little
contradicts it and much contradicts all others. Single refusals may be noise, so they count little, and not at all
where noise is common. Only a told limit is judged, and only where one process uses all of it.
"""

from __future__ import annotations

from math import exp, inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.slot import SLOT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from aws_bedrock_inference.rules.quota.burndown import Burndown
    from aws_bedrock_inference.rules.quota.limit import Limit
    from aws_bedrock_inference.rules.quota.slot import Slot

MINUTE = 60.0

# The moments are so many seconds apart. What was sent in the last LATELY seconds may still be refused.
STEP = 0.5
MOMENTS = int(MINUTE / STEP)
LATELY = 0.5
LOOK = 1.0

# A minute is full from this part of the limit on. Beyond the other part, it holds more than the limit.
FULL = 0.98
MORE = 1.01

# So many refusals with hardly a call between them are a row.
ROW = 3
TRIES = 4
MOSTLY = 0.3

# What contradicts a moment, in units of log likelihood: a row of refusals with room in the minute; the same row where
# no believable minute was full; a single refusal, which counts at most to SINGLES; and each look at a minute that
# holds too much. The sum is at most MOST and decays in FORGOTTEN seconds.
THROUGHOUT = 3.0
UNEXPLAINED = 1.0
SINGLE = 1.0
SINGLES = 2.0
PASSED = 1.0
MOST = 12.0
FORGOTTEN = 900.0

# Single refusals say nothing where this part of the calls is refused anyway.
NOISE = 0.01
MEMORY = 0.99  # of the noise and of the use, at each look

# A moment is believed with at most GOOD against it. All moments that are not within SURE / 2 of the best must have at
# least that much more, the sliding minute at least SURE more, the bucket at least BUCKET. At most WIDE may remain.
GOOD = 2.5
SURE = 4.0
BUCKET = 4.0
WIDE = 16

# A minute is filled in so many seconds: if the moment is wrong, few calls are refused before that shows.
FILL = 2.0

# A full minute lasts for so many seconds at least: a bad moment of the service looks the same, but then more passes.
CONFIRMED = 8.0

# Each look at a minute that only this moment explains reduces what contradicts it.
PROVED = 0.93

# After a believed moment was contradicted, all is learned again after so many seconds; each time after more.
REST = 30.0
LONGER = 4.0
LONGEST = 3600.0


class Minutes:
    """The start of the service's minutes: `phase` in seconds, None while it is unknown. The true start lies in the
    `unsure` seconds after it. Without a told `limit`, nothing is learned.
    """

    def __init__(self, limit: float = inf, now: float = 0.0) -> None:
        self.phase: float | None = None
        self.unsure = 0.0
        self.due = now if limit < inf else inf
        self._limit = limit
        self._against = [0.0] * (MOMENTS + 1)  # the last one is the sliding minute
        self._bucket = 0.0
        self._full_at = -inf  # when a minute was full first
        self._rest = REST
        self._odd = self._calls = 0.0  # refusals that no full minute explains, and calls
        self._admitted = 0.0
        self._ended = self._used = 1.0  # reservations of calls that ended, and what these used
        self._seen = (0.0, 0.0)
        self._looked = now
        self._began = -inf
        self._tries = 0  # refusals in this minute while it was not full
        self._short = 0.0  # by what this minute was full earlier than counted

    def turn(self, slots: Collection[Slot], limit: Limit, now: float, outstanding: float, ended: Burndown) -> None:
        """Tell `limit` what it may use, at each new slot. `outstanding` is what calls in flight have reserved; `ended`
        has the sums of calls that ended.
        """
        if now >= self.due:
            self.due = now + LOOK
            self._count(limit.admitted, ended.reserved, ended.charged)
            self._look(slots, now)
        if self.phase is None or limit.share < 1.0:
            limit.before = None
            return
        began = self.began(now)
        if began > self._began + MINUTE / 2:
            self._began, self._short, self._tries = began, 0.0, 0
        early = (1.0 - min(1.0, (now - began - self._tried) / FILL) ** 2) * limit.minute
        limit.before = sum(slot.tokens for slot in slots if slot.end <= began) - self._short - early
        limit.unused = max(0.0, 1.0 - self._used / self._ended) * outstanding
        limit.pace = inf

    def refused(self, slots: Iterable[Slot], limit: Limit, amount: float, sent: float, in_a_row: int) -> bool:
        """Judge the moments by a call of `amount` that was refused, the `in_a_row`-th; return whether the minute was
        full. Then nothing more goes in it than what comes back.
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
        """Return what the present minute holds, nothing if no minutes are known."""
        return held[min(MOMENTS, _step(until) - _step(self.began(sent)))] if self.phase is not None else 0.0

    def began(self, now: float) -> float:
        """Return the earliest start of the present minute. The next one is tried in the middle of the moments at which
        it may start: what happens then rules out half of them.
        """
        phase = self.phase or 0.0
        return phase + (now - self._tried - phase) // MINUTE * MINUTE

    @property
    def _tried(self) -> float:
        return (self.unsure + STEP) / 2.0

    def _count(self, admitted: float, reserved: float, used: float) -> None:
        self._ended = max(1.0, MEMORY * self._ended + reserved - self._seen[0])
        self._used = MEMORY * self._used + used - self._seen[1]
        self._seen = reserved, used
        self._calls = MEMORY * self._calls + admitted - self._admitted
        self._odd *= MEMORY
        self._admitted = admitted

    def _look(self, slots: Iterable[Slot], now: float) -> None:
        kept = exp((self._looked - now) / FORGOTTEN)
        self._looked = now
        held = _held(slots, now - LATELY)
        beyond = self.phase is not None and held[MOMENTS] > MORE * self._limit
        good = min(self._against) + SURE if beyond else -inf
        self._against = [against * (PROVED if against < good else kept) for against in self._against]
        self._bucket *= kept
        for ago, tokens in enumerate(held):
            if tokens > MORE * self._limit:
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
        # They are next to each other, perhaps across the end of the minute: the largest gap follows the last one.
        following = [*good[1:], good[0] + MOMENTS]
        last = max(range(len(good)), key=lambda i: following[i] - good[i])
        first = following[last] % MOMENTS
        self.unsure = ((good[last] - first) % MOMENTS + 1) * STEP
        self.phase = first * STEP


def _step(time: float) -> int:
    return int(time / STEP)


def _at(ago: int, until: float) -> int:
    """Return the moment `ago` steps before `until`; the longest ago is the sliding minute."""
    return MOMENTS if ago == MOMENTS else (_step(until) - ago) % MOMENTS


def _held(slots: Iterable[Slot], until: float) -> list[float]:
    """Return what was sent from each of the last steps to `until`."""
    sent = [0.0] * (MOMENTS + 1)
    last = _step(until)
    for slot in slots:
        ago = last - _step(slot.end)
        if slot.end <= until and ago <= MOMENTS:
            sent[ago] += slot.tokens
    for ago in range(MOMENTS):
        sent[ago + 1] += sent[ago]
    return sent
