"""One incident: what began when, where, and what is known of it until its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

# Names that an alert lists of one kind; there may be thousands of tenants.
LISTED = 10


@dataclass(slots=True)
class Incident:
    """An incident of one of the rules. `keys` are what rose, each with the slot in which it last did and the window in
    which it is watched. `cases` counts failures by cause, `share` is the largest share or rate, `usual` the usual one.
    It began at `start`, in seconds since the epoch, and was `opened` by the time of the book.
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
        """Record that `key` is above what is usual now."""
        self.keys[key] = [slot, window]
        self.share = max(self.share, share)

    def reaches(self, place: str, operations: list[str], tenants: list[str]) -> None:
        """Widen the scope."""
        for names, more in ((self.places, [place]), (self.operations, operations), (self.tenants, tenants)):
            names.extend([name for name in more if name and name not in names][: max(0, LISTED - len(names))])

    def is_over(self, slot: int, quiet: int) -> bool:
        """Return whether nothing of it has risen for `quiet` slots, and for as long as it is watched."""
        return all(slot - last >= quiet for last, _ in self.keys.values())

    def plain(self) -> dict[str, Any]:
        """Return what `Incident(**plain)` reads."""
        return asdict(self)
