"""Quotas shared through a Redis (6.2 or newer) or Valkey server, by redis-py: by any number of machines.

Each request is one script on the keys of one pool, which carry the same hash tag and so lie on one node of a cluster.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.rules.quota.fair_shares import UNLIMITED
from aws_bedrock_inference.rules.quota.leases import FORMAT, Grant
from aws_bedrock_inference.rules.quota.views import Seen, View
from aws_bedrock_inference.stores.request import STORE_TIMEOUT, Question, StoreUnavailable
from aws_bedrock_inference.stores.server_errors import trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.rules.quota.leases import LeaseRequest

_PREFIX = "bedrock:quota:{"
_LEASES = "}:leases"
_REPORTS = "}:reports"

_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}

# Connections are made anew, by name, after this many seconds: the name may mean another server by then, while the old
# one lives on and sees no reason to refuse anything.
FRESH = 30.0

T = TypeVar("T")


class ValkeyStore:
    """Keeps a pool in two hashes, which the server forgets after an hour unused; time is the server's.

    Each new connection asks the server for its role and refuses a replica. After a failure, and every FRESH seconds of
    `clock`, the next request connects anew by name, so that it follows a failover. `timeout` is for each step of a
    request, in seconds. `place` is the URL without user, password and options.
    """

    def __init__(self, url: str, *, timeout: float = STORE_TIMEOUT, clock: Clock = monotonic) -> None:
        scheme, _, rest = url.partition("://")
        scheme, cluster, _ = scheme.partition("+")
        self.place = f"{url.partition('://')[0]}://{rest.rpartition('@')[2].partition('?')[0]}"
        self._timeout = timeout
        self._clock = clock
        self._url = f"{_SCHEMES.get(scheme, scheme)}://{rest}"
        self._cluster = bool(cluster)
        redis.ConnectionPool.from_url(self._url).make_connection()  # connects nothing; raises on what makes no sense
        self._lua = files("aws_bedrock_inference.stores").joinpath("leases.lua").read_text(encoding="utf-8")
        self._made: Any = None
        self._made_at = 0.0
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the parent's connections; the next request makes its own."""
        self._made = None

    def renew(self, pool: str, member: str, request: LeaseRequest) -> Question[Grant]:
        """Say what `member` needs and get its new lease."""
        return self._question(partial(self._renew, pool, member, request))

    def leave(self, pool: str, member: str, report: str = "") -> Question[None]:
        """Free the lease of `member`; `report` is its last one."""
        return self._question(partial(self._leave, pool, member, report))

    def look(self, pool: str | None = None) -> Question[dict[str, View]]:
        """Return who shares `pool`, or every pool that has been used within the hour."""
        return self._question(partial(self._look, pool))

    def close(self) -> None:
        """Close the connections; the next request opens one again."""
        script, self._made = self._made, None
        if script is not None:
            _close(script.registered_client)

    def __repr__(self) -> str:
        return f"ValkeyStore({self.place!r})"

    def _question(self, answer: Callable[[], T]) -> Question[T]:
        return Question(answer, 2 * self._timeout, self.place)

    def _renew(self, pool: str, member: str, request: LeaseRequest, now: float | None = None) -> Grant:
        if not member:
            raise ValueError("A member needs a name")
        limits = (
            item
            for name, limit, stamp, lowered in request.limits
            for item in (name, repr(min(limit, UNLIMITED)), stamp, int(lowered))
        )
        needs = (item for *numbers, tenant in request.whose for item in (*(repr(float(n)) for n in numbers), tenant))
        head = (repr(float(request.holding)), repr(float(request.rate)), request.report, len(request.needs))
        with self._errors():
            answer = self._run("renew", pool, now, member, *head, *needs, *limits)
            share, valid, again, estimates, members, gone, parts = answer
            uses = tuple((float(seconds), float(requests), float(tokens)) for seconds, requests, tokens in gone)
            told = tuple(map(float, parts))
            return Grant(float(share), float(valid), float(again), _limits(estimates), int(members), uses, told)

    def _leave(self, pool: str, member: str, report: str, now: float | None = None) -> None:
        with self._errors():
            self._run("leave", pool, now, member, report)

    def _look(self, pool: str | None, now: float | None = None) -> dict[str, View]:
        views = {}
        with self._errors():
            for name in self._pools() if pool is None else [pool]:
                members, limits = self._run("look", name, now)
                if members or limits:
                    seen = sorted(map(_seen, members), key=lambda seen: seen.member)
                    views[name] = View(tuple(seen), _limits(limits))
        return views

    def _pools(self) -> list[str]:
        keys = list(self._script().registered_client.scan_iter(match=f"{_PREFIX}*{_LEASES}", count=1000))
        return sorted(key.removeprefix(_PREFIX).removesuffix(_LEASES) for key in keys)

    def _run(self, operation: str, pool: str, now: float | None, *rest: Any) -> Any:
        keys = [f"{_PREFIX}{pool}{_LEASES}", f"{_PREFIX}{pool}{_REPORTS}"]
        return self._script()(keys, [operation, "" if now is None else repr(now), FORMAT, *rest])

    def _script(self) -> Any:
        """Return the script with its client, made at first use: that of a cluster connects at once."""
        if self._made is not None and self._clock() >= self._made_at + FRESH:
            self.close()
        made = self._made
        if made is None:
            kind: Any = redis.RedisCluster if self._cluster else redis.Redis
            client = kind.from_url(
                self._url,
                decode_responses=True,
                socket_timeout=self._timeout,
                socket_connect_timeout=self._timeout,
                retry=Retry(NoBackoff(), 0),
                **({} if self._cluster else {"redis_connect_func": _connect_to_primary}),
            )
            self._made_at = self._clock()
            made = self._made = client.register_script(self._lua)
        return made

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except redis.TimeoutError as error:
            self.close()
            raise StoreUnavailable(f"{self.place} took longer than {self._timeout:g} s: {error}") from error
        except (redis.RedisError, RedisClusterException, OSError) as error:
            self.close()
            raise trouble(self.place, error) from error
        except (ValueError, TypeError, IndexError, ArithmeticError) as error:
            raise trouble(self.place, ValueError(f"BEDROCKDATA {error}")) from error


def _connect_to_primary(connection: Any) -> None:
    """Log in as redis-py does, then refuse a replica, even one that accepts writes.

    Servers before version 6, proxies and some managed services do not answer HELLO; they are taken as they are.
    """
    connection.on_connect()
    connection.send_command("HELLO")
    try:
        answer = connection.read_response()
    except redis.ResponseError:
        return
    facts = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=False))
    if facts.get("role", facts.get(b"role")) in ("replica", "slave", b"replica", b"slave"):
        raise redis.ReadOnlyError("READONLY This server is a replica")


def _close(client: Any) -> None:
    """Close the connections that no thread is using; the others are closed when they are not used any more."""
    if isinstance(client, redis.RedisCluster):
        client.close()
    else:
        client.connection_pool.disconnect(inuse_connections=False)


def _seen(fields: list[str]) -> Seen:
    member, share, age, rate, report = fields
    return Seen(member, float(share), float(age), float(rate), report)


def _limits(entries: list[list[str]]) -> tuple[tuple[str, float, int], ...]:
    limits = ((name, float(limit), int(float(stamp))) for name, limit, stamp in entries)
    return tuple(sorted((name, inf if limit >= UNLIMITED else limit, stamp) for name, limit, stamp in limits))
