"""The estimates that all members of a shared quota use. For each dimension (requests or tokens), there is an estimate
of the limit and, if known, of the noise (random throttles). A learned burndown is also shared.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.rules.quota.fair_shares import UNLIMITED

NOISE = "noise of "  # prefix of a shared value that is not a limit: the random throttles of a dimension
BURNDOWN = "burndown"

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SAME = 1e-9  # estimates that differ by less are equal


class Beliefs:
    """The estimates that all members (processes) of a quota use: the limits per minute, the noise and the burndown.
    Each estimate has a stamp: the number of values that the estimate has had so far, including the first.
    """

    def __init__(self) -> None:
        self._limits: dict[str, tuple[float, int]] = {}

    def learn(self, limits: Iterable[tuple[str, float, int, bool]]) -> None:
        """Update the shared estimates with those that a member (a process) has sent in `LeaseRequest.limits`.

        The stamp of an estimate counts the values that the estimate has had. If a member sends the present stamp, the
        member's estimate replaces the shared estimate. A member that sends an older stamp did not yet know the present
        shared estimate. Its estimate then replaces the shared estimate only if the member has lowered it after a
        throttle, and if it is lower than the shared estimate.
        """
        for name, limit, based_on, lowered in limits:
            estimate = min(limit, UNLIMITED)
            known, stamp = self._limits.get(name, (estimate, 0))
            if stamp == 0:
                self._limits[name] = (estimate, 1)
            elif based_on == stamp:
                if abs(estimate - known) > SAME * max(estimate, known):
                    self._limits[name] = (estimate, stamp + 1)
            elif lowered and estimate < known:
                self._limits[name] = (estimate, stamp + 1)

    def finite(self, name: str) -> float:
        """Return the estimated limit of the dimension `name` (requests or tokens), or 0 if the estimate is unknown or
        infinite.
        """
        limit, _ = self._limits.get(name, (0.0, 0))
        return limit if limit < UNLIMITED else 0.0

    def told(self) -> tuple[tuple[str, float, int], ...]:
        """Return the estimates in the form of `Grant.limits`: one tuple (name, estimate, stamp) for each estimate,
        sorted by name. The stamp counts the values that the estimate has had.
        """
        return tuple(
            (name, inf if limit >= UNLIMITED else limit, stamp) for name, (limit, stamp) in sorted(self._limits.items())
        )

    def plain(self) -> dict[str, tuple[float, int]]:
        """Return the estimates in a form that JSON can store."""
        return dict(self._limits)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return the estimates that `plain` contains. Raises `TypeError` or `ValueError` if the data has a different
        form.
        """
        beliefs = cls()
        beliefs._limits = {name: (float(limit), int(stamp)) for name, (limit, stamp) in dict(plain).items()}
        if not all(isfinite(limit) for limit, _ in beliefs._limits.values()):
            raise ValueError(f"the quota store is damaged: its limits {plain!r} contain infinity or NaN")
        return beliefs
