"""Estimate how many reserved tokens the calls in flight will refund.

A call reserves its `max_tokens`, and refunds what it did not use when it ends. Until then, its reservation hides free
quota. The limit of the minute applies to the use. Therefore reservations may exceed this limit by at most the expected
refunds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_bedrock_inference.rules.quota.slot import Slot

# The seconds in which the sums lose half of their weight, so that they follow a change of the calls within minutes.
HALF = 60.0


class Refunds:
    """The reservations of ended calls, and the unused part of them. Both are sums in which each call counts with its
    seconds in flight, because a long call is more often among the calls in flight.
    """

    __slots__ = ("reserved", "unused")

    def __init__(self) -> None:
        self.reserved = self.unused = 0.0

    def ended(self, seconds: float, reserved: float, unused: float) -> None:
        """Count a call that ended after `seconds` in flight. The call had reserved `reserved` tokens, and did not use
        `unused` of them.
        """
        self.reserved += seconds * reserved
        self.unused += seconds * unused

    def expected(self, slots: Iterable[Slot]) -> float:
        """Return the number of tokens that the calls in flight in `slots` (short parts of the minute) will probably
        refund.
        """
        if self.unused <= 0.0 or self.reserved <= 0.0:
            return 0.0
        return self.unused / self.reserved * sum(slot.reserved for slot in slots)

    def fade(self, seconds: float) -> None:
        """Reduce the weight of calls that ended earlier than `seconds` ago."""
        part = 0.5 ** (seconds / HALF)
        self.reserved *= part
        self.unused *= part
