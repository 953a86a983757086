"""The latest division of one quota among its members, and the form in which a store saves the division.

Older versions of this package, which do not know tenants, can share the store with this version. Older versions read
and write only the field `levels`, which states the part of the quota for each call without a tenant. This version
writes `levels` and the field `tenants`, which states the part for each call, with or without a tenant. If an older
version has written the division, `tenants` is missing or belongs to an earlier division. This version then computes the
division again.
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
    """A division of one quota among its members (processes), computed at the time `at`. For each priority and tenant,
    the division states which part of the quota one call gets. `surplus` is the part of the quota that each member gets
    in addition. It does not depend on the calls of the member.
    """

    __slots__ = ("_levels", "at", "surplus")

    def __init__(self, at: float) -> None:
        self.at = at
        self._levels: Levels = {}
        self.surplus = 0.0

    def covers(self, needs: Collection[Need], now: float) -> bool:
        """Return True if the division can be used for the `needs` of one member; otherwise return False.

        A need is the part of the quota that the member's calls of one priority and tenant need. The division can be
        used if it is recent, and if it contains the priority and tenant of each need above 0.
        """
        return now - self.at < PLAN and all(
            (need.priority, need.tenant) in self._levels for need in needs if need.need > 0.0
        )

    def plan(self, members: Iterable[Iterable[Need]], now: float, total: float) -> None:
        """Divide the fraction `total` of the quota among `members`, and store the result in this object. `members`
        contains, for each member (process), the needs of its calls.
        """
        self._levels, self.surplus = divide(members, total)
        self.at = now

    def due(self, needs: Iterable[Need]) -> float:
        """Return the fraction of the quota that one member (a process) gets. `needs` are the needs of this member: for
        each priority and tenant, the fraction of the quota that the member's calls need.
        """
        return due(needs, self._levels, self.surplus)

    def parts(self, needs: Collection[Need]) -> tuple[float, ...]:
        """Return one fraction for each of the `needs` of a member (process), or an empty tuple if no need names a
        tenant.

        The fraction is the member's part of all calls that have the priority and tenant of the need. If 3 of 12 such
        calls are calls of this member, the fraction is 0.25.
        """
        return parts(needs, self._levels) if any(need.tenant for need in needs) else ()

    def plain(self) -> dict[str, Any]:
        """Return the division of the quota in a form that JSON can store."""
        levels = [(priority, tenant, *level) for (priority, tenant), level in self._levels.items()]
        return {
            "planned": self.at,
            "surplus": self.surplus,
            "levels": [(priority, level) for priority, tenant, level, _ in levels if not tenant],
            "tenants": {"planned": self.at, "levels": levels},
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return the division of the quota that `plain` contains.

        If `plain` was written by an older version of this package, which does not know tenants, the result contains no
        priority and no tenant. `covers` then returns False for all needs above 0, so the division is computed again.
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
        raise ValueError(f"the quota store is damaged: it contains the number {number}, which is not finite")
    return number
