"""One quota among many processes: which fraction of it each may use now, and until when.

A member holds a lease: a fraction of the quota for some seconds. The leases that have not run out never add up to more
than 1, so each member may pace its own calls by its fraction and asks again about once a second, however many calls it
makes. `Leases` is the state of one quota; what keeps it (`stores`) says what time it is. The script that runs inside a
Redis server (`stores/leases.lua`) does the same arithmetic in the same order.

The figures below are this package's own choice; none is a fact about AWS.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import repeat
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.rules.quota.beliefs import Beliefs
from aws_bedrock_inference.rules.quota.division import PLAN, Division, finite
from aws_bedrock_inference.rules.quota.fair_shares import TOLERANCE, Need
from aws_bedrock_inference.rules.quota.gone import LEFT, Gone, uses_of
from aws_bedrock_inference.rules.quota.limit import MINUTE
from aws_bedrock_inference.rules.quota.views import Seen, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_bedrock_inference.rules.quota.gone import Use

# A member comes again after this many of its calls, within bounds in seconds: a busy one has more to say.
CALLS = 8.0
OFTEN = 1.0
SELDOM = 2.5

# A newcomer, and a member that has got less than this part of what is due to its needs, come again sooner.
SHORT = 0.95
SOON = 0.3

# Seconds of a lease. A busy member's outlives a renewal that fails, and who waits for the part of one that was killed
# has it within three seconds, its own next renewal included.
VALID = 2.7
LONGEST = 60.0  # far longer than any: a lease that is kept as longer was not made here

# A store that was restarted has forgotten every lease. Who had one comes back within SELDOM seconds; until then all
# keep what they hold, and a newcomer gets no more than this part of what looks free.
GRACE = SELDOM + 2 * SOON
CAUTIOUS = 0.25

# The format of what is kept of a quota; versions whose formats are adjacent share it. It had no number at first.
FORMAT = 1

_NUMBERS = ("born", "at", "offset", "leased")
REPORT = 16 * 1024  # of what a member says about itself, in characters


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """The data that a member sends at each renewal.

    `holding` is the fraction it is using now: its last grant, 0 when it is new or that lease has run out. `needs` are
    (priority, fraction of the quota, calls that want it); the smallest priority is served first. `tenants` say whose
    each of them is, in the same order; there are none where no call names one. `limits` are
    (dimension, estimated limit a minute, stamp of the estimate that it is based on, whether a throttle has lowered it
    since). `rate` is its own calls a second. `report` is kept as given, for people to look at.
    """

    holding: float
    needs: tuple[tuple[float, float, float], ...]
    limits: tuple[tuple[str, float, int, bool], ...] = ()
    report: str = ""
    rate: float = 0.0
    tenants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        numbers = [self.holding, self.rate, *(number for _, need, calls in self.needs for number in (need, calls))]
        if not all(0.0 <= number < inf for number in numbers) or not all(isfinite(first) for first, _, _ in self.needs):
            raise ValueError(f"holding, rate, needs and calls must be finite and not negative: {self!r}")
        if not all(limit > 0.0 for _, limit, _, _ in self.limits):
            raise ValueError(f"A limit must be above 0 (infinity when there is none): {self.limits!r}")
        if len(self.report) > REPORT:
            raise ValueError(f"The report has {len(self.report):,} characters; at most {REPORT:,} are kept")
        if self.tenants and len(self.tenants) != len(self.needs):
            raise ValueError(f"There are {len(self.needs)} needs of {len(self.tenants)} tenants")

    @property
    def whose(self) -> tuple[Need, ...]:
        """The needs with their tenants."""
        return tuple(Need(*need, tenant) for need, tenant in zip(self.needs, self.tenants or repeat(""), strict=False))


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease of the fraction `share` for `valid` seconds, to be renewed after `again` seconds.

    Both times run from when the member asked, not from when it heard: then its lease ends no later than the store
    assumes. `limits` are (dimension, the estimate that all members share, its stamp). `members` is the number of
    members that the store knows. `gone` is what members that are gone used: it counts against the whole quota for so
    many seconds. `parts` say of each need which part of its tenant's calls it names; there are none where no tenant is
    named.
    """

    share: float
    valid: float
    again: float
    limits: tuple[tuple[str, float, int], ...]
    members: int = 1
    gone: tuple[Use, ...] = ()
    parts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        # What comes from a store is checked here, once.
        sound = 0.0 <= self.share <= 1.0 + TOLERANCE and 0.0 < self.again <= self.valid < inf and self.members >= 1
        sound = sound and all(0.0 <= number < inf for use in self.gone for number in use)
        sound = sound and all(0.0 < part <= 1.0 for part in self.parts)
        if not (sound and all(limit > 0.0 and stamp >= 0 for _, limit, stamp in self.limits)):
            raise ValueError(f"{self!r} makes no sense")


