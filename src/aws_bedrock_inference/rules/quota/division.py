"""The division of one quota among its members, as it was planned last, and the form in which it is kept.

Versions from before there were tenants read and write the same state. They know `levels` alone, where those are whose
calls name no tenant; what they plan has no `tenants`, and is planned anew by who knows them.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.rules.quota.fair_shares import divide, due, parts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from aws_bedrock_inference.rules.quota.fair_shares import Levels, Need

# The shares due to all members are computed again after this many seconds; the cost of a renewal in between does not
# depend on their number.
PLAN = 0.2


class Division:
    """A plan of what is due to whom, made at `at`. `surplus` is left over for each member, beyond its needs."""

    __slots__ = ("_levels", "at", "surplus")

    def __init__(self, at: float) -> None:
        self.at = at
        self._levels: Levels = {}
        self.surplus = 0.0

    def covers(self, needs: Collection[Need], now: float) -> bool:
        """Return whether the plan is new enough, and knows whose these needs are."""
        return now - self.at < PLAN and all(
            (need.priority, need.tenant) in self._levels for need in needs if need.need > 0.0
        )

    def plan(self, members: Iterable[Iterable[Need]], now: float, total: float) -> None:
        """Find what of `total` is due to all."""
        self._levels, self.surplus = divide(members, total)
        self.at = now

    def due(self, needs: Iterable[Need]) -> float:
        """Return the fraction that is due to a member with these needs."""
        return due(needs, self._levels, self.surplus)

    def parts(self, needs: Collection[Need]) -> tuple[float, ...]:
        """Return, for each need, which part of its tenant's calls this is; nothing where no tenant is named."""
        return parts(needs, self._levels) if any(need.tenant for need in needs) else ()

    def plain(self) -> dict[str, Any]:
        """Return the plan as JSON knows it."""
        levels = [(priority, tenant, *level) for (priority, tenant), level in self._levels.items()]
        return {
            "planned": self.at,
            "surplus": self.surplus,
            "levels": [(priority, level) for priority, tenant, level, _ in levels if not tenant],
            "tenants": {"planned": self.at, "levels": levels},
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return what `plain` made, without levels if another version planned last."""
        division = cls(finite(plain["planned"]))
        division.surplus = finite(plain["surplus"])
        known = plain.get("tenants", {})
        if known and known["planned"] == division.at:
            division._levels = {
                (finite(priority), str(tenant)): (finite(level), finite(calls))
                for priority, tenant, level, calls in known["levels"]
            }
        return division


def finite(value: Any) -> float:
    """Return `value` as a number. Raises `ValueError` if it is infinite or none."""
    number = float(value)
    if not isfinite(number):
        raise ValueError(f"{number} among the leases")
    return number
