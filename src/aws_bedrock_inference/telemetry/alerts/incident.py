"""One incident: what began, when and where, and all facts about the incident until its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

# The maximum number of names of one kind in an alert, because there can be thousands of tenants.
LISTED = 10


@dataclass(slots=True)
class Incident:
    """An incident that one rule found.

    `keys` contains an entry for each count that rose above its usual value. A time slot is
    ten seconds. For example, the entry [900, 60] means: the count was last too high in the 60 slots from 841 to 900,
    which a rule examined together.

    `cases` contains the number of failed attempts for each cause. If the incident is about refused or truncated
    answers, or about lost dead letters, `cases` contains their number. `letters` is the number of stored dead letters.

    `share` is the largest measured value during the incident, and `usual` is the usual value. If `unit` is empty, both
    are fractions, for example of all attempts. Otherwise, both are amounts in this unit.

    `start` is the beginning of the incident in seconds since the epoch. `opened` is the start of the time slot in which
    the rule found the incident. If the clock was set back, the stored time slots are ahead of the clock by one or more
    whole days. In this case, `opened` is ahead of the clock by the same number of days.
    """

    id: str
    rule: str
    cause: str
    kind: str
    start: float
    opened: float
    share: float = 0.0
    usual: float = 0.0
    unit: str = ""
    keys: dict[str, list[int]] = field(default_factory=dict)
    cases: dict[str, float] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    tenants: list[str] = field(default_factory=list)
    sample: dict[str, str] = field(default_factory=dict)
    letters: float = 0.0
    note: str = ""

    def rises(self, key: str, slot: int, window: int, share: float = 0.0) -> None:
        """Record that the count `key` is above its usual value in the time slot `slot`.

        `window` is the number of slots that were examined together. `share` is the value that was measured in these
        slots. If the incident has a unit, such as `dollars an hour`, `share` is an amount in this unit. Otherwise,
        `share` is a fraction.
        """
        self.keys[key] = [slot, window]
        self.share = max(self.share, share)

    def reaches(self, place: str, operations: list[str], tenants: list[str]) -> None:
        """Add the place `place` (a model in a Region) to the incident.

        Also add the operations and the tenants of the affected calls, such as the failed calls. Each list of the
        incident contains at most ten names.
        """
        for names, more in ((self.places, [place]), (self.operations, operations), (self.tenants, tenants)):
            names.extend([name for name in more if name and name not in names][: max(0, LISTED - len(names))])

    def is_over(self, slot: int, quiet: int) -> bool:
        """Return whether all counts of the incident were normal in the last `quiet` time slots, up to `slot`."""
        return all(slot - last >= quiet for last, _ in self.keys.values())

    def plain(self) -> dict[str, Any]:
        """Return the content as values that JSON can write. `Incident(**plain)` creates the incident again."""
        return asdict(self)
