"""The latest division of one quota among its members, and the form in which a store saves the division.

Versions of this package that do not know tenants can share the store with this version. They read and write only the
part of the quota for each call without a tenant (`levels`). A division that they have written contains no valid
`tenants`, so this version then computes the division again.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.rules.quota.fair_shares import divide, due, parts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from aws_bedrock_inference.rules.quota.fair_shares import Levels, Need

# The shares of all members are computed again after this many seconds. Between two computations, the cost of a renewal
# does not depend on the number of members.
PLAN = 0.2


class Division:
    """The plan of how a quota is divided among its members (processes). The plan was made at the time `at`. `levels`
    state the part of the quota for each call, by priority and tenant. `surplus` is the part that each member gets in
    addition to the quota that it needs.
    """

    __slots__ = ("_levels", "at", "surplus")

    def __init__(self, at: float) -> None:
        self.at = at
        self._levels: Levels = {}
        self.surplus = 0.0

    def covers(self, needs: Collection[Need], now: float) -> bool:
        """Return True if the plan is recent and contains all priorities and tenants of a member's `needs` (the quota
        that its calls need); otherwise return False.
        """
        return now - self.at < PLAN and all(
            (need.priority, need.tenant) in self._levels for need in needs if need.need > 0.0
        )

    def plan(self, members: Iterable[Iterable[Need]], now: float, total: float) -> None:
        """Divide the fraction `total` of the quota among `members`, and store this division as the plan."""
        self._levels, self.surplus = divide(members, total)
        self.at = now

    def due(self, needs: Iterable[Need]) -> float:
        """Return the fraction of the quota that a member (a process) gets whose calls need `needs`."""
        return due(needs, self._levels, self.surplus)

    def parts(self, needs: Collection[Need]) -> tuple[float, ...]:
        """Return, for each of a member's `needs` (for one priority and tenant), the number of its calls as a fraction
        of all calls of this tenant. Return an empty tuple if no need names a tenant.
        """
        return parts(needs, self._levels) if any(need.tenant for need in needs) else ()

    def plain(self) -> dict[str, Any]:
        """Return the plan (the division of the quota) in a form that JSON can store."""
        levels = [(priority, tenant, *level) for (priority, tenant), level in self._levels.items()]
        return {
            "planned": self.at,
            "surplus": self.surplus,
            "levels": [(priority, level) for priority, tenant, level, _ in levels if not tenant],
            "tenants": {"planned": self.at, "levels": levels},
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return the plan (the division of the quota) that `plain` contains. If a version of this package that does not
        know tenants wrote the plan, the returned plan has no parts for calls, and a new plan is needed.
        """
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
    """Return `value` as a float. Raises `ValueError` if the number is not finite."""
    number = float(value)
    if not isfinite(number):
        raise ValueError(f"{number} is not a finite number")
    return number
