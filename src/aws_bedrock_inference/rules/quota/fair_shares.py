"""The share that is due to each member of a shared quota: needs by priority, then the rest.

A need is (priority, fraction of the quota, calls that want it), the smallest priority first in rank. Within a priority
everyone gets what it needs if there is enough; else each call gets the same, and no member more than it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Need: TypeAlias = tuple[float, float, float]

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


def divide(members: Iterable[Iterable[Need]], total: float = 1.0) -> tuple[dict[float, float], float]:
    """Return what each call may have at each priority that anybody needs, and what of `total` is left over for each
    member.
    """
    wants: dict[float, list[tuple[float, float]]] = {}
    count = 0
    for needs in members:
        count += 1
        for priority, need, calls in needs:
            if need > 0.0:
                wants.setdefault(priority, []).append((need, max(calls, FEWEST)))
    order = sorted(wants)
    each = min(GUARANTEED, GUARANTEED_TO_ALL / max(1, len(order) - 1))
    kept = {priority: min(each, sum(need for need, _ in wants[priority])) for priority in order[1:]}
    left, reserved = total, sum(kept.values())
    levels = {}
    for priority in order:
        reserved -= kept.get(priority, 0.0)
        levels[priority], served = _level(wants[priority], max(0.0, left - reserved))
        left -= served
    return levels, max(0.0, left - FREE) / max(1, count)


def due(needs: Iterable[Need], levels: Mapping[float, float], surplus: float) -> float:
    """Return what is due to a member with these needs."""
    return surplus + sum(
        min(need, levels[priority] * max(calls, FEWEST)) for priority, need, calls in needs if need > 0.0
    )


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
