"""State that must not cross a fork.

A forked child inherits locks that no thread of it will ever release, connections that its parent goes on using, and
leases that were granted to its parent. An object that has any of these registers itself with `renew_after_fork`.
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
    """An object with state that belongs to one process."""

    def after_fork(self) -> None:
        """Replace locks, and forget what the parent owns without closing it. Runs in the child, before its own code."""


class Locked:
    """The base of an object whose state one lock guards. A forked child gets a new lock, since another thread of the
    parent may have held the old one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the lock."""
        self._lock = threading.Lock()


def renew_after_fork(owner: Forked) -> None:
    """Call `owner.after_fork()` in each child that this process forks from now on, as long as `owner` exists."""
    _owners.add(owner)


class AtEnd:
    """A function that is called when this process ends, once it is armed here. What ends a worker of multiprocessing is
    not `atexit`, and a forked child is armed anew.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._armed_in = 0

    def arm(self) -> None:
        """Call the function at the end of this process, once."""
        if self._armed_in == os.getpid():
            return
        self._armed_in = os.getpid()
        multiprocessing = sys.modules.get("multiprocessing.util")
        if multiprocessing is not None:
            multiprocessing.Finalize(None, self._function, exitpriority=0)
        else:
            atexit.register(self._function)


def renew_lock(renewing: Any) -> None:
    """Replace the lock of credentials or of a token of botocore, which knows nothing of forks, if they have one."""
    if hasattr(renewing, "_refresh_lock"):
        renewing._refresh_lock = threading.Lock()  # noqa: SLF001 - there is no other way in


def _in_child() -> None:
    for owner in list(_owners):
        owner.after_fork()


_owners: weakref.WeakSet[Forked] = weakref.WeakSet()

if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_child)
