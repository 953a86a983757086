"""The state of one quota that the policy `Quota` holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.policies.refusals import too_large

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.policies.sharing import Membership
    from aws_bedrock_inference.rules.quota.ledger import Ledger

LEAST_USE = 1e-6
"""The smallest use of a minute; below it is a rest of floating-point arithmetic."""


class Pool:
    """The state of one quota key. `minute` is the configured limit of tokens, `largest` the largest call that can ever
    be admitted; `first` are the limits from which learning starts.
    """

    __slots__ = ("burndown", "first", "held", "largest", "ledger", "member", "minute")

    def __init__(
        self, ledger: Ledger, member: Membership | None, *, held: bool, minute: float, first: Mapping[str, float]
    ) -> None:
        self.first = first
        self.ledger = ledger
        self.burndown = ledger.window.burndown
        self.member = member
        self.held = held
        self.minute = minute
        self.largest = min(minute, ledger.day.limit)

    def too_large(self, tokens: float) -> Fault:
        """Return the refusal of a call that no minute or no day has room for."""
        return too_large(tokens, self.largest, "minute" if self.largest == self.minute else "day")

    def idle(self, now: float) -> bool:
        """Return whether a new pool would act the same: no call is in flight, waits or counts, nothing is learned."""
        ledger = self.ledger
        taken = ledger.snapshot(now)
        if taken.in_flight or taken.waiting or any(used >= LEAST_USE for used in taken.used.values()):
            return False
        if ledger.day_exhausted(now):
            return False
        if self.burndown.learned:
            return False
        return taken.estimates == self.first and ledger.concurrency.most == ledger.concurrency.ceiling
