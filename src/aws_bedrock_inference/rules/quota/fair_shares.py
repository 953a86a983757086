"""The share that is due to each member of a shared quota: needs by priority, then the rest.

The smallest priority is first in rank. Within a priority everyone gets what it needs if there is enough. Else each
tenant gets the same, however many members have calls of it, and no more than it needs; of that, each of its calls gets
the same, and no member more than it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

# The tenants that a member does not tell one by one are one need under this name, whose `calls` count tenants. No
# tenant's name has a line break.
OTHERS = "\n"


class Need(NamedTuple):
    """The fraction of the quota that a member needs at a priority for a tenant, and how many calls want it."""

    priority: float
    need: float
    calls: float
    tenant: str = ""


Levels: TypeAlias = "dict[tuple[float, str], tuple[float, float]]"
"""The part that each call may have and the number of calls that all members have, by priority and tenant."""

# The part of the quota that each lower priority keeps as long as it has needs, and the most that all of them keep.
GUARANTEED = 0.05
GUARANTEED_TO_ALL = 0.5

# The part that stays free for newcomers when nobody needs it.
FREE = 0.1

# The weight of a need that names fewer calls than this.
FEWEST = 0.01

# Needs that exceed what is there by less fit: added up in another order they may differ by as much.
TOLERANCE = 1e-9

# Stands for infinity where JSON and Lua have none.
UNLIMITED = 1e300


def divide(members: Iterable[Iterable[Need]], total: float = 1.0) -> tuple[Levels, float]:
    """Return what each call may have, by priority and tenant, where anybody needs anything, and what of `total` is left
    over for each member.
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
    """Return what is due to a member with these needs."""
    return surplus + sum(
        min(need, levels[priority, tenant][0] * max(calls, FEWEST))
        for priority, need, calls, tenant in needs
        if need > 0.0
    )


def parts(needs: Iterable[Need], levels: Levels) -> tuple[float, ...]:
    """Return, for each need, which part of its tenant's calls it names."""
    return tuple(
        min(1.0, max(need.calls, FEWEST) / levels[need.priority, need.tenant][1]) if need.need > 0.0 else 1.0
        for need in needs
    )


class _Wanted(NamedTuple):
    """The needs of all members for one tenant, and how many turns it has: one, or one for each that it stands for."""

    tenant: str
    need: float
    calls: float
    turns: float

    @classmethod
    def of(cls, tenant: str, wants: list[tuple[float, float]]) -> _Wanted:
        need, calls = sum(need for need, _ in wants), sum(calls for _, calls in wants)
        return cls(tenant, need, calls, calls if tenant == OTHERS else 1.0)


def _level(wants: list[tuple[float, float]], left: float) -> tuple[float, float]:
    """Return what each call may have, so that (need, calls) of all get the smaller of need and level times calls and
    together use up `left`; and how much they use.
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
