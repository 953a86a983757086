"""One incident: what began, when and where, and all facts about it until its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

# Names that an alert lists of one kind; there may be thousands of tenants.
LISTED = 10


@dataclass(slots=True)
class Incident:
    """An incident of one rule. `keys` are the counts that rose, each with the slot of its last rise and its window.
    `cases` counts failures by cause, `share` is the largest share or rate, and `usual` the usual one. The incident
    began at `start`, in seconds since the epoch, and was `opened` at a time of the book.
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
        """Record that `key` is above its usual value now."""
        self.keys[key] = [slot, window]
        self.share = max(self.share, share)

    def reaches(self, place: str, operations: list[str], tenants: list[str]) -> None:
        """Widen the scope."""
        for names, more in ((self.places, [place]), (self.operations, operations), (self.tenants, tenants)):
            names.extend([name for name in more if name and name not in names][: max(0, LISTED - len(names))])

    def is_over(self, slot: int, quiet: int) -> bool:
        """Return whether none of the counts has risen for `quiet` slots and for the length of its window."""
        return all(slot - last >= quiet for last, _ in self.keys.values())

    def plain(self) -> dict[str, Any]:
        """Return a value that `Incident(**plain)` can read."""
        return asdict(self)
