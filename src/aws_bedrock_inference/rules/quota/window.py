"""Count requests and tokens per minute: two limits over the minute before now."""

from __future__ import annotations

from collections import deque
from itertools import chain
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.beliefs import BURNDOWN, NOISE
from aws_bedrock_inference.rules.quota.burndown import Burndown
from aws_bedrock_inference.rules.quota.gone import STEP
from aws_bedrock_inference.rules.quota.learning import EvidenceEstimator
from aws_bedrock_inference.rules.quota.limit import MINUTE, Limit
from aws_bedrock_inference.rules.quota.minutes import Minutes
from aws_bedrock_inference.rules.quota.observed import Throttle
from aws_bedrock_inference.rules.quota.slot import GRAIN, LAG, SLOT, Slot, pace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_bedrock_inference.rules.quota.gone import Use, Uses
    from aws_bedrock_inference.rules.quota.observed import EstimatorFactory

# The interval at which the rate is fitted to the rest of the minute, in seconds.
SPREAD = 0.25

# Seconds' worth of a quota that may go at once. AWS does not publish its window; 5 s is the smallest seen, and a larger
# burst may be throttled.
BURST = 5.0

# An unknown quota starts here, and doubles every second that it holds calls back without a throttle.
UNKNOWN_RPM = 1200.0
UNKNOWN_BURST = 80.0

# The last seconds whose calls are "recent", to estimate a limit from.
RECENT = 5.0

# A burst shows in the last second, or in the time of so many calls.
FEW_CALLS = 5.0

# What calls want on average is counted over so many at the least, and twice as many at the most.
USUAL_CALLS = 500.0

# From this share of the minute on, what calls in flight have reserved makes it worth exceeding the minute by it.
RESERVED = 0.1

# The part of a shared quota has run out: whoever heads the queue looks again after this many seconds.
LOOK_AGAIN = 1.0

# Waits shorter than this many seconds are none: time added up in floating point must not leave a waiter a billionth
# short.
TOLERANCE = 1e-6


