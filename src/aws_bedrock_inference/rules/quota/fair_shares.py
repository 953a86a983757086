"""Compute which fraction of a shared quota each member (a process) gets: its share. The share depends on the needs of
the member's calls. A need is the fraction of the quota that the calls of one priority and tenant need.

The smallest priority number is served first. However, a small part of the quota is guaranteed to every priority.
Within one priority, all needs are met if the quota is sufficient. Otherwise each tenant gets the same part of the
quota, but no tenant gets more than it needs. It makes no difference whether a tenant has calls in one member or in
several. The part of a tenant is divided equally among its calls. Quota that no call needs is divided equally among the
members, except for a part that stays free for new members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

# A member reports some of its tenants only as a group with this name. The `calls` of a group are the number of its
# tenants. No tenant can have this name, because it is a line break.
OTHERS = "\n"


class Need(NamedTuple):
    """The fraction of the quota that a member (a process) needs for its calls of one priority and tenant, and the
    number of these calls.
    """

    priority: float
    need: float
    calls: float
    tenant: str = ""


Levels: TypeAlias = "dict[tuple[float, str], tuple[float, float]]"
"""For each priority and tenant: the part of the quota for each call, and the number of calls of all members
(processes).
"""

# The part of the quota that is guaranteed to each lower priority that has needs, and the maximum for all of them
# together.
GUARANTEED = 0.05
GUARANTEED_TO_ALL = 0.5

# The part of the quota that stays free for new members, if no present member needs it.
FREE = 0.1

# The least weight of a need, also if it has fewer calls than this.
FEWEST = 0.01

# A tolerance for rounding errors: needs that exceed the available quota by less than this still fit.
TOLERANCE = 1e-9

# This number replaces infinity, which JSON and Lua cannot represent.
UNLIMITED = 1e300


def divide(members: Iterable[Iterable[Need]], total: float = 1.0) -> tuple[Levels, float]:
    """Divide the fraction `total` of a quota among `members`. `members` contains, for each member (process), the needs
    of its calls. A need is the fraction of the quota that the member's calls of one priority and tenant need.

    Return two values: the levels and the surplus. For each priority and tenant, the levels state which part of the
    quota one call gets, and how many calls there are. The surplus is the part that each member gets in addition.
    """
    wants: dict[float, dict[str, list[tuple[float, float]]]] = {}
    count = 0
    for needs in members:
        count += 1
        for priority, need, calls, tenant in needs:
            if need > 0.0:
                wants.setdefault(priority, {}).setdefault(tenant, []).append((need, max(calls, FEWEST)))
    order = sorted(wants)
    wanted = {priority: [_Wanted.of(*item) for item in wants[priority].items()] for priority in order}
    each = min(GUARANTEED, GUARANTEED_TO_ALL / max(1, len(order) - 1))
    kept = {priority: min(each, sum(want.need for want in wanted[priority])) for priority in order[1:]}
    left, reserved = total, sum(kept.values())
    levels: Levels = {}
    for priority in order:
        reserved -= kept.get(priority, 0.0)
        turn, served = _level([(want.need, want.turns) for want in wanted[priority]], max(0.0, left - reserved))
        for want in wanted[priority]:
            level = _level(wants[priority][want.tenant], turn * want.turns)[0] if turn < UNLIMITED else UNLIMITED
            levels[priority, want.tenant] = level, want.calls
        left -= served
    return levels, max(0.0, left - FREE) / max(1, count)


def due(needs: Iterable[Need], levels: Levels, surplus: float) -> float:
    """Return the fraction of the quota that a member (a process) gets. `needs` are the fractions of the quota that the
    member's calls need, by priority and tenant. `levels` and `surplus` are the two results of `divide`.
    """
    return surplus + sum(
        min(need, levels[priority, tenant][0] * max(calls, FEWEST))
        for priority, need, calls, tenant in needs
        if need > 0.0
    )


def parts(needs: Iterable[Need], levels: Levels) -> tuple[float, ...]:
    """Return one fraction for each of the `needs` of a member (process). `levels` is the first result of `divide`.

    The fraction is the member's part of all calls that have the priority and tenant of the need. If 3 of 12 such
    calls are calls of this member, the fraction is 0.25.
    """
    return tuple(
        min(1.0, max(need.calls, FEWEST) / levels[need.priority, need.tenant][1]) if need.need > 0.0 else 1.0
        for need in needs
    )


class _Wanted(NamedTuple):
    """The sum of the needs of all members (processes) for one tenant, at one priority.

    Instead of one tenant, the object can represent a group of tenants (`OTHERS`). `turns` is the number of tenants in
    the group, or 1 for one tenant. If the quota is not sufficient, a group gets at most the part of one tenant
    multiplied by `turns`.
    """

    tenant: str
    need: float
    calls: float
    turns: float

    @classmethod
    def of(cls, tenant: str, wants: list[tuple[float, float]]) -> _Wanted:
        need, calls = sum(need for need, _ in wants), sum(calls for _, calls in wants)
        return cls(tenant, need, calls, calls if tenant == OTHERS else 1.0)


def _level(wants: list[tuple[float, float]], left: float) -> tuple[float, float]:
    """Divide the part `left` of the quota among `wants`. Each of them is a pair (need, weight). The weight is a number
    of calls or of tenants.

    Return the level and the sum of the parts that the pairs get. Each pair gets the level multiplied by its weight, but
    at most its need.
    """
    total = sum(need for need, _ in wants)
    if total <= left + TOLERANCE:
        return UNLIMITED, total
    calls = sum(weight for _, weight in wants)
    rest = left
    for need, weight in sorted(wants, key=lambda want: want[0] / want[1]):
        if need * calls > rest * weight:
            return rest / calls, left
        rest -= need
        calls -= weight
    return UNLIMITED, left