class TooNew(Exception):
    """The state of a quota was written in a format that is too new to be read here."""


class Lease:
    """The share that one member has, and the needs and rate of its last request."""

    __slots__ = ("needs", "rate", "seen", "share", "until")

    def __init__(self, share: float, until: float, seen: float, rate: float, needs: Iterable[Need]) -> None:
        self.share = share
        self.until = until
        self.seen = seen
        self.rate = rate
        self.needs = tuple(needs)


class Leases:
    """The leases of one quota. Every method takes `now`, seconds of the store's clock.

    A clock that is set back does not lengthen a lease: time goes on from where it was.
    """

    def __init__(self, born: float) -> None:
        self.reports: dict[str, str] = defaultdict(str)
        self._born = self._at = born
        self._offset = 0.0
        self._division = Division(born - 2 * PLAN)
        self._rejoined = False
        self._members = 1
        self._format = FORMAT
        self._leased = 0.0
        self._leases: dict[str, Lease] = {}
        self._beliefs = Beliefs()
        self._gone = Gone()

    def renew(self, member: str, request: LeaseRequest, now: float) -> Grant:
        """Hear what `member` needs and return its new lease, which takes the place of the one it had."""
        now = self._advance(now)
        lease = self._leases.get(member)
        known = lease is not None and lease.until > now
        if lease is None:
            lease = self._leases[member] = Lease(self._gone.back(member), now, now, 0.0, ())
        new = not known and lease.share <= TOLERANCE
        lease.until, lease.seen, lease.rate, lease.needs = now + VALID, now, request.rate, request.whose
        self.reports[member] = request.report
        if not self._division.covers(lease.needs, now):
            self._plan(now)
        deserved = self._division.due(lease.needs)
        free = max(0.0, 1.0 - (self._leased - lease.share))
        most = deserved
        rejoins = not known and request.holding > 0.0
        if rejoins and now >= self._born + GRACE:
            self._born = now
        if now < self._born + GRACE:
            self._rejoined = self._rejoined or rejoins
            if rejoins:
                most = request.holding
            elif self._rejoined:
                most = lease.share if known else min(deserved, CAUTIOUS * free)
        share = min(most, free)
        soon = new or share < SHORT * (deserved - self._division.surplus)
        again = SOON if soon else min(SELDOM, max(OFTEN, CALLS / request.rate)) if request.rate > 0.0 else SELDOM
        self._leased += share - lease.share
        lease.share = share
        self._beliefs.learn(request.limits)
        limits, gone, parts = self._beliefs.told(), self._gone.at(now), self._division.parts(lease.needs)
        return Grant(share, VALID, again, limits, self._members, gone, parts)

    def leave(self, member: str, now: float, report: str = "") -> None:
        """Free the lease of `member` at once; `report` is its last one."""
        lease = self._leases.pop(member, None)
        if lease is not None or member in self._gone:
            now = self._advance(now)
            self._leased -= self._gone.left(member) if lease is None else lease.share
            self._gone.add(LEFT, [] if lease is None else uses_of(report or self.reports[member]), now)
            self.reports.pop(member, None)

    def look(self, now: float) -> View:
        """Return who holds a lease now. Changes nothing."""
        now = max(self._at, now + self._offset)
        return View(
            tuple(
                Seen(member, lease.share, now - lease.seen, lease.rate, self.reports.get(member, ""))
                for member, lease in sorted(self._leases.items())
                if lease.until > now
            ),
            self._beliefs.told(),
        )

    @property
    def members(self) -> frozenset[str]:
        """The names of the members with a recorded lease; some leases may have expired."""
        return frozenset(self._leases)

    def plain(self) -> dict[str, Any]:
        """Return everything but the reports as JSON knows it."""
        return {
            "format": self._format,
            "members": self._members,
            **{name: getattr(self, f"_{name}") for name in _NUMBERS},
            "rejoined": self._rejoined,
            **self._division.plain(),
            "leases": {
                member: [lease.share, lease.until, lease.seen, lease.rate, [need[:3] for need in lease.needs]]
                for member, lease in self._leases.items()
            },
            "whose": {
                member: [need.tenant for need in lease.needs]
                for member, lease in self._leases.items()
                if any(need.tenant for need in lease.needs)
            },
            "limits": self._beliefs.plain(),
            "gone": self._gone.plain(),
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return what `plain` made. Raises `TooNew`; `LookupError`, `TypeError`, `ValueError` when it is foreign."""
        if not isinstance(plain, dict):
            raise TypeError(f"{type(plain).__name__} instead of the leases")
        kept = int(plain.get("format", 0))
        if kept > FORMAT + 1:
            raise TooNew(f"it has format {kept}, and formats up to {FORMAT + 1} are read here")
        leases = cls(0.0)
        for name in _NUMBERS:
            setattr(leases, f"_{name}", finite(plain[name]))
        leases._format = max(kept, FORMAT)
        leases._members = max(1, int(plain.get("members", 1)))
        leases._rejoined = bool(plain["rejoined"])
        leases._division = Division.of(plain)
        whose = dict(plain.get("whose", {}))
        leases._leases = {
            member: Lease(finite(share), finite(until), finite(seen), finite(rate), _whose(needs, whose.get(member)))
            for member, (share, until, seen, rate, needs) in dict(plain["leases"]).items()
        }
        for member, lease in list(leases._leases.items()):
            if not (0.0 <= lease.share <= 1.0 + TOLERANCE and lease.until <= leases._at + LONGEST):
                del leases._leases[member]
        leases._beliefs = Beliefs.of(plain["limits"])
        leases._gone = Gone.of(plain.get("gone", {}))
        return leases

    def _advance(self, now: float) -> float:
        now += self._offset
        self._offset += max(0.0, self._at - now)
        self._at = max(self._at, now)
        return self._at

    def _plan(self, now: float) -> None:
        """Forget who was silent for too long, and find what is due to the others."""
        for member in [member for member, lease in self._leases.items() if lease.until <= now]:
            self._lapse(member, self._leases.pop(member))
        kept = self._gone.kept(now)
        self._leased = kept + sum(lease.share for lease in self._leases.values())
        self._division.plan((lease.needs for lease in self._leases.values()), now, 1.0 - kept)
        self._members = len(self._leases)

    def _lapse(self, member: str, lease: Lease) -> None:
        """Count what a member used that fell silent, and what it may have used since it last asked."""
        self._gone.add(member, uses_of(self.reports[member]), lease.seen)
        self.reports.pop(member, None)
        part = lease.share * (lease.until - lease.seen) / MINUTE
        since = 0.0, part * self._beliefs.finite("requests"), part * self._beliefs.finite("tokens")
        self._gone.add(member, [since], lease.until)
        self._gone.keep(member, lease.share, sum(need.need for need in lease.needs), lease.seen)


def _whose(needs: Iterable[Iterable[Any]], tenants: Iterable[Any] | None) -> list[Need]:
    numbers = [(finite(priority), finite(need), finite(calls)) for priority, need, calls in needs]
    return [Need(*need, str(tenant)) for need, tenant in zip(numbers, tenants or repeat(""), strict=False)]
