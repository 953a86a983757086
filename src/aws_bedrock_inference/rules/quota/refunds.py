"""Estimate how many reserved tokens the calls in flight will refund.

A call reserves its `max_tokens`. When it ends, it refunds the tokens that it did not use. If the service accepts
reservations beyond the limit of the minute, calls can reserve more than the limit, by at most the expected refunds. For
example, the limit is 100,000 tokens, and the calls in flight will refund 30,000. Calls can then reserve 130,000 tokens,
of which they use 100,000.

The estimate must not be too high after a program has changed `max_tokens` or the length of its answers. Therefore two
estimates are computed, and the lower one is used. The first assumes that the calls in flight refund the same fraction
of their reservations as earlier calls. The second assumes that they use as many tokens per call as earlier calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.limit import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_bedrock_inference.rules.quota.slot import Slot

# The seconds in which the sums lose half of their weight, so that they follow a change of the calls within minutes.
HALF = 60.0


class Refunds:
    """Sums over the calls that have ended: their number, their reservations, and the unused part of the reservations.

    The sums predict the refunds of the calls in flight. Short calls end soon, so most calls in flight are long calls.
    Therefore long calls must count more in the sums. Each call is added as many times as the seconds that it took, but
    at most 60 times. For example, a call of 20 seconds counts as 20 calls, and a call of 100 seconds as 60. The seconds
    start at the end of the call's slot. A slot is a period of 0.05 seconds, whose calls are recorded together.
    """

    __slots__ = ("calls", "reserved", "unused")

    def __init__(self) -> None:
        self.calls = self.reserved = self.unused = 0.0

    def ended(self, seconds: float, reserved: float, unused: float) -> None:
        """Count a call that had reserved `reserved` tokens, and did not use `unused` of these tokens. The call ended
        `seconds` after the end of the slot in which it was admitted. A slot is a period of 0.05 seconds.
        """
        seconds = min(max(seconds, 0.0), MINUTE)
        self.calls += seconds
        self.reserved += seconds * reserved
        self.unused += seconds * unused

    def expected(self, slots: Iterable[Slot]) -> float:
        """Return the number of tokens that the calls in flight in `slots` (periods of 0.05 seconds) will probably
        refund.
        """
        if self.unused <= 0.0:
            return 0.0
        calls = reserved = 0.0
        for slot in slots:
            calls += slot.in_flight
            reserved += slot.reserved
        used = max((1.0 - self.unused / self.reserved) * reserved, (self.reserved - self.unused) / self.calls * calls)
        return max(0.0, reserved - used)

    def fade(self, seconds: float) -> None:
        """Reduce the weight of the calls that have ended, because `seconds` have passed. The weight halves in 60
        seconds, so recent calls count most.
        """
        part = 0.5 ** (seconds / HALF)
        self.calls *= part
        self.reserved *= part
        self.unused *= part
