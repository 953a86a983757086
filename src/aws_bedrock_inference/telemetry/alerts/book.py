"""The book: the state that a store contains for a service. It contains the counts of all processes, and the incidents.

This code is pure: it uses no store, no clock and no thread. The caller reads the book from the store, adds reports to
the book, looks for signs of trouble, and writes the book back. The size of the book is limited, because the numbers of
its places, causes, quotas and incidents are limited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from aws_bedrock_inference.bounds import hashed
from aws_bedrock_inference.telemetry.alerts.history import A_DAY, RECENT, SLOT
from aws_bedrock_inference.telemetry.alerts.incident import Incident
from aws_bedrock_inference.telemetry.alerts.place import Cause, Day, Place, Quota
from aws_bedrock_inference.telemetry.alerts.signs import Sign, signs

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.telemetry.alerts.report import Report

T = TypeVar("T")

# The maximum number of entries of each kind, and of open incidents. The entry seen longest ago is dropped first.
MOST_PLACES = 200
MOST_CAUSES = 500
MOST_OPEN = 100

# A clock can go back by at most this number of time slots without effect, because the clocks of processes differ by a
# few seconds.
SKEW = 6

# A place (a model in a Region) is new for this number of time slots, which is two hours. In this time, open incidents
# also change its usual values.
YOUNG = 720

# Numbers of time slots; 30 slots are five minutes. An incident ends after QUIET slots without a rise. Other signs of
# trouble can join an incident for JOINS slots after its beginning.
QUIET = 30
JOINS = 30

# The rules about failures. One incident of such a rule can include several causes and several places.
_FAILING = frozenset({"new", "failures"})

# The rules for which signs of trouble at several places usually have one reason, such as more work or a changed prompt.
# The rules about quotas are not included, because each quota is a separate incident.
_ALIKE = frozenset({"spend", "stops"})


class Book:
    """The counts of all processes, in time slots of ten seconds, and the incidents.

    `slot` is the last slot that was examined. `fresh` contains the causes that were reported for the first time after
    the last examination. It contains only causes that raise an alert at their first failure: permanent causes, and the
    loss of dead letters.

    The numbers of the slots never decrease, even if the clock is set back. In this case, the book adds `ahead` slots to
    the time of the clock. `ahead` is always a number of whole days (8,640 slots each), so that the time of day stays
    correct. The daily pattern depends on the time of day.
    """

    def __init__(self) -> None:
        self.slot = self.ahead = 0
        self.places: dict[str, Place] = {}
        self.causes: dict[str, Cause] = {}
        self.quotas: dict[str, Quota] = {}
        self.days: dict[str, Day] = {}
        self.incidents: dict[str, Incident] = {}
        self.fresh: set[str] = set()

    def add(self, report: Report, at: float) -> None:
        """Add the counts of `report`, which arrived at the time `at` (in seconds since the epoch)."""
        slot = self._slot(at)
        for answers in report.answers:
            place = self._place(answers.place, slot)
            place.attempts.add(slot, answers.number)
            place.answers.add(slot, answers.number)
            place.spent(slot, answers.tenant, answers.tokens, answers.cost)
            for name, count in (("refused", answers.refused), ("truncated", answers.truncated)):
                if count:
                    cause = self._cause(name, answers.place, "stop", slot)
                    self._count(cause, slot, count, answers.operation, answers.tenant)
        for failed in report.failures:
            self._place(failed.place, slot).attempts.add(slot, failed.number)
            cause = self._cause(failed.cause, failed.place, failed.kind, slot)
            self._count(cause, slot, failed.number, failed.operation, failed.tenant)
            cause.sample = {name: getattr(failed, name) for name in ("code", "request_id", "message", "advice")}
        for letters in report.letters:
            self._place(letters.place, slot).letters.recent.add(slot, letters.kept)
            for incident in self.incidents.values():
                incident.letters += letters.kept if letters.place in incident.places else 0
            if letters.lost:
                self._count(self._cause("letters-lost", letters.place, "lost", slot), slot, letters.lost)
        for use in report.uses:
            self._use(use, slot)

    def evaluate(self, now: float) -> list[tuple[Incident, bool]]:
        """Return the incidents that began or ended since the previous call.

        The result is a list of pairs. The second element of a pair is False if the incident began, and True if the
        incident ended. `now` is the current time in seconds since the epoch.
        """
        slot = self._slot(now)
        self._learn(slot)
        began = []
        for sign in signs(self, slot):
            incident = self._opened(sign, slot) if sign.opens else None
            if incident is not None:
                began.append((incident, False))
            for each in self.incidents.values():
                known = each.keys.get(sign.key)
                if known is not None and sign.window <= known[1]:
                    each.rises(sign.key, slot, known[1], sign.share)
        self.fresh.clear()
        over = [each for each in self.incidents.values() if each.is_over(slot, QUIET)]
        for each in over:
            del self.incidents[each.id]
            for key in each.keys.keys() & self.causes.keys():
                self.causes[key].over = slot
        return [*began, *((each, True) for each in over)]

    def _slot(self, at: float) -> int:
        """Return the number of the time slot that contains the time `at`.

        The result is never smaller than the number of the last examined slot. If `at` is more than a minute before that
        slot, the clock was set back. In this case, first increase `ahead` (see `Book`).
        """
        slot = int(at // SLOT)
        behind = self.slot - SKEW - (slot + self.ahead)
        if behind > 0:
            self.ahead += -(-behind // A_DAY) * A_DAY
        return max(slot + self.ahead, self.slot)

    def _opened(self, sign: Sign, slot: int) -> Incident | None:
        """Return a new incident that begins with `sign`, a sign of trouble.

        Return None if `sign` belongs to an open incident, or if too many incidents are open.
        """
        if any(sign.key in each.keys for each in self.incidents.values()):
            return None
        cause = self.causes.get(sign.key)
        kind = cause.kind if cause is not None else ""
        open_one = next((each for each in self.incidents.values() if self._joins(sign, kind, each, slot)), None)
        incident = open_one
        if incident is None:
            if len(self.incidents) >= MOST_OPEN:
                return None
            name = hashed(f"{sign.key} {slot}")
            start = (sign.since - self.ahead) * SLOT
            incident = Incident(name, sign.rule, sign.cause, kind, start, slot * SLOT, unit=sign.unit, note=sign.note)
            incident.usual = sign.usual
            incident.sample = dict(cause.sample) if cause is not None else {}
            self.incidents[name] = incident
        incident.rises(sign.key, slot, sign.window, sign.share)
        self._widen(incident, sign, cause)
        return incident if open_one is None else None

    def _joins(self, sign: Sign, kind: str, incident: Incident, slot: int) -> bool:
        """Return whether `sign`, a sign of trouble, belongs to the open `incident`.

        A place is a model in a Region. `kind` is the kind of failure that the sign reports: `permanent`, `transient` or
        `refusal`. A refusal is a call that this package refused because of earlier failures.

        These signs belong to an incident during its first five minutes:

        * A sign of failures with a cause that the incident already contains, for example throttling at another place.
        * A sign of another transient cause at a place of the incident, if the incident is about transient failures or
          refusals.
        * A sign of refused answers, if the incident is about refused answers. The same applies to truncated answers and
          to spending.

        If an incident is about failures, these signs at its places belong to it at any time:

        * A sign of the kind `refusal`.
        * A sign of dead letters.
        """
        early = slot - incident.opened / SLOT <= JOINS
        here = sign.place in incident.places
        if sign.rule == "letters":
            return here and incident.rule in _FAILING
        if sign.rule not in _FAILING or incident.rule not in _FAILING:
            return early and sign.rule in _ALIKE and (sign.rule, sign.cause) == (incident.rule, incident.cause)
        if kind == "refusal" and here:
            return True
        return early and (sign.cause in incident.cases or (here and "permanent" not in (kind, incident.kind)))

    def _widen(self, incident: Incident, sign: Sign, cause: Cause | None) -> None:
        """Add the place, the cause and the counts of `sign` to the incident. Counts that the incident already contains
        are not added again (see `_count`).
        """
        operations = tenants = list[str]()
        new = sign.place not in incident.places
        place = self.places.get(sign.place)  # a sign about a quota can have a place without calls
        if new and place is not None:
            incident.letters += place.letters.recent.last(self.slot, self.slot - sign.since + 1)
        if cause is not None:
            if new or cause.name not in incident.cases:
                cases = cause.share.recent.last(self.slot, sign.window)
                incident.cases[cause.name] = incident.cases.get(cause.name, 0) + cases
            operations, tenants = (
                [name for name, seen in names.items() if seen >= sign.since]
                for names in (cause.operations, cause.tenants)
            )
        incident.reaches(sign.place, operations, tenants or list(sign.tenants))

    def _count(self, cause: Cause, slot: int, count: int, operation: str = "", tenant: str = "") -> None:
        """Add `count` events to `cause`, and to each open incident that contains this cause and its place."""
        cause.meets(slot, count, operation, tenant)
        for incident in self.incidents.values():
            if cause.name in incident.cases and cause.place in incident.places:
                incident.cases[cause.name] += count

    def _learn(self, slot: int) -> None:
        """Move the counts of time slots that are older than ten minutes to the long-term values (the usual value and
        the daily pattern).
        """
        if not self.slot:
            self.slot = slot
        first, last = self.slot - RECENT + 1, min(self.slot, slot - RECENT)  # nothing was counted after self.slot
        held = {
            key for each in self.incidents.values() if slot * SLOT - each.opened < A_DAY * SLOT for key in each.keys
        }
        for leaving in range(first, last + 1):
            for key, cause in self.causes.items():
                place = self.places[cause.place]
                of = place.answers if cause.kind == "stop" else place.attempts
                usual = key not in held or place.spend.learned < YOUNG
                cause.share.learn(leaving, of.get(leaving, 0), usual=usual)
            for name, place in self.places.items():
                for key, flow in (("spend|dollars an hour", place.spend), ("spend|tokens an hour", place.tokens)):
                    flow.learn(leaving, usual=f"{key}|{name}" not in held)
                place.letters.learn(leaving, usual=f"letters|an hour|{name}" not in held)
                place.leave(leaving)
            for quota in self.quotas.values():
                quota.requests.pop(leaving, None)
                quota.tokens.pop(leaving, None)
        self.slot = slot

    def _place(self, name: str, slot: int) -> Place:
        if name not in self.places and len(self.places) >= MOST_PLACES:
            oldest = min(self.places, key=lambda each: self.places[each].seen)
            del self.places[oldest]
            self.causes = {key: cause for key, cause in self.causes.items() if cause.place != oldest}
        place = self.places.setdefault(name, Place())
        place.seen = slot
        return place

    def _cause(self, name: str, place: str, kind: str, slot: int) -> Cause:
        key = f"{name}|{place}"
        new = key not in self.causes
        self._place(place, slot)
        cause = _kept(self.causes, key, lambda: Cause(name, place, kind), MOST_CAUSES)
        cause.seen = slot
        if new and kind in ("permanent", "lost"):
            self.fresh.add(key)
        return cause

    def _use(self, use: Any, slot: int) -> None:
        account, region, _, _ = use.quota.split("|")
        quota = _kept(self.quotas, use.quota, Quota, MOST_PLACES)
        quota.seen = slot
        quota.requests.add(slot, use.requests)
        quota.tokens.add(slot, use.tokens)
        quota.rpm, quota.tpm = use.rpm or quota.rpm, use.tpm or quota.tpm
        if f"{account}|{region}" in self.days or len(self.days) < MOST_PLACES:
            day = self.days.setdefault(f"{account}|{region}", Day(slot // A_DAY))
            day.add(slot, use.tokens, use.tpd)

    def plain(self) -> list[Any]:
        """Return the book (counts and incidents) as values that JSON can write. `of` creates the book again."""
        kinds = (self.places, self.causes, self.quotas, self.days, self.incidents)
        return [self.slot, self.ahead, *({name: each.plain() for name, each in kind.items()} for kind in kinds)]

    @classmethod
    def of(cls, plain: list[Any]) -> Self:
        """Create the book (counts and incidents) from the values that its method `plain` returned."""
        book = cls()
        book.slot, book.ahead, places, causes, quotas, days, incidents = plain
        book.places = {name: Place.of(each) for name, each in places.items()}
        book.causes = {name: Cause.of(each) for name, each in causes.items()}
        book.quotas = {name: Quota.of(each) for name, each in quotas.items()}
        book.days = {name: Day(*each) for name, each in days.items()}
        book.incidents = {name: Incident(**each) for name, each in incidents.items()}
        return book


def _kept(kept: dict[str, T], name: str, make: Callable[[], T], most: int) -> T:
    """Return the entry `name` of the dictionary `kept`. If it does not exist, create it with `make`.

    If `kept` already has `most` entries, first remove the entry whose last use is the oldest.
    """
    found = kept.get(name)
    if found is None:
        if len(kept) >= most:
            del kept[min(kept, key=lambda each: kept[each].seen)]  # type: ignore[attr-defined]
        found = kept[name] = make()
    return found
