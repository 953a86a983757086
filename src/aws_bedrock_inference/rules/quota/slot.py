"""Slots, which are short parts of the minute, and the pace (the rate of the next calls). The pace is computed from the
use in the slots.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.limit import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable

# The length of a slot in seconds. All calls of a slot stop counting at the same time: LAG seconds after the last of
# them is a minute old. By then, the service has also counted calls that were slow on the network.
SLOT = 0.05
LAG = 0.03

# Slots that end within this many seconds do not lower the pace, because calls are uneven within this time anyway.
SOON = 5.0

# Slots that end later than this, in seconds, do not lower the pace either: they would reserve room for a whole minute.
AHEAD = 30.0

# A wait as long as this many calls need at the normal rate does not lower the pace either.
GRAIN = 5.0


class Slot:
    """The tokens and requests that were admitted in a short part of the minute.

    * `alive`: True while the slot counts against the quota.
    * `in_flight`: the number of calls of the slot that have not ended.
    * `reserved`: the number of tokens that these calls have reserved.
    * `forks`: identifies the process that created the slot, because a forked child must not settle the calls of its
      parent.
    """

    __slots__ = ("alive", "end", "forks", "in_flight", "requests", "reserved", "tokens")

    def __init__(self, end: float, forks: int = 0) -> None:
        self.end = end
        self.forks = forks
        self.tokens = self.reserved = 0.0
        self.in_flight = 0
        self.requests = 0.0
        self.alive = True


def pace(slots: Iterable[Slot], name: str, room: float, now: float) -> float:
    """Return the pace of the next calls, in units (requests or tokens) per second: the highest rate at which calls need
    not stop. Calls use the free units (`room`). Further units become free only when older calls are a minute old. At a
    higher pace, calls would use `room` too early, and would stop and start again in each minute.
    """
    found = inf
    for slot in slots:
        ahead = slot.end + MINUTE + LAG - now
        if ahead > AHEAD:
            break
        if ahead > SOON and room < found * ahead:
            found = max(0.0, room / ahead)
        room += getattr(slot, name)
    return found
