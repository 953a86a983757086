"""Renew the state that a forked child process must not share with its parent.

A forked child inherits locks that none of its threads will release, connections that its parent still uses, and
leases that belong to its parent. Every object with such state registers itself with `renew_after_fork`.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Forked(Protocol):
    """An object with state that a forked child process must not share, such as a lock or a connection."""

    def after_fork(self) -> None:
        """Replace the locks, and forget the parent's resources without closing them. This method runs in the child
        process, before the child's own code.
        """


class Locked:
    """The base class of an object with one lock. A forked child gets a new lock, because another thread of the parent
    may have held the lock during the fork.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may have held during the fork."""
        self._lock = threading.Lock()


def renew_after_fork(owner: Forked) -> None:
    """Call `owner.after_fork()` in each child that this process forks from now on, as long as `owner` exists."""
    _owners.add(owner)


class AtEnd:
    """A function that is called once when this process ends, if `arm` was called in this process. The function also
    runs at the end of a worker of `multiprocessing`, in which `atexit` does not run. A forked child must call `arm`
    again.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._armed_in = 0

    def arm(self) -> None:
        """Make sure that the function of this object is called once, when this process ends."""
        if self._armed_in == os.getpid():
            return
        self._armed_in = os.getpid()
        multiprocessing = sys.modules.get("multiprocessing.util")
        if multiprocessing is not None:
            multiprocessing.Finalize(None, self._function, exitpriority=0)
        else:
            atexit.register(self._function)


def renew_lock(renewing: Any) -> None:
    """In a forked child, replace the lock of `renewing`, if it has a lock. `renewing` is a botocore object that
    contains credentials or a token. botocore itself does not renew its locks in a forked child.
    """
    if hasattr(renewing, "_refresh_lock"):
        renewing._refresh_lock = threading.Lock()  # noqa: SLF001 - there is no public method for this


def _in_child() -> None:
    for owner in list(_owners):
        owner.after_fork()


_owners: weakref.WeakSet[Forked] = weakref.WeakSet()

if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_child)
