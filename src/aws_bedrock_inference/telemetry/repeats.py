"""Sampling of repeated log lines: the first few of each kind in a time window are written, and the others are
counted.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T")


class Repeated(NamedTuple, Generic[T]):
    """Lines that were not written: their number, the last of them, and the seconds in which they came."""

    held: int
    last: T
    seconds: float


class _Window(Generic[T]):
    __slots__ = ("begun", "held", "last", "passed")

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.passed = 1
        self.held = 0
        self.last: T | None = None


class Repeats(Generic[T]):
    """Admits the first `first` lines of each kind in `seconds`, and keeps the number of the others and the last one.

    At most `most` kinds are tracked at once; if there are more, the oldest window ends early.
    """

    def __init__(self, first: int = 5, seconds: float = 60.0, most: int = 256) -> None:
        self._first = first
        self._seconds = seconds
        self._most = most
        self._windows: dict[Hashable, _Window[T]] = {}  # in the order in which they began
        self._over: list[Repeated[T]] = []
        self._due = inf

    @property
    def due(self) -> float:
        """The time at which `ended` will return something; infinite if no line is held back."""
        return self._due

    def admits(self, kind: Hashable, line: T, now: float) -> bool:
        """Return whether a line that is written now is one of the first of its kind."""
        window = self._windows.get(kind)
        if window is None or not 0 <= now - window.begun < self._seconds:  # the clock may have been set back
            if window is not None or len(self._windows) >= self._most:
                self._end(kind if window is not None else next(iter(self._windows)))
            self._windows[kind] = _Window(now)
            return True
        if window.passed < self._first:
            window.passed += 1
            return True
        window.held += 1
        window.last = line
        self._due = min(self._due, window.begun + self._seconds)
        return False

    def ended(self, now: float) -> list[Repeated[T]]:
        """Return, once, the lines held back in the windows that have ended by then; at infinity, those of all
        windows.
        """
        if now >= self._due:
            for kind, window in list(self._windows.items()):
                if window.begun + self._seconds <= now:
                    self._end(kind)
            held = [window.begun for window in self._windows.values() if window.held]
            self._due = min(held, default=inf) + self._seconds
        over, self._over = self._over, []
        return over

    def _end(self, kind: Hashable) -> None:
        window = self._windows.pop(kind)
        if window.last is not None:
            self._over.append(Repeated(window.held, window.last, self._seconds))
            self._due = -inf
