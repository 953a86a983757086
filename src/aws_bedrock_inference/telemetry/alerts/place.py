"""The stored counts of one place (a model in a Region), of one cause at a place, and of one quota."""

from __future__ import annotations

from typing import Any, Self

from aws_bedrock_inference.telemetry.alerts.history import A_DAY, Flow, Ring, Share

# The maximum number of stored names of one kind.
NAMED = 20

# With each time slot of ten seconds, a tenant's earlier spending is multiplied by this factor. Spending of more than
# about ten minutes ago then has little weight.
_KEPT = 0.98

MILLION = 1_000_000
"""The factor from dollars to the unit in which they are counted: whole millionths of a dollar."""


class Place:
    """The counts of one place (a model in a Region) in the last minutes: attempts, answers, dead letters, and spending.

    The spending is in dollars, or in tokens if the price is unknown. `spenders` contains the recent spending of each
    tenant.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.attempts, self.answers = Ring(), Ring()
        self.spend, self.tokens, self.letters = Flow(), Flow(), Flow()
        self.spenders: dict[str, int] = {}

    def spent(self, slot: int, tenant: str, tokens: int, cost: float | None) -> None:
        """Add the cost of calls to the spending of the place and of the tenant. If `cost` is None, the cost is unknown:
        add `tokens` instead.
        """
        amount = tokens if cost is None else round(cost * MILLION)
        (self.tokens if cost is None else self.spend).recent.add(slot, amount)
        if tenant in self.spenders or len(self.spenders) < NAMED:
            self.spenders[tenant] = self.spenders.get(tenant, 0) + amount

    def largest(self) -> list[str]:
        """Return the three tenants with the highest recent spending, the highest first."""
        return sorted(filter(None, self.spenders), key=lambda name: -self.spenders[name])[:3]

    def leave(self, slot: int) -> None:
        """Remove a time slot from the recent counts.

        Before this call, the caller must add the counts of the slot to the long-term values (the usual value and the
        daily pattern).
        """
        self.attempts.pop(slot, None)
        self.answers.pop(slot, None)
        self.spenders = {name: int(part * _KEPT) for name, part in self.spenders.items() if part}

    def plain(self) -> list[Any]:
        """Return the content as values that JSON can write. `of` creates the object again from them."""
        rings, flows = (self.attempts, self.answers), (self.spend, self.tokens, self.letters)
        return [self.seen, self.spenders, *(ring.plain() for ring in rings), *(flow.plain() for flow in flows)]

    @classmethod
    def of(cls, plain: list[Any]) -> Self:
        """Create the object from the values that its method `plain` returned."""
        made = cls()
        made.seen, made.spenders, attempts, answers, spend, tokens, letters = plain
        made.attempts, made.answers = Ring.of(attempts), Ring.of(answers)
        made.spend, made.tokens, made.letters = Flow.of(spend), Flow.of(tokens), Flow.of(letters)
        return made


class Cause:
    """The counts of one cause of failures at a place (a model in a Region).

    If `kind` is `stop`, the cause is `refused` or `truncated`, and answers are counted instead of failures.
    `operations` and `tenants` contain the operations and tenants of the counted calls, each with the time slot of its
    last call. `sample` is the last failure. `over` is the time slot in which the last incident with this cause ended.
    """

    def __init__(self, name: str, place: str, kind: str) -> None:
        self.name, self.place, self.kind = name, place, kind
        self.seen = self.over = 0
        self.share = Share()
        self.operations: dict[str, int] = {}
        self.tenants: dict[str, int] = {}
        self.sample: dict[str, str] = {}

    def meets(self, slot: int, count: int, operation: str, tenant: str) -> None:
        """Add `count` failures or answers to the time slot `slot`, and store the operation and tenant of the calls."""
        self.seen = slot
        self.share.recent.add(slot, count)
        for names, name in ((self.operations, operation), (self.tenants, tenant)):
            if name in names or len(names) < NAMED:
                names[name] = slot
            else:
                del names[min(names, key=names.__getitem__)]
                names[name] = slot

    def plain(self) -> list[Any]:
        """Return the content as values that JSON can write. `of` creates the object again from them."""
        own = [self.name, self.place, self.kind, self.seen, self.over, self.operations, self.tenants, self.sample]
        return [*own, self.share.plain()]

    @classmethod
    def of(cls, plain: list[Any]) -> Self:
        """Create the object from the values that its method `plain` returned."""
        name, place, kind, seen, over, operations, tenants, sample, share = plain
        made = cls(name, place, kind)
        made.seen, made.over, made.operations, made.tenants, made.sample = seen, over, operations, tenants, sample
        made.share = Share.of(share)
        return made


class Quota:
    """The use of one quota in the last minutes by all processes, and its limits per minute."""

    def __init__(self) -> None:
        self.seen = 0
        self.requests, self.tokens = Ring(), Ring()
        self.rpm: float | None = None
        self.tpm: float | None = None

    def plain(self) -> list[Any]:
        """Return the content as values that JSON can write. `of` creates the object again from them."""
        return [self.seen, self.requests.plain(), self.tokens.plain(), self.rpm, self.tpm]

    @classmethod
    def of(cls, plain: list[Any]) -> Self:
        """Create the object from the values that its method `plain` returned."""
        made = cls()
        made.seen, requests, tokens, made.rpm, made.tpm = plain
        made.requests, made.tokens = Ring.of(requests), Ring.of(tokens)
        return made


class Day:
    """The daily tokens of one account in one Region, for all models and processes. The day begins at midnight UTC."""

    def __init__(self, day: int, used: int = 0, limit: float | None = None) -> None:
        self.day, self.used, self.limit = day, used, limit

    def add(self, slot: int, tokens: int, limit: float | None) -> None:
        """Add tokens that were used in the time slot `slot`. `limit` is the daily quota, or None if it is unknown."""
        if slot // A_DAY != self.day:
            self.day, self.used = slot // A_DAY, 0
        self.used += tokens
        self.limit = limit or self.limit

    def plain(self) -> list[Any]:
        """Return the content as values that JSON can write. `Day(*plain)` creates the object again."""
        return [self.day, self.used, self.limit]
