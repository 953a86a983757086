"""The state of one quota, as the policy `Quota` stores it for each quota key (account, Region, model and
quota pool).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.policies.refusals import held, too_large

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.call import Route
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.policies.sharing import Membership
    from aws_bedrock_inference.rules.quota.ledger import Ledger

LEAST_USE = 1e-6
"""The smallest amount that counts as used, in tokens or requests. A smaller amount is a rounding error."""


class Pool:
    """The state of one quota.

    * `minute`: the configured or listed limit, in tokens per minute.
    * `largest`: a call of at most this size can always be admitted, in tokens. `refusal` decides about a larger one.
    * `first`: the estimated limits with which the quota started, before throttles changed them.
    * `held`: the name of the quota that AWS has set to 0, or an empty text.
    """

    __slots__ = ("burndown", "first", "held", "largest", "ledger", "member", "minute")

    def __init__(
        self, ledger: Ledger, member: Membership | None, *, held: str, minute: float, first: Mapping[str, float]
    ) -> None:
        self.first = first
        self.ledger = ledger
        self.burndown = ledger.window.burndown
        self.member = member
        self.held = held
        self.minute = minute
        self.largest = min(minute, ledger.day.limit)

    def refusal(self, tokens: float, route: Route) -> Fault | None:
        """Return the fault of a call that can never be admitted, or None if it can be admitted. A call can never be
        admitted if AWS has set its quota to 0, or if it needs more tokens than the quota of a minute or of a day.

        AWS can have increased the quota of a minute after the program read it. Therefore, if the estimated limit is
        higher than the limit that was read, the estimated limit is used.
        """
        if self.held:
            return held(str(route), self.held)
        minute = max(self.minute, self.ledger.window.tokens.estimate)
        largest = min(minute, self.ledger.day.limit)
        return too_large(tokens, largest, "minute" if largest == minute else "day") if tokens > largest else None

    def idle(self, now: float) -> bool:
        """Return True if this object can be deleted, because a new object would act in the same way.

        Otherwise return False. This object can be deleted if all of these conditions are true:

        * No call is in flight or waiting.
        * No recent use counts against the quota, and the daily quota is not exhausted.
        * The estimated limits, the concurrency limit and the burndown are still those of a new object.
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