class Window:
    """Two limits and the minute they share. `firm` limits are never exceeded; others are where learning starts.

    Without either nothing is known: requests start at a moderate rate that doubles, and whichever dimension is
    throttled first is learned. `estimator` makes what learns.
    """

    def __init__(
        self,
        *,
        rpm: float | None,
        tpm: float | None,
        now: float,
        burst: float,
        firm: bool,
        windowed: bool,
        estimator: EstimatorFactory = EvidenceEstimator,
        burndown: Burndown | None = None,
    ) -> None:
        unknown = rpm is None and tpm is None

        def learned(limit: float | None, start: float, least: float) -> Limit:
            ceiling = limit or inf if firm else inf
            made = estimator(limit or start, burst=burst, ceiling=ceiling, known=limit is not None)
            return Limit(made, least=least, windowed=windowed, told=ceiling < inf)

        self.tokens = learned(tpm, inf, 1.0)
        self.requests = learned(rpm, UNKNOWN_RPM if unknown else inf, UNKNOWN_BURST if unknown else 1.0)
        self.burndown = burndown or Burndown()
        self.minutes = Minutes(tpm or inf if firm and windowed else inf, now)
        self.slot = Slot(now + SLOT)
        self.outstanding = 0.0
        self.admitted = 0.0
        self._asked = self._asking = 0.0
        self.leased_until = inf
        self._slots: deque[Slot] = deque()
        self._others: list[Slot] = []  # those of the minute that others used: members that are gone, the parent process
        self._at = now
        self._spread_at = now

    @property
    def dimensions(self) -> tuple[tuple[str, Limit], ...]:
        """Return both limits under the names the service has for them."""
        return ("requests", self.requests), ("tokens", self.tokens)

    def take(self, tokens: float) -> Slot:
        """Take one request of `tokens`, which `wait_for` has just found to fit; return where it was booked."""
        self.requests.free -= 1.0
        self.tokens.free -= tokens
        self.outstanding += tokens
        return self.slot

    def give(self, slot: Slot, reserved: float, tokens: float, requests: float) -> None:
        """Give back what a reservation of `slot` did not use; less than nothing when it used more."""
        self.tokens.free += tokens
        self.requests.free += requests
        self.outstanding -= reserved
        if slot is self.slot:
            return
        self.tokens.returned += tokens
        self.requests.returned += requests
        if slot.alive:
            slot.tokens -= tokens
            slot.requests -= requests
        else:  # it is no part of the minute any more, and what was used in it gets no smaller
            self.tokens.used += tokens
            self.requests.used += requests

    def inherit(self) -> None:
        """Take over the minute of the parent process, but none of its calls in flight: they count as used."""
        self.outstanding = 0.0
        slots = []
        for slot in (*self._slots, self.slot):
            slots.append(Slot(slot.end))
            slots[-1].tokens, slots[-1].requests = slot.tokens, slot.requests
            slot.alive, slot.inherited = False, True
        self.slot = Slot(self.slot.end)
        self._slots, self._others = deque(slots), slots

    def lease(self, share: float, limits: Mapping[str, float], now: float, until: float, gone: Uses) -> None:
        """Use `share` of the quota until `until`, and count that part of what is `gone`; None leaves it as it is."""
        self.leased_until = until
        self.refresh(now)
        if gone is not None:
            self._forget(self._others)
        for name, limit in self.dimensions:
            limit.lease(share, limits.get(name), limits.get(NOISE + name, 0.0))
        if BURNDOWN in limits:
            self.burndown.adopt(limits[BURNDOWN], now)
        if gone is not None:
            self._others = [Slot(now + seconds - MINUTE - LAG) for seconds, _, _ in gone]
            for slot, (_, requests, tokens) in zip(self._others, gone, strict=True):
                slot.requests, slot.tokens = share * requests, share * tokens
                self.requests.used += slot.requests
                self.tokens.used += slot.tokens
            self._slots = deque(sorted((*self._slots, *self._others), key=lambda slot: slot.end))

    def forget(self) -> None:
        """Forget the minute, unless calls in flight have reserved of it: others count it from now on."""
        if self.outstanding <= TOLERANCE:
            self._forget((*self._slots, self.slot))
            self.slot = Slot(self.slot.end)

    def uses(self, now: float) -> tuple[Use, ...]:
        """Return what this process has used of the minute, by age in steps."""
        steps: dict[float, tuple[float, float]] = {}
        others = set(self._others)
        for slot in (*self._slots, self.slot):
            if slot not in others:
                age = max(0.0, (now - slot.end) // STEP * STEP)
                requests, tokens = steps.get(age, (0.0, 0.0))
                steps[age] = requests + slot.requests, tokens + slot.tokens
        return tuple((age, max(0.0, requests), max(0.0, tokens)) for age, (requests, tokens) in steps.items())

    def refresh(self, now: float) -> None:
        """Bring both dimensions to `now`."""
        if self.burndown.due < inf:
            if self.tokens.held_back:
                self.burndown.held(now - self._at)
            if now >= self.burndown.due:
                self.burndown.look(now, self.tokens, self.admitted)
        slot = self.slot
        asked = self.tokens.absorb()
        slot.tokens += asked
        admitted = self.requests.absorb()
        self._asked += asked
        self._asking += admitted
        slot.requests += admitted
        self.admitted += admitted
        if now >= slot.end:
            self._slots.append(slot)
            self.slot = Slot(now + SLOT)
            if now >= self._spread_at:
                self._spread_at = now + SPREAD
                self._spread(now)
            if self.minutes.due < inf:
                self.minutes.turn(self._slots, self.tokens, now, self.outstanding, self.burndown)
        tokens = requests = 0.0
        slots, gone = self._slots, now - MINUTE - LAG
        while slots and slots[0].end <= gone:
            old = slots.popleft()
            old.alive = False
            tokens += old.tokens
            requests += old.requests
        if self.tokens.before is not None:
            self.tokens.before -= tokens
        seconds = now - self._at if now > self._at else 0.0
        self._at += seconds
        calls = self.requests.used / MINUTE
        reserved = self.outstanding > RESERVED * self.tokens.estimate * self.tokens.share
        self.tokens.renew(seconds, tokens, calls, reserved=reserved, admitted=self.admitted)
        self.requests.renew(seconds, requests, calls, admitted=self.admitted)

    def wait_for(self, tokens: float, now: float) -> float:
        """Return the seconds until a call of `tokens` fits; the dimension that holds it back is marked."""
        self.refresh(now)
        wait = 0.0
        if self.requests.free < 1.0 - TOLERANCE:
            wait = self._wait_in(self.requests, 1.0, "requests", now)
        if self.tokens.free < tokens - TOLERANCE:
            wait = max(wait, self._wait_in(self.tokens, tokens, "tokens", now))
        if now >= self.leased_until:
            wait = max(wait, LOOK_AGAIN)
        return wait if wait > TOLERANCE else 0.0

    def earliest(self, tokens: float, ahead: int) -> float:
        """Return the seconds that a call must wait at the least, with `ahead` calls before it, if everything in flight
        came back unused and nobody else used the quota.
        """
        before = ahead * self.tokens.used / max(1.0, self.requests.used)
        short = min(tokens, self.tokens.capacity) + before - self.tokens.level - self.outstanding
        fewer = 1.0 + ahead - self.requests.level
        return max(0.0, short * MINUTE / self.tokens.estimate, fewer * MINUTE / self.requests.estimate)

    def lately(self, name: str, now: float, seconds: float) -> float:
        """Return what the last `seconds` used, as units a minute."""
        used = float(getattr(self.slot, name))
        first = self.slot.end - SLOT
        for slot in reversed(self._slots):
            if slot.end <= now - seconds:
                break
            used += getattr(slot, name)
            first = slot.end - SLOT
        return used * MINUTE / max(1.0, now - first)

    def nearest(self) -> str:
        """Return the dimension that is nearest to its limit, of those whose limit is known."""
        fills = {name: limit.used / (limit.estimate * limit.share) for name, limit in self.dimensions if limit.known}
        return max(fills, key=lambda name: fills[name], default="tokens")

    def throttled(self, name: str, tokens: float, now: float, in_a_row: int, age: float) -> None:
        """Learn from the throttle of a call of `tokens` admitted `age` seconds ago, the `in_a_row`-th; 0 when it counts
        with the one before.
        """
        limit = self.tokens if name == "tokens" else self.requests
        if limit is self.tokens:
            slots = (*self._slots, self.slot)
            if self.minutes.refused(slots, limit, tokens, now - age, in_a_row):
                return
        recently, lately = (self.lately(name, now, span) / limit.share for span in (RECENT, MINUTE))
        span = max(1.0, FEW_CALLS * MINUTE / max(1.0, self.requests.used))
        rate = self.lately("requests", now, span)
        shortly = rate * limit.used / max(1.0, self.requests.used) / limit.share
        calls = rate * span / MINUTE
        refused = tokens if name == "tokens" else 1.0
        size = tokens * self._asking / max(1.0, self._asked) if name == "tokens" else 1.0
        limit.throttled(Throttle(in_a_row, recently, lately, refused, shortly, calls, age, size))
        if self._asking > USUAL_CALLS:
            self._asked, self._asking = self._asked / 2.0, self._asking / 2.0
        if name == "tokens" and in_a_row:
            limit.free -= self.burndown.throttled(now, age, in_a_row, limit)

    def _forget(self, slots: Iterable[Slot]) -> None:
        for slot in slots:
            if slot.alive:
                slot.alive = False
                self.tokens.used -= slot.tokens
                self.requests.used -= slot.requests
        self._slots = deque(slot for slot in self._slots if slot.alive)

    def _wait_in(self, limit: Limit, amount: float, name: str, now: float) -> float:
        if limit.before is not None:
            limit.held_back = True
            return SPREAD
        wait = (limit.needs(amount) - limit.level) / limit.rate
        if limit.windowed:
            over = min(amount, limit.minute) - limit.room
            for slot in chain(self._slots, (self.slot,)):
                if over <= TOLERANCE:
                    break
                over -= getattr(slot, name)
                wait = max(wait, slot.end + MINUTE + LAG - now)
        limit.held_back = wait > TOLERANCE
        return wait

    def _spread(self, now: float) -> None:
        """Spread what the minute will bring over the time until it comes."""
        for name, limit in self.dimensions:
            limit.pace = inf
            if limit.held_back and limit.windowed:
                room = limit.room + GRAIN * limit.used / max(1.0, self.requests.used)
                limit.pace = pace(self._slots, name, room, now)
