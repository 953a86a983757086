"""The leases of one quota that many processes share: which fraction each process can use now, and until when.

A member (a process) holds a lease, which is a fraction of the quota for a few seconds. The valid leases never add up to
more than 1, so each member limits its own calls to its fraction. A member renews its lease every 1 to 2.5 seconds, and
not with each call. A new member renews sooner. `Leases` is the state of one quota. The store (`stores`) that saves the
state supplies the time. The script inside a Redis server (`stores/leases.lua`) does the same arithmetic in the same
order.

The constants below are this package's own choice; none of them is documented by AWS.
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

# A member renews its lease after this many of its calls, within these bounds in seconds. A busy member renews sooner,
# because its needs change faster.
CALLS = 8.0
OFTEN = 1.0
SELDOM = 2.5

# A new member renews sooner. So does a member that received less than this fraction of the share that it is due.
SHORT = 0.95
SOON = 0.3

# The length of a lease in seconds. The lease of a busy member survives one failed renewal. If a member is killed, other
# members get its share within three seconds. This time includes their next renewal: a member that received less than
# the fraction SHORT of its needs renews every OFTEN seconds. If another member is SOON seconds late, this member renews
# AFTER seconds after the end of the late lease.
VALID = 2.7
AFTER = 0.05
LONGEST = 60.0  # seconds, far longer than any lease; a longer stored lease is invalid

# A restarted store has lost all leases. Their members send their next request within SELDOM seconds. Until then, all
# members keep their shares. A new member gets at most this fraction of the share that seems free.
GRACE = SELDOM + 2 * SOON
CAUTIOUS = 0.25

# The format of the stored state. Versions with adjacent formats can share it. The first format had no number.
FORMAT = 1

_NUMBERS = ("born", "at", "offset", "leased")
REPORT = 16 * 1024  # the maximum length of a member's report, in characters


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """The data that a member (a process) sends to the store each time it renews its lease (its fraction of the quota).

    * `holding`: the fraction of the quota that the member can use now, or 0 if it has no valid lease.
    * `needs`: for each priority and tenant, what the member's calls need, as tuples (priority, fraction of the quota,
      number of calls). The smallest priority number is served first.
    * `tenants`: one tenant for each tuple in `needs`, in the same order. `tenants` is empty if no call names a tenant.
    * `limits`: the member's estimates, as tuples (dimension, estimated limit per minute, stamp, lowered). The stamp
      states on which shared estimate the member's estimate is based. It is 1 for the first value of the shared
      estimate, 2 for the second, and so on. `lowered` is True if a throttle has lowered the member's estimate since the
      member received this value.
    * `rate`: the member's calls per second.
    * `report`: a text for people, which is saved unchanged.
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
            raise ValueError(
                f"{self!r}: holding, rate and needs must be finite numbers, 0 or more; only a priority can be negative"
            )
        if not all(limit > 0.0 for _, limit, _, _ in self.limits):
            raise ValueError(f"LeaseRequest(limits={self.limits!r}): pass limits above 0, or infinity for no limit")
        if len(self.report) > REPORT:
            raise ValueError(f"LeaseRequest(report=...) has {len(self.report):,} characters; pass at most {REPORT:,}")
        if self.tenants and len(self.tenants) != len(self.needs):
            raise ValueError(
                f"LeaseRequest: {len(self.needs)} needs, but {len(self.tenants)} tenants; pass one tenant for each "
                "need, or no tenants"
            )

    @property
    def whose(self) -> tuple[Need, ...]:
        """The tuples in `needs`, each together with its tenant from `tenants`."""
        return tuple(Need(*need, tenant) for need, tenant in zip(self.needs, self.tenants or repeat(""), strict=False))


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease: a member can use the fraction `share` of the quota for `valid` seconds, and renews the lease after
    `again` seconds. The member counts both times from the moment at which it sends its request. The store counts from
    the later moment at which it receives the request. Therefore the member never uses a lease that has expired at the
    store.

    * `limits`: tuples (dimension, shared estimate, stamp). The stamp counts the values that the estimate has had.
    * `members`: the number of members that the store knows.
    * `gone`: the use by members that have left or stopped renewing, as tuples (seconds, requests, tokens). These
      requests and tokens count against the whole quota until the seconds have passed.
    * `parts`: one fraction for each need in the request. A need is about the calls of one priority and tenant. If this
      member has 2 of the 8 calls that all members have for this priority and tenant, the fraction is 0.25. If no need
      names a tenant, no fraction is needed, and `parts` is empty.
    """

    share: float
    valid: float
    again: float
    limits: tuple[tuple[str, float, int], ...]
    members: int = 1
    gone: tuple[Use, ...] = ()
    parts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        # Data from a store is checked only at this place.
        sound = 0.0 <= self.share <= 1.0 + TOLERANCE and 0.0 < self.again <= self.valid < inf and self.members >= 1
        sound = sound and all(0.0 <= number < inf for use in self.gone for number in use)
        sound = sound and all(0.0 < part <= 1.0 for part in self.parts)
        if not (sound and all(limit > 0.0 and stamp >= 0 for _, limit, stamp in self.limits)):
            raise ValueError(
                f"{self!r} from the quota store is not a valid lease. `share` must be from 0 to 1. `again` must be "
                "above 0 and at most `valid`. `members` must be at least 1. Each number in `parts` must be above 0 and "
                "at most 1, and each limit in `limits` above 0. All other numbers must be 0 or more. Check that no "
                "other program writes to the store"
            )


class TooNew(Exception):
    """Raised if the state of a quota was written in a newer format, which this version cannot read."""


class Lease:
    """The lease of one member (process): the fraction of the quota that the member can use, and its end. It also
    contains the needs and the calls per second from the member's last request.
    """

    __slots__ = ("needs", "rate", "seen", "share", "until")

    def __init__(self, share: float, until: float, seen: float, rate: float, needs: Iterable[Need]) -> None:
        self.share = share
        self.until = until
        self.seen = seen
        self.rate = rate
        self.needs = tuple(needs)

    @property
    def lacks(self) -> bool:
        """True if the member received less than it needs."""
        return self.share < SHORT * sum(need.need for need in self.needs)

    @property
    def interval(self) -> float:
        """The seconds between two renewals of this member."""
        if self.lacks:
            return OFTEN
        return min(SELDOM, max(OFTEN, CALLS / self.rate)) if self.rate > 0.0 else SELDOM


class Leases:
    """The leases of one quota: the fraction that each member can use, and until when. The argument `now` of all methods
    is a time of the store's clock, in seconds.

    If this clock is set back, leases do not become longer: the time continues from the latest time that this object has
    seen.
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
        self._late = 0.0  # the earliest end of the leases whose members are late, or 0 if no member is late
        self._leases: dict[str, Lease] = {}
        self._beliefs = Beliefs()
        self._gone = Gone()

    def renew(self, member: str, request: LeaseRequest, now: float) -> Grant:
        """Record the quota that `member` needs and return a new lease, which replaces its earlier lease."""
        now = self._advance(now)
        lease = self._leases.get(member)
        known = lease is not None and lease.until > now
        if lease is None:
            lease = self._leases[member] = Lease(self._gone.back(member), now, now, 0.0, ())
        new = not known and lease.share <= TOLERANCE
        lease.until, lease.seen, lease.rate, lease.needs = now + VALID, now, request.rate, request.whose
        self.reports[member] = request.report
        if not self._division.covers(lease.needs, now) or 0.0 < self._late <= now:
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
        self._leased += share - lease.share
        lease.share = share
        again = lease.interval
        if new or share < SHORT * (deserved - self._division.surplus):
            again = SOON
        elif lease.lacks and self._late:
            again = min(again, self._late - now + AFTER)
        self._beliefs.learn(request.limits)
        limits, gone, parts = self._beliefs.told(), self._gone.at(now), self._division.parts(lease.needs)
        return Grant(share, VALID, again, limits, self._members, gone, parts)

    def leave(self, member: str, now: float, report: str = "") -> None:
        """End the lease of `member` immediately, so that other members can use its fraction of the quota. `report` is
        the last report of `member`.
        """
        lease = self._leases.pop(member, None)
        if lease is not None or member in self._gone:
            now = self._advance(now)
            self._leased -= self._gone.left(member) if lease is None else lease.share
            self._gone.add(LEFT, [] if lease is None else uses_of(report or self.reports[member]), now)
            self.reports.pop(member, None)

    def look(self, now: float) -> View:
        """Return the members (processes) with a valid lease, and the shared estimates. This method changes nothing."""
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
        """The names of the members (processes) with a recorded lease. Some leases may have expired."""
        return frozenset(self._leases)

    def plain(self) -> dict[str, Any]:
        """Return all leases and uses, except for the members' reports, in a form that JSON can store."""
        return {
            "format": self._format,
            "members": self._members,
            "late": self._late,
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
        """Return the leases that `plain` contains. `plain` is a result of the method `Leases.plain`. Raises `TooNew` if
        its format is too new. Raises `LookupError`, `TypeError` or `ValueError` if it is damaged.
        """
        if not isinstance(plain, dict):
            raise TypeError(
                f"the quota store is damaged: it contains a {type(plain).__name__} instead of a JSON object"
            )
        kept = int(plain.get("format", 0))
        if kept > FORMAT + 1:
            raise TooNew(
                f"the stored quota data has format {kept}, but this version of aws-bedrock-inference reads only "
                f"formats up to {FORMAT + 1}"
            )
        leases = cls(0.0)
        for name in _NUMBERS:
            setattr(leases, f"_{name}", finite(plain[name]))
        leases._format = max(kept, FORMAT)
        leases._members = max(1, int(plain.get("members", 1)))
        leases._late = finite(plain.get("late", 0.0))
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
        for member in [member for member, lease in self._leases.items() if lease.until <= now]:
            self._lapse(member, self._leases.pop(member))
        kept = self._gone.kept(now)
        self._leased = kept + sum(lease.share for lease in self._leases.values())
        self._division.plan((lease.needs for lease in self._leases.values()), now, 1.0 - kept)
        self._members = len(self._leases)
        late = (lease.until for lease in self._leases.values() if lease.seen + lease.interval + SOON < now)
        self._late = min(late, default=0.0)

    def _lapse(self, member: str, lease: Lease) -> None:
        """Record the quota that a member used before its lease expired. The member's last report states the use until
        its last request. The use from this request until the end of the lease is unknown. For this time, assume that
        the member used all that the lease allowed.
        """
        self._gone.add(member, uses_of(self.reports[member]), lease.seen)
        self.reports.pop(member, None)
        part = lease.share * (lease.until - lease.seen) / MINUTE
        since = 0.0, part * self._beliefs.finite("requests"), part * self._beliefs.finite("tokens")
        self._gone.add(member, [since], lease.until)
        self._gone.keep(member, lease.share, sum(need.need for need in lease.needs), lease.seen)


def _whose(needs: Iterable[Iterable[Any]], tenants: Iterable[Any] | None) -> list[Need]:
    numbers = [(finite(priority), finite(need), finite(calls)) for priority, need, calls in needs]
    return [Need(*need, str(tenant)) for need, tenant in zip(numbers, tenants or repeat(""), strict=False)]
