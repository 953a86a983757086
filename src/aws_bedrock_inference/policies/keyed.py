"""State by key, such as a circuit for each model: made at its first use, and forgotten when it is idle.

Keys come from model ids that callers give, so there may be any number of them in the life of a process.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakSet

from aws_bedrock_inference.forks import Locked, renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Idle state is looked for when there is this much, and again when there is twice what was left: that costs each new
# key as much as a few look-ups. One process hardly calls as many models.
MANY = 256


class Keyed(dict[str, T]):
    """A dictionary whose values `idle(value, now)` says which may be forgotten: one made anew would act the same.

    A call that has just found a value while another thread forgets it goes on with it, alone; that is one call.
    """

    def __init__(self, idle: Callable[[T, float], bool]) -> None:
        super().__init__()
        self._idle = idle
        self._many = MANY
        self._lock = threading.Lock()
        renew_after_fork(self)

    __hash__ = object.__hash__  # type: ignore[assignment]  # by identity: what a fork renews is kept in a set

    def after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may hold."""
        self._lock = threading.Lock()

    def of(self, key: str, make: Callable[[], T], now: float) -> T:
        """Return the value of `key`, made if there is none."""
        with self._lock:
            value = self.get(key)
            if value is None:
                if len(self) >= self._many:
                    self._forget(now)
                value = self[key] = make()
            return value

    def _forget(self, now: float) -> None:
        for key in [key for key, value in self.items() if self._idle(value, now)]:
            del self[key]
        self._many = max(MANY, 2 * len(self))


class Living(Locked, Generic[T]):
    """The objects of one kind that something still uses."""

    def __init__(self) -> None:
        super().__init__()
        self._all: WeakSet[T] = WeakSet()

    def add(self, one: T) -> None:
        """Hold `one` weakly."""
        with self._lock:
            self._all.add(one)

    def all(self) -> list[T]:
        """Return those that are left."""
        with self._lock:
            return list(self._all)
