"""The state of one quota of the policy `Quota`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.policies.refusals import too_large

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.policies.sharing import Membership
    from aws_bedrock_inference.rules.quota.ledger import Ledger

LEAST_USE = 1e-6
"""The smallest amount that counts as used, in tokens or requests. A smaller amount is a rounding error."""


class Pool:
    """The state of one quota key. `minute` is the configured limit of tokens per minute, and `largest` the size of the
    largest call that can ever be admitted. `first` contains the limits from which learning starts.
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
        """Return the refusal of a call that is larger than the quota of a minute or a day."""
        return too_large(tokens, self.largest, "minute" if self.largest == self.minute else "day")

    def idle(self, now: float) -> bool:
        """Return whether a new pool would act the same: no call is in flight, waiting or counted, and nothing has been
        learned.
        """
        ledger = self.ledger
        taken = ledger.snapshot(now)
        if taken.in_flight or taken.waiting or any(used >= LEAST_USE for used in taken.used.values()):
            return False
        if ledger.day_exhausted(now):
            return False
        if self.burndown.learned:
            return False
        return taken.estimates == self.first and ledger.concurrency.most == ledger.concurrency.ceiling
