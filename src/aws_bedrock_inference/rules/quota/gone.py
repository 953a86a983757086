"""The use of the running minute by members that are gone.

A part that nobody holds any more is free at once, but what it was used for counts until the service's minute is over:
else one process after the other could begin a minute of its own. Those who left stand together; who fell silent may
come back with its own count, and stands under its name until then.

Who needs little calls seldom, and falls silent between two calls: the little is kept for a while, so that the next call
need not wait until the others have made room.
"""

from __future__ import annotations

import json
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from aws_bedrock_inference.rules.quota.fair_shares import FREE
from aws_bedrock_inference.rules.quota.limit import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Use: TypeAlias = tuple[float, float, float]
"""Seconds, requests and tokens: what was used so long ago, or counts for so long."""

Uses: TypeAlias = "tuple[Use, ...] | None"
"""The uses that count now; None when nobody knows them."""

# Uses are added up over this many seconds.
STEP = 2.0

# A call may be admitted while a report is on its way, and counts so much later for the service.
LATE = 0.5

# A report names no more of them.
MOST = 64

# What is kept for who needs no more than this part of the quota, for so many seconds; and for all of them together.
LITTLE = 0.05
KEPT_FOR = 15.0
KEPT_FOR_ALL = FREE

# The name of all who have left.
LEFT = ""


class Gone:
    """Uses by the name of who is gone, and by the step in which they end to count."""

    def __init__(self) -> None:
        self._uses: dict[str, dict[int, tuple[float, float]]] = {}
        self._kept: dict[str, tuple[float, float]] = {}

    def add(self, name: str, uses: Iterable[Use], at: float) -> None:
        """Count what was used before `at`."""
        steps = self._uses.setdefault(name, {})
        for age, requests, tokens in uses:
            step = ceil((at + MINUTE + LATE - age) / STEP)
            before = steps.get(step, (0.0, 0.0))
            steps[step] = before[0] + requests, before[1] + tokens

    def keep(self, name: str, share: float, need: float, at: float) -> None:
        """Keep of a `share` that has run out what is needed, if that is little; the member last asked `at`."""
        if need <= LITTLE and min(share, need) > 0.0:
            self._kept[name] = min(share, need), at

    def kept(self, now: float) -> float:
        """Return the part of the quota that is kept for all."""
        self._kept = {name: (share, at) for name, (share, at) in self._kept.items() if now < at + KEPT_FOR}
        total = sum(share for share, _ in self._kept.values())
        if total > KEPT_FOR_ALL:
            each = KEPT_FOR_ALL / total
            self._kept = {name: (share * each, at) for name, (share, at) in self._kept.items()}
        return min(total, KEPT_FOR_ALL)

    def back(self, name: str) -> float:
        """Count no longer what a member used that has come back; return what was kept for it."""
        self._uses.pop(name, None)
        return self._kept.pop(name, (0.0, 0.0))[0]

    def at(self, now: float) -> tuple[Use, ...]:
        """Return what still counts, and for how long; forget the rest."""
        total: dict[int, tuple[float, float]] = {}
        for name, steps in list(self._uses.items()):
            for step, (requests, tokens) in list(steps.items()):
                if step * STEP <= now:
                    del steps[step]
                    continue
                before = total.get(step, (0.0, 0.0))
                total[step] = before[0] + requests, before[1] + tokens
            if not steps:
                del self._uses[name]
        return tuple((step * STEP - now, *total[step]) for step in sorted(total))

    def __contains__(self, name: str) -> bool:
        return name in self._uses

    def left(self, name: str) -> float:
        """Let a member leave that fell silent; return what was kept for it."""
        together = self._uses.setdefault(LEFT, {})
        for step, (requests, tokens) in self._uses.pop(name, {}).items():
            before = together.get(step, (0.0, 0.0))
            together[step] = before[0] + requests, before[1] + tokens
        return self.back(name)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        uses = {name: [(step, *used) for step, used in steps.items()] for name, steps in self._uses.items()}
        return {"uses": uses, "kept": self._kept}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return what `plain` made. Raises `TypeError` or `ValueError` when it is foreign."""
        gone = cls()
        for name, steps in dict(plain.get("uses", {})).items():
            gone._uses[name] = {int(step): (_amount(requests), _amount(tokens)) for step, requests, tokens in steps}
        for name, (share, at) in dict(plain.get("kept", {})).items():
            gone._kept[name] = min(LITTLE, _amount(share)), _amount(at)
        return gone


def uses_of(report: str) -> tuple[Use, ...]:
    """Return the uses that a member's report names as its `minute`; none where it cannot be read."""
    try:
        minute = json.loads(report)["minute"]
        uses = [(min(_amount(age), MINUTE), _amount(requests), _amount(tokens)) for age, requests, tokens in minute]
    except (LookupError, TypeError, ValueError, RecursionError):
        return ()
    return tuple(uses) if len(uses) <= MOST else ()


def _amount(value: Any) -> float:
    if not isinstance(value, (int, float)) or not isfinite(value) or value < 0.0:
        raise ValueError(f"{value!r} is no amount")
    return float(value)
