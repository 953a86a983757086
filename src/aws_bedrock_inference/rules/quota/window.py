"""Count the requests and tokens of the last 60 seconds, and compare them with the limits per minute."""

from __future__ import annotations

from collections import deque
from itertools import chain
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.beliefs import BURNDOWN, NOISE
from aws_bedrock_inference.rules.quota.burndown import Burndown
from aws_bedrock_inference.rules.quota.gates import PAUSE_FIRST
from aws_bedrock_inference.rules.quota.gone import STEP
from aws_bedrock_inference.rules.quota.learning import EvidenceEstimator
from aws_bedrock_inference.rules.quota.limit import MINUTE, Limit
from aws_bedrock_inference.rules.quota.minutes import Minutes
from aws_bedrock_inference.rules.quota.observed import Throttle
from aws_bedrock_inference.rules.quota.refunds import Refunds
from aws_bedrock_inference.rules.quota.rows import PROBES
from aws_bedrock_inference.rules.quota.slot import GRAIN, LAG, SLOT, Slot, pace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from aws_bedrock_inference.rules.quota.gone import Use, Uses
    from aws_bedrock_inference.rules.quota.observed import EstimatorFactory

# The interval, in seconds, at which the pace of calls is computed again from the free rest of the minute.
SPREAD = 0.25

# The burst in seconds: 5 means that calls can use the quota of 5 seconds without a pause. AWS does not publish its
# window. The smallest known one is 5 s; AWS may throttle a larger burst.
BURST = 5.0

# The starting values of an unknown quota, which doubles every second in which it delays calls without a throttle.
UNKNOWN_RPM = 1200.0
UNKNOWN_BURST = 80.0

# The calls of the last this many seconds are used when a limit is estimated from the recent use.
RECENT = 5.0

# A burst is measured over the last second, or over the time of this many calls.
FEW_CALLS = 5.0

# The mean size of calls is computed over at least this many calls, and at most twice as many.
USUAL_CALLS = 500.0

# If calls in flight have reserved more than this fraction of the minute, reservations may exceed its limit.
RESERVED = 0.1

# If the share of a shared quota has expired, the first call in the queue checks again after this many seconds.
LOOK_AGAIN = 1.0

# Waits shorter than this many seconds count as zero, because sums of floating-point times have small errors.
TOLERANCE = 1e-6


