"""A short part of the minute that is counted, and the pace at which it ends."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.limit import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable

# The minute is counted in slots of this many seconds. A slot leaves it as a whole, LAG after its last call would: by
# then the service has counted even a call that travelled slowly.
SLOT = 0.05
LAG = 0.03

# Ends nearer than this are no reason to slow down: within it, calls are uneven anyway.
SOON = 5.0

# Nor is what ends later than this: it would keep room free for a minute.
AHEAD = 30.0

# Nor is a gap of so many calls a reason.
GRAIN = 5.0


class Slot:
    """The tokens and requests admitted in a short part of the minute; they count as long as it is `alive`. What is
    reserved in an `inherited` slot is settled by the parent of a forked process.
    """

    __slots__ = ("alive", "end", "inherited", "requests", "tokens")

    def __init__(self, end: float) -> None:
        self.end = end
        self.tokens = 0.0
        self.requests = 0.0
        self.alive = True
        self.inherited = False


def pace(slots: Iterable[Slot], name: str, room: float, now: float) -> float:
    """Return the highest pace, in units a second, at which `room` and what ends soon are enough until later slots end,
    so that a burst is not followed by a halt when it is about to leave the minute, and again each minute after.
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
