"""Limit repeated log lines.

In each time window, the first few lines of each kind are written. All further lines of this kind are only counted.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T")


class Repeated(NamedTuple, Generic[T]):
    """The lines of one kind that were omitted in a time window.

    The object contains their number, the last omitted line, and the length of the window in seconds.
    """

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
    """Admits the first `first` lines of each kind in a time window, which lasts `seconds` seconds.

    All further lines of the kind are counted, and the last of them is stored. Each kind has its own window. There are
    at most `most` windows at the same time. If a line of another kind needs a new window, the oldest window ends early.
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
        """The time when the first window with omitted lines ends. The time is infinite if no line was omitted."""
        return self._due

    def admits(self, kind: Hashable, line: T, now: float) -> bool:
        """Return whether `line` is one of the first lines of this `kind` in the time window, so that it can be written.

        Otherwise, count the line.
        """
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
        """Return one `Repeated` for each time window that has ended by `now`, if lines were omitted in this window.

        Later calls do not return the same window again. If `now` is infinite, all windows end.
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
