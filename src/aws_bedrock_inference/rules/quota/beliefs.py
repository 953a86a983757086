"""The estimates of a shared quota's limits in which all its members believe, by dimension."""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.rules.quota.fair_shares import UNLIMITED

NOISE = "noise of "  # the names of what is no limit but believed in the same way; the first goes before a dimension
BURNDOWN = "burndown"

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SAME = 1e-9  # an estimate that differs by less is the same


class Beliefs:
    """Estimates of limits a minute, each with a stamp that counts its changes."""

    def __init__(self) -> None:
        self._limits: dict[str, tuple[float, int]] = {}

    def learn(self, limits: Iterable[tuple[str, float, int, bool]]) -> None:
        """Hear estimates as `LeaseRequest.limits` has them; one that rests on an older belief only lowers it."""
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
        """Return the estimate of a dimension, 0 where there is none."""
        limit, _ = self._limits.get(name, (0.0, 0))
        return limit if limit < UNLIMITED else 0.0

    def told(self) -> tuple[tuple[str, float, int], ...]:
        """Return (dimension, estimate, stamp) by name, as a `Grant` has them."""
        return tuple(
            (name, inf if limit >= UNLIMITED else limit, stamp) for name, (limit, stamp) in sorted(self._limits.items())
        )

    def plain(self) -> dict[str, tuple[float, int]]:
        """Return them as JSON knows them."""
        return dict(self._limits)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return what `plain` made. Raises `TypeError` or `ValueError` when it is foreign."""
        beliefs = cls()
        beliefs._limits = {name: (float(limit), int(stamp)) for name, (limit, stamp) in dict(plain).items()}
        if not all(isfinite(limit) for limit, _ in beliefs._limits.values()):
            raise ValueError(f"{plain!r} has a limit that is no number")
        return beliefs
