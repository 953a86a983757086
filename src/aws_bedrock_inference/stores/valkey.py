"""Quotas shared through a Redis (6.2 or newer) or Valkey server, by redis-py: by any number of machines.

Each request is one script on the keys of one pool, which carry the same hash tag and so lie on one node of a cluster.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from math import inf
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from aws_bedrock_inference.rules.quota.fair_shares import UNLIMITED
from aws_bedrock_inference.rules.quota.leases import Grant, Seen, View
from aws_bedrock_inference.stores.request import STORE_TIMEOUT, Question, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.rules.quota.leases import LeaseRequest

_PREFIX = "bedrock:quota:{"
_LEASES = "}:leases"
_REPORTS = "}:reports"

_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}


class ValkeyStore:
    """Keeps a pool in two hashes, which the server forgets after an hour unused; time is the server's.

    A request that takes longer than `timeout` seconds raises `StoreUnavailable`. `place` is the URL without user,
    password and options.
    """

    def __init__(self, url: str, *, timeout: float = STORE_TIMEOUT) -> None:
        scheme, _, rest = url.partition("://")
        scheme, cluster, _ = scheme.partition("+")
        self.place = f"{url.partition('://')[0]}://{rest.rpartition('@')[2].partition('?')[0]}"
        self._timeout = timeout
        self._url = f"{_SCHEMES.get(scheme, scheme)}://{rest}"
        self._kind = redis.RedisCluster if cluster else redis.Redis
        redis.ConnectionPool.from_url(self._url).make_connection()  # connects nothing; raises on what makes no sense
        self._lua = files("aws_bedrock_inference.stores").joinpath("leases.lua").read_text(encoding="utf-8")
        self._made: Any = None

    def renew(self, pool: str, member: str, request: LeaseRequest) -> Question[Grant]:
        """Say what `member` needs and get its new lease."""
        return Question(partial(self._renew, pool, member, request))

    def leave(self, pool: str, member: str) -> Question[None]:
        """Free the lease of `member`."""
        return Question(partial(self._leave, pool, member))

    def look(self, pool: str | None = None) -> Question[dict[str, View]]:
        """Return who shares `pool`, or every pool that has been used within the hour."""
        return Question(partial(self._look, pool))

    def close(self) -> None:
        """Close the connections; the next request opens one again."""
        script, self._made = self._made, None
        if script is not None:
            script.registered_client.close()

    def __repr__(self) -> str:
        return f"ValkeyStore({self.place!r})"

    def _renew(self, pool: str, member: str, request: LeaseRequest, now: float | None = None) -> Grant:
        if not member:
            raise ValueError("A member needs a name")
        limits = (
            item
            for name, limit, stamp, lowered in request.limits
            for item in (name, repr(min(limit, UNLIMITED)), stamp, int(lowered))
        )
        needs = (repr(float(number)) for need in request.needs for number in need)
        head = (repr(float(request.holding)), repr(float(request.rate)), request.report, len(request.needs))
        share, valid, again, estimates = self._run("renew", pool, now, member, *head, *needs, *limits)
        return Grant(float(share), float(valid), float(again), _limits(estimates))

    def _leave(self, pool: str, member: str, now: float | None = None) -> None:
        self._run("leave", pool, now, member)

    def _look(self, pool: str | None, now: float | None = None) -> dict[str, View]:
        views = {}
        for name in self._pools() if pool is None else [pool]:
            members, limits = self._run("look", name, now)
            if members or limits:
                views[name] = View(tuple(sorted(map(_seen, members), key=lambda seen: seen.member)), _limits(limits))
        return views

    def _pools(self) -> list[str]:
        with self._errors():
            keys = list(self._script().registered_client.scan_iter(match=f"{_PREFIX}*{_LEASES}", count=1000))
        return sorted(key.removeprefix(_PREFIX).removesuffix(_LEASES) for key in keys)

    def _run(self, operation: str, pool: str, now: float | None, *rest: Any) -> Any:
        keys = [f"{_PREFIX}{pool}{_LEASES}", f"{_PREFIX}{pool}{_REPORTS}"]
        with self._errors():
            return self._script()(keys, [operation, "" if now is None else repr(now), *rest])

    def _script(self) -> Any:
        """Return the script with its client, made at first use: that of a cluster connects at once."""
        if self._made is None:
            kind: Any = self._kind
            client = kind.from_url(
                self._url,
                decode_responses=True,
                socket_timeout=self._timeout,
                socket_connect_timeout=self._timeout,
                retry=Retry(NoBackoff(), 0),
            )
            self._made = client.register_script(self._lua)
        return self._made

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except redis.TimeoutError as error:
            raise StoreUnavailable(f"{self.place} took longer than {self._timeout} s: {error}") from error
        except (redis.RedisError, RedisClusterException, OSError) as error:
            raise StoreUnavailable(f"{self.place} cannot be used to share a quota: {error}") from error


def _seen(fields: list[str]) -> Seen:
    member, share, age, rate, report = fields
    return Seen(member, float(share), float(age), float(rate), report)


def _limits(entries: list[list[str]]) -> tuple[tuple[str, float, int], ...]:
    limits = ((name, float(limit), int(float(stamp))) for name, limit, stamp in entries)
    return tuple(sorted((name, inf if limit >= UNLIMITED else limit, stamp) for name, limit, stamp in limits))
