"""Learn when the minutes of a service begin that counts fixed minutes.

If answers take long, most of a fixed minute's reservations come back only after that minute. Who knows when minutes
begin can fill each one at its start. When that is, refusals and acceptances show: for each moment of the minute at
which minutes might begin, the slots say how much the present one would hold by now. A call that is refused although
that minute had room speaks against this moment, and so does a minute that holds more than the limit. `sliding` is
judged in the same way: the service counts the minute before now. A refusal may also be a bad moment, so scores are
summed, and forgotten in time.
"""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_bedrock_inference.rules.quota.slot import Slot

MINUTE = 60.0
SLOT = 0.05

# Minutes may begin each so many seconds, and it looks as often; what was sent less than LATELY before may be refused
# yet.
STEP = 0.5
MOMENTS = int(MINUTE / STEP)
LATELY = 0.5

# A minute is full from this part of the limit on, and holds more than the limit above the other.
FULL = 0.98
MORE = 1.01

# What a refusal that is not explained, and a look at too much that passed, say against a moment; no more than LEAST in
# all, forgotten in so many seconds.
REFUSED = 3.0
ANYWAY = 1.0
ONE = 1.0
NOISE = 0.01
ROW = 3
PASSED = 1.0
LEAST = -12.0
FORGOTTEN = 900.0

# The moment is known once hardly anything speaks against it, and so much against all that are not next to it and
# against a sliding minute.
WIDE = 16
GOOD = -2.5
SURE = 4.0


class Minutes:
    """The moment at which minutes begin, `phase` seconds after one by the clock, or None as long as that is not known."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.phase: float | None = None
        self.unsure = 0.0
        self._odd = self._calls = 0.0
        self._admitted = 0.0
        self._against = [0.0] * (MOMENTS + 1)  # the last one is a sliding minute
        self._rows = 0.0
        self._looked = 0.0

    def look(self, slots: Iterable[Slot], now: float, admitted: float) -> None:
        """Count what has passed against the moments for which it is too much."""
        kept = exp((self._looked - now) / FORGOTTEN)
        self._looked = now
        self._calls = 0.99 * self._calls + admitted - self._admitted
        self._odd *= 0.99
        self._admitted = admitted
        held = _held(slots, now - LATELY)
        first = int((now - LATELY) / STEP)
        if self.phase is not None and held[-1] > MORE * self._limit:
            best = max(self._against)
            self._against = [score * (0.9 if score > best - SURE else kept) for score in self._against]
        else:
            self._against = [score * kept for score in self._against]
        for ago, tokens in enumerate(held):
            if tokens > MORE * self._limit:
                self._blame(ago, first, PASSED)
        self._decide()

    def refused(self, slots: Iterable[Slot], amount: float, sent: float, in_a_row: int) -> bool:
        """Count a call of `amount` that was `sent` and refused against the moments for which there was room."""
        until = sent + SLOT
        first = int(until / STEP)
        held = _held(slots, until)
        if 1 <= in_a_row <= ROW:
            room = [at for at, tokens in enumerate(held) if tokens + amount < FULL * self._limit]
            good = {(first - at) % MOMENTS for at in range(MOMENTS)} - {(first - at) % MOMENTS for at in room}
            explained = any(self._against[at] >= GOOD for at in good)
            if in_a_row == 1 and not explained:
                self._odd += 1.0
            if in_a_row == ROW:
                by = REFUSED if explained else ANYWAY if self.phase is not None else 0.0
            else:
                by = ONE if explained and self._odd < NOISE * self._calls else 0.0
            for ago in room:
                at = MOMENTS if ago == MOMENTS else (first - ago) % MOMENTS
                if in_a_row == ROW or self._against[at] > -2.0:
                    self._blame(ago, first, by)
            self._decide()
        return self.phase is not None and held[min(MOMENTS, first - int(self.began(sent) / STEP))] + amount >= FULL * self._limit

    def _blame(self, ago: int, first: int, by: float) -> None:
        at = MOMENTS if ago == MOMENTS else (first - ago) % MOMENTS
        self._against[at] = max(LEAST, self._against[at] - by)

    def _decide(self) -> None:
        scores = self._against[:MOMENTS]
        best = max(scores)
        good = [at for at, score in enumerate(scores) if score >= best - SURE / 2.0]
        if best < GOOD or self._against[MOMENTS] > best - SURE or len(good) > WIDE:
            self.phase = None
            return
        # those that are as good stand next to each other, perhaps around the end of the minute
        last = max(range(len(good)), key=lambda i: (good[(i + 1) % len(good)] - good[i] - 1) % MOMENTS)
        first, last = good[(last + 1) % len(good)], good[last]
        self.unsure = ((last - first) % MOMENTS + 1) * STEP
        self.phase = first * STEP

    def began(self, now: float) -> float:
        """Return when the present minute began at the earliest, once it is certain that it did."""
        assert self.phase is not None
        return self.phase + (now - self.unsure - self.phase) // MINUTE * MINUTE


def _held(slots: Iterable[Slot], until: float) -> list[float]:
    """Return how much was sent in the last so many steps before `until`."""
    sent = [0.0] * (MOMENTS + 1)
    first = int(until / STEP)
    for slot in slots:
        ago = first - int(slot.end / STEP)
        if slot.end <= until and ago <= MOMENTS:  # the end of the last slot may be
            sent[ago] += slot.tokens
    total = 0.0
    for ago, tokens in enumerate(sent):
        total += tokens
        sent[ago] = total
    return sent
