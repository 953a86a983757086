"""A short part of the minute that is counted."""

from __future__ import annotations

# The minute is counted in slots of this many seconds. A slot leaves it as a whole, LAG after its last call would: by
# then the service has counted even a call that travelled slowly.
SLOT = 0.05
LAG = 0.03


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
