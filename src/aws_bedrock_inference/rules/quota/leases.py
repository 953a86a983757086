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
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.rules.quota.beliefs import Beliefs
from aws_bedrock_inference.rules.quota.fair_shares import TOLERANCE, divide, due
from aws_bedrock_inference.rules.quota.gone import LEFT, Gone, uses_of
from aws_bedrock_inference.rules.quota.limit import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_bedrock_inference.rules.quota.fair_shares import Need
    from aws_bedrock_inference.rules.quota.gone import Use

# The shares due to all are computed again after this many seconds; a renewal in between costs the same for any number.
PLAN = 0.2

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

_NUMBERS = ("born", "at", "offset", "planned", "leased", "surplus")
REPORT = 16 * 1024  # of what a member says about itself, in characters


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """The data that a member sends at each renewal.

    `holding` is the fraction it is using now: its last grant, 0 when it is new or that lease has run out. `needs` are
    (priority, fraction of the quota, calls that want it); the smallest priority is served first. `limits` are
    (dimension, estimated limit a minute, stamp of the estimate that it is based on, whether a throttle has lowered it
    since). `rate` is its own calls a second. `report` is kept as given, for people to look at.
    """

    holding: float
    needs: tuple[Need, ...]
    limits: tuple[tuple[str, float, int, bool], ...] = ()
    report: str = ""
    rate: float = 0.0

    def __post_init__(self) -> None:
        numbers = [self.holding, self.rate, *(number for _, need, calls in self.needs for number in (need, calls))]
        if not all(0.0 <= number < inf for number in numbers) or not all(isfinite(first) for first, _, _ in self.needs):
            raise ValueError(f"holding, rate, needs and calls must be finite and not negative: {self!r}")
        if not all(limit > 0.0 for _, limit, _, _ in self.limits):
            raise ValueError(f"A limit must be above 0 (infinity when there is none): {self.limits!r}")
        if len(self.report) > REPORT:
            raise ValueError(f"The report has {len(self.report):,} characters; at most {REPORT:,} are kept")


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease of the fraction `share` for `valid` seconds, to be renewed after `again` seconds.

    Both times run from when the member asked, not from when it heard: then its lease ends no later than the store
    assumes. `limits` are (dimension, the estimate that all members share, its stamp). `members` is the number of
    members that the store knows. `gone` is what members that are gone used: it counts against the whole quota for so
    many seconds.
    """

    share: float
    valid: float
    again: float
    limits: tuple[tuple[str, float, int], ...]
    members: int = 1
    gone: tuple[Use, ...] = ()

    def __post_init__(self) -> None:
        # What comes from a store is checked here, once.
        sound = 0.0 <= self.share <= 1.0 + TOLERANCE and 0.0 < self.again <= self.valid < inf and self.members >= 1
        sound = sound and all(0.0 <= number < inf for use in self.gone for number in use)
        if not (sound and all(limit > 0.0 and stamp >= 0 for _, limit, stamp in self.limits)):
            raise ValueError(f"{self!r} makes no sense")


@dataclass(frozen=True, slots=True)
class Seen:
    """A member as others see it: its fraction, seconds since it last asked, its calls a second, its report."""

    member: str
    share: float
    age: float
    rate: float
    report: str


@dataclass(frozen=True, slots=True)
class View:
    """The members of a quota, by name, and their estimates of its limits: (dimension, units a minute, stamp)."""

    members: tuple[Seen, ...]
    limits: tuple[tuple[str, float, int], ...]


class TooNew(Exception):
    """The state of a quota was written in a format that is too new to be read here."""


class Lease:
    """The share that one member has, and the needs and rate of its last request."""

    __slots__ = ("needs", "rate", "seen", "share", "until")

    def __init__(self, share: float, until: float, seen: float, rate: float, needs: Iterable[Iterable[float]]) -> None:
        self.share = share
        self.until = until
        self.seen = seen
        self.rate = rate
        self.needs = tuple((priority, need, calls) for priority, need, calls in needs)


class Leases:
    """The leases of one quota. Every method takes `now`, seconds of the store's clock.

    A clock that is set back does not lengthen a lease: time goes on from where it was.
    """

    def __init__(self, born: float) -> None:
        self.reports: dict[str, str] = defaultdict(str)
        self._born = self._at = born
        self._offset = 0.0
        self._planned = born - 2 * PLAN
        self._rejoined = False
        self._members = 1
        self._format = FORMAT
        self._leased = 0.0
        self._surplus = 0.0
        self._levels: dict[float, float] = {}
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
        new = not known and lease.share == 0.0
        lease.until, lease.seen, lease.rate, lease.needs = now + VALID, now, request.rate, request.needs
        self.reports[member] = request.report
        if now - self._planned >= PLAN or any(
            need > 0.0 and priority not in self._levels for priority, need, _ in request.needs
        ):
            self._plan(now)
        deserved = due(request.needs, self._levels, self._surplus)
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
        soon = new or share < SHORT * (deserved - self._surplus)
        again = SOON if soon else min(SELDOM, max(OFTEN, CALLS / request.rate)) if request.rate > 0.0 else SELDOM
        self._leased += share - lease.share
        lease.share = share
        self._beliefs.learn(request.limits)
        return Grant(share, VALID, again, self._beliefs.told(), self._members, self._gone.at(now))

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
            "levels": list(self._levels.items()),
            "leases": {
                member: [lease.share, lease.until, lease.seen, lease.rate, lease.needs]
                for member, lease in self._leases.items()
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
            setattr(leases, f"_{name}", _finite(plain[name]))
        leases._format = max(kept, FORMAT)
        leases._members = max(1, int(plain.get("members", 1)))
        leases._rejoined = bool(plain["rejoined"])
        leases._levels = {_finite(priority): _finite(level) for priority, level in plain["levels"]}
        leases._leases = {
            member: Lease(
                _finite(share), _finite(until), _finite(seen), _finite(rate), [map(_finite, need) for need in needs]
            )
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
        self._levels, self._surplus = divide((lease.needs for lease in self._leases.values()), 1.0 - kept)
        self._members = len(self._leases)
        self._planned = now

    def _lapse(self, member: str, lease: Lease) -> None:
        """Count what a member used that fell silent, and what it may have used since it last asked."""
        self._gone.add(member, uses_of(self.reports[member]), lease.seen)
        self.reports.pop(member, None)
        part = lease.share * (lease.until - lease.seen) / MINUTE
        since = 0.0, part * self._beliefs.finite("requests"), part * self._beliefs.finite("tokens")
        self._gone.add(member, [since], lease.until)
        self._gone.keep(member, lease.share, sum(need for _, need, _ in lease.needs), lease.seen)


def _finite(value: Any) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError(f"{number} among the leases")
    return number
