"""Share quotas between any number of machines through a Redis (6.2 or newer) or Valkey server, with redis-py.

Each request runs one script on the server, which reads and writes the keys of one pool (one quota). These keys have the
same hash tag, so one node of a cluster stores all of them.
"""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.rules.quota.fair_shares import UNLIMITED
from aws_bedrock_inference.rules.quota.leases import FORMAT, Grant
from aws_bedrock_inference.rules.quota.views import Seen, View
from aws_bedrock_inference.stores.request import STORE_TIMEOUT, Question
from aws_bedrock_inference.stores.server import Server
from aws_bedrock_inference.stores.server_errors import SHARES

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.rules.quota.leases import LeaseRequest

_PREFIX = "bedrock:quota:{"
_LEASES = "}:leases"
_REPORTS = "}:reports"

T = TypeVar("T")


class ValkeyStore:
    """A store with two Redis hashes for each pool (a shared quota). The server deletes the two hashes after an hour
    without use. The store uses the time of the server. `timeout`, `clock`, `place` and the connections are described in
    `Server`.
    """

    def __init__(self, url: str, *, timeout: float = STORE_TIMEOUT, clock: Clock = monotonic) -> None:
        self._server = Server(url, SHARES, timeout=timeout, clock=clock, text=True)
        self.place = self._server.place
        self._timeout = timeout
        self._lua = files("aws_bedrock_inference.stores").joinpath("leases.lua").read_text(encoding="utf-8")

    def renew(self, pool: str, member: str, request: LeaseRequest) -> Question[Grant]:
        """Report the quota that `member` (a process) needs, and return its new lease. The lease is the share of the
        quota that the member is allowed to use.
        """
        return self._question(partial(self._renew, pool, member, request))

    def leave(self, pool: str, member: str, report: str = "") -> Question[None]:
        """Release the lease (the share of the quota) of `member`. `report` is the last report of the member."""
        return self._question(partial(self._leave, pool, member, report))

    def look(self, pool: str | None = None) -> Question[dict[str, View]]:
        """Return the members of `pool` (one quota). If `pool` is not set, return the members of every pool that was
        used within the last hour.
        """
        return self._question(partial(self._look, pool))

    def close(self) -> None:
        """Close the connections to the server. The next request opens new connections."""
        self._server.close()

    def __repr__(self) -> str:
        return f"ValkeyStore({self.place!r})"

    def _question(self, answer: Callable[[], T]) -> Question[T]:
        return Question(answer, 2 * self._timeout, self.place)

    def _renew(self, pool: str, member: str, request: LeaseRequest, now: float | None = None) -> Grant:
        if not member:
            raise ValueError("renew(): the argument `member` is empty; pass a name that identifies this process")
        limits = (
            item
            for name, limit, stamp, lowered in request.limits
            for item in (name, repr(min(limit, UNLIMITED)), stamp, int(lowered))
        )
        needs = (item for *numbers, tenant in request.whose for item in (*(repr(float(n)) for n in numbers), tenant))
        head = (repr(float(request.holding)), repr(float(request.rate)), request.report, len(request.needs))
        with self._server.errors():
            answer = self._run("renew", pool, now, member, *head, *needs, *limits)
            share, valid, again, estimates, members, gone, parts = answer
            uses = tuple((float(seconds), float(requests), float(tokens)) for seconds, requests, tokens in gone)
            tenant_parts = tuple(map(float, parts))
            return Grant(float(share), float(valid), float(again), _limits(estimates), int(members), uses, tenant_parts)

    def _leave(self, pool: str, member: str, report: str, now: float | None = None) -> None:
        with self._server.errors():
            self._run("leave", pool, now, member, report)

    def _look(self, pool: str | None, now: float | None = None) -> dict[str, View]:
        views = {}
        with self._server.errors():
            for name in self._pools() if pool is None else [pool]:
                members, limits = self._run("look", name, now)
                if members or limits:
                    seen = sorted(map(_seen, members), key=lambda seen: seen.member)
                    views[name] = View(tuple(seen), _limits(limits))
        return views

    def _pools(self) -> list[str]:
        keys = list(self._server.client().scan_iter(match=f"{_PREFIX}*{_LEASES}", count=1000))
        return sorted(key.removeprefix(_PREFIX).removesuffix(_LEASES) for key in keys)

    def _run(self, operation: str, pool: str, now: float | None, *rest: Any) -> Any:
        keys = [f"{_PREFIX}{pool}{_LEASES}", f"{_PREFIX}{pool}{_REPORTS}"]
        script = self._server.client().register_script(self._lua)
        return script(keys, [operation, "" if now is None else repr(now), FORMAT, *rest])


def _seen(fields: list[str]) -> Seen:
    member, share, age, rate, report = fields
    return Seen(member, float(share), float(age), float(rate), report)


def _limits(entries: list[list[str]]) -> tuple[tuple[str, float, int], ...]:
    limits = ((name, float(limit), int(float(stamp))) for name, limit, stamp in entries)
    return tuple(sorted((name, inf if limit >= UNLIMITED else limit, stamp) for name, limit, stamp in limits))
