"""Store one object for each key, such as a circuit breaker for each model. An object is created when its key is first
used, and removed when it is idle. Keys contain model ids, which callers choose. Without this removal, the number of
stored objects could grow without limit.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakSet

from aws_bedrock_inference.forks import Locked, renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# The number of keys at which idle values are removed for the first time. The next removal comes when the number of keys
# has doubled. So the cost of removals is only a few look-ups for each new key. A process rarely calls this many models.
MANY = 256


class Keyed(dict[str, T]):
    """A dictionary that removes idle values. A value is idle if `idle(value, now)` returns True: a new value would act
    in the same way. One thread can remove a value that another thread still uses. This is harmless, because later calls
    use a new value that acts in the same way.
    """

    def __init__(self, idle: Callable[[T, float], bool]) -> None:
        super().__init__()
        self._idle = idle
        self._many = MANY
        self._lock = threading.Lock()
        renew_after_fork(self)

    __hash__ = object.__hash__  # type: ignore[assignment]  # by identity: objects to renew after a fork are stored in a set

    def after_fork(self) -> None:
        """Replace the lock in a forked child, because a thread of the parent may have held it."""
        self._lock = threading.Lock()

    def of(self, key: str, make: Callable[[], T], now: float) -> T:
        """Return the value for `key`. Create the value if it does not exist."""
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
    """The objects of a class that have not been garbage collected, such as all quotas of a program."""

    def __init__(self) -> None:
        super().__init__()
        self._all: WeakSet[T] = WeakSet()

    def add(self, one: T) -> None:
        """Add a weak reference to the object `one`."""
        with self._lock:
            self._all.add(one)

    def all(self) -> list[T]:
        """Return the objects that still exist."""
        with self._lock:
            return list(self._all)
