"""Share quotas within one process, for tests, simulations and experiments."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.rules.quota.leases import Leases
from aws_bedrock_inference.stores.request import Instant

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.rules.quota.leases import Grant, LeaseRequest
    from aws_bedrock_inference.rules.quota.views import View


class MemoryStore:
    """A store of shared quotas in the memory of one process. `clock` returns the time in seconds. This time decides
    when a lease (a share of a quota) expires.
    """

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pools: dict[str, Leases] = {}
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the lock in a forked child, because another thread of the parent may hold it. The child has its own
        copy of the store.
        """
        self._lock = threading.Lock()

    def renew(self, pool: str, member: str, request: LeaseRequest) -> Instant[Grant]:
        """Report the quota that `member` (a process) needs, and return its new lease. The lease is the share of the
        quota that the member is allowed to use.
        """
        return Instant(partial(self._renew, pool, member, request))

    def leave(self, pool: str, member: str, report: str = "") -> Instant[None]:
        """Release the lease (the share of the quota) of `member`. `report` is the last report of the member."""
        return Instant(partial(self._leave, pool, member, report))

    def look(self, pool: str | None = None) -> Instant[dict[str, View]]:
        """Return the members of `pool` (one quota). If `pool` is not set, return the members of every pool."""
        return Instant(partial(self._look, pool))

    def close(self) -> None:
        """Do nothing, because this store has no connections or files."""

    def __repr__(self) -> str:
        return "MemoryStore()"

    def _renew(self, pool: str, member: str, request: LeaseRequest) -> Grant:
        with self._lock:
            now = self._clock()
            leases = self._pools.get(pool)
            if leases is None:
                leases = self._pools[pool] = Leases(now)
            return leases.renew(member, request, now)

    def _leave(self, pool: str, member: str, report: str) -> None:
        with self._lock:
            if pool in self._pools:
                self._pools[pool].leave(member, self._clock(), report)

    def _look(self, pool: str | None) -> dict[str, View]:
        with self._lock:
            now = self._clock()
            return {name: leases.look(now) for name, leases in sorted(self._pools.items()) if pool in (None, name)}