class Window:
    """The limits of requests and tokens per minute, and the slots. A slot counts the requests and tokens of a short
    part of the minute.

    `listed` contains the dimensions ("requests", "tokens") whose limits are values from Service Quotas. The
    estimate of such a limit can become higher than this value. A configured limit is never estimated higher than
    configured.

    If no limit is set, requests start at a moderate rate. While this rate delays calls, it nearly doubles each second.
    The first throttle shows which dimension has a limit: requests or tokens. From then on, this limit is estimated.
    """

    def __init__(
        self,
        *,
        rpm: float | None,
        tpm: float | None,
        now: float,
        burst: float,
        listed: Collection[str],
        windowed: bool,
        estimator: EstimatorFactory = EvidenceEstimator,
        burndown: Burndown | None = None,
    ) -> None:
        unknown = rpm is None and tpm is None

        def learned(name: str, limit: float | None, start: float, least: float) -> Limit:
            ceiling = inf if name in listed or limit is None else limit
            made = estimator(limit or start, burst=burst, ceiling=ceiling, known=limit is not None)
            return Limit(made, least=least, windowed=windowed, told=limit is not None)

        self.tokens = learned("tokens", tpm, inf, 1.0)
        self.requests = learned("requests", rpm, UNKNOWN_RPM if unknown else inf, UNKNOWN_BURST if unknown else 1.0)
        self.burndown = burndown or Burndown()
        self.minutes = Minutes(tpm if tpm is not None and windowed and "tokens" not in listed else inf, now)
        self.slot = Slot(now + SLOT)
        self.forks = 0
        self.outstanding = 0.0
        self.refunds = Refunds()
        self.admitted = 0.0
        self._asked = self._asking = 0.0
        self.leased_until = inf
        self._slots: deque[Slot] = deque()
        self._others: list[Slot] = []  # slots of others: members that are gone, and the parent process
        self._at = now
        self._spread_at = now

    @property
    def dimensions(self) -> tuple[tuple[str, Limit], ...]:
        """Return both limits, each with the name of its dimension."""
        return ("requests", self.requests), ("tokens", self.tokens)

    def take(self, tokens: float) -> Slot:
        """Reserve `tokens` and one request for a call that fits. Return its slot (a short part of the minute)."""
        self.requests.free -= 1.0
        self.tokens.free -= tokens
        self.outstanding += tokens
        self.slot.reserved += tokens
        self.slot.in_flight += 1
        return self.slot

    def give(self, slot: Slot, reserved: float, tokens: float, requests: float) -> None:
        """Refund the unused part of a call's reservation in `slot`, or charge the difference if the call used more."""
        self.tokens.free += tokens
        self.requests.free += requests
        self.outstanding -= reserved
        slot.reserved -= reserved
        slot.in_flight -= 1
        if slot is self.slot:
            return
        self.tokens.returned += tokens
        self.requests.returned += requests
        if slot.alive:
            slot.tokens -= tokens
            slot.requests -= requests
        else:  # the slot has left the minute, so the refund counts now
            self.tokens.used += tokens
            self.requests.used += requests

    def inherit(self) -> None:
        """In a forked child, copy the parent's use of the last minute. Tokens that the parent's calls have reserved
        count as used, because the child does not learn how many tokens these calls refund.
        """
        self.outstanding = 0.0
        self.forks += 1
        slots = []
        for slot in (*self._slots, self.slot):
            slots.append(Slot(slot.end, self.forks))
            slots[-1].tokens, slots[-1].requests = slot.tokens, slot.requests
            slot.alive = False
        self.slot = Slot(self.slot.end, self.forks)
        self._slots, self._others = deque(slots), slots

    def lease(self, share: float, limits: Mapping[str, float], now: float, until: float, gone: Uses) -> None:
        """Use the fraction `share` of a shared quota until the time `until`. `limits` contains the limits that other
        members estimate.

        `gone` is the use by members that left or stopped renewing, or None if it is unknown. The members share this
        use: this process counts the fraction `share` of it as its own use.
        """
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
        """Delete the recorded use of the last minute, unless calls are in flight. Call this method when this process
        has left a shared quota. The store then passes the use to all members, and this process would count it twice if
        it joined again.
        """
        if self.outstanding <= TOLERANCE:
            self._forget((*self._slots, self.slot))
            self.slot = Slot(self.slot.end, self.forks)

    def uses(self, now: float) -> tuple[Use, ...]:
        """Return the use by this process in the last minute, as tuples (age in seconds, requests, tokens). Each tuple
        contains the sum of the uses in a period of 2 seconds (`STEP`).
        """
        steps: dict[float, tuple[float, float]] = {}
        others = set(self._others)
        for slot in (*self._slots, self.slot):
            if slot not in others:
                age = max(0.0, (now - slot.end) // STEP * STEP)
                requests, tokens = steps.get(age, (0.0, 0.0))
                steps[age] = requests + slot.requests, tokens + slot.tokens
        return tuple((age, max(0.0, requests), max(0.0, tokens)) for age, (requests, tokens) in steps.items())

    def refresh(self, now: float) -> None:
        """Update both limits to the time `now`."""
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
            self.slot = Slot(now + SLOT, self.forks)
            if now >= self._spread_at:
                self.refunds.fade(SPREAD + now - self._spread_at)
                self._spread_at = now + SPREAD
                self.tokens.refund = self.refunds.expected(slot for slot in self._slots if slot.end > now - MINUTE)
                self._spread(now)
            if self.minutes.due < inf:
                self.minutes.turn(self._slots, self.tokens, now, exact=not self.burndown.on_trial)
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
        self.tokens.refund = min(self.tokens.refund, max(0.0, self.outstanding))
        reserved = self.outstanding > RESERVED * self.tokens.estimate * self.tokens.share
        self.tokens.renew(seconds, tokens, calls, reserved=reserved, admitted=self.admitted)
        self.requests.renew(seconds, requests, calls, admitted=self.admitted)

    def wait_for(self, tokens: float, now: float) -> float:
        """Return the seconds until a call of `tokens` fits. If a limit delays the call, set the attribute `held_back`
        of this limit to True.
        """
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
        """Return the shortest possible wait, in seconds, of a call that has `ahead` calls before it in the queue. The
        shortest wait assumes that calls in flight refund all tokens that they have reserved, and that other processes
        use no quota.
        """
        before = ahead * self.tokens.used / max(1.0, self.requests.used)
        short = min(tokens, self.tokens.capacity) + before - self.tokens.level - self.outstanding
        fewer = 1.0 + ahead - self.requests.level
        return max(0.0, short * MINUTE / self.tokens.estimate, fewer * MINUTE / self.requests.estimate)

    def lately(self, name: str, now: float, seconds: float) -> float:
        """Return the rate of use during the last `seconds`, in requests or tokens per minute."""
        used = float(getattr(self.slot, name))
        first = self.slot.end - SLOT
        for slot in reversed(self._slots):
            if slot.end <= now - seconds:
                break
            used += getattr(slot, name)
            first = slot.end - SLOT
        return used * MINUTE / max(1.0, now - first)

    def nearest(self) -> str:
        """Return the dimension (requests or tokens) whose use is nearest to its limit. Only known limits are
        considered. If none is known, return "tokens".
        """
        fills = {name: limit.used / (limit.estimate * limit.share) for name, limit in self.dimensions if limit.known}
        return max(fills, key=lambda name: fills[name], default="tokens")

    def throttled(
        self,
        name: str,
        tokens: float,
        now: float,
        in_a_row: int,
        age: float,
        *,
        refused_probes: int = 0,
        probe_accepted: bool = False,
    ) -> None:
        """Use the throttle of a call of `tokens` as evidence about a limit. `name` is the throttled dimension (requests
        or tokens). The call was admitted `age` seconds ago. `in_a_row` is the position of the throttle in its row of
        throttles, or 0. `Throttle` explains `in_a_row`, `refused_probes` and `probe_accepted`.
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
        if refused > refused_probes * PAUSE_FIRST * limit.rate:  # an empty bucket may still lack this many units
            refused_probes = min(refused_probes, PROBES - 1)
        size = tokens * self._asking / max(1.0, self._asked) if name == "tokens" else 1.0
        overfull = limit.estimator.overfull(limit.used + refused, limit.minute)
        probes = refused_probes, probe_accepted
        limit.throttled(Throttle(in_a_row, recently, lately, refused, shortly, calls, age, size, *probes))
        if self._asking > USUAL_CALLS:
            self._asked, self._asking = self._asked / 2.0, self._asking / 2.0
        if name == "tokens" and in_a_row and not overfull:  # the slack is then the suspect, not the burndown
            limit.free -= self.burndown.throttled(now, age, in_a_row, limit, refused_probes)

    def _forget(self, slots: Iterable[Slot]) -> None:
        for slot in slots:
            if slot.alive:
                slot.alive = False
                self.tokens.used -= slot.tokens
                self.requests.used -= slot.requests
        self._slots = deque(slot for slot in self._slots if slot.alive)

    def _wait_in(self, limit: Limit, amount: float, name: str, now: float) -> float:
        if limit.before is not None:
            limit.held_back = limit.room < min(amount, limit.minute) - TOLERANCE
            return SPREAD if limit.held_back else 0.0
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
        for name, limit in self.dimensions:
            limit.pace = inf
            if limit.held_back and limit.windowed:
                room = limit.room + GRAIN * limit.used / max(1.0, self.requests.used)
                limit.pace = pace(self._slots, name, room, now)
