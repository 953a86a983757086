"""Use a Redis or Valkey server through redis-py: read its URL, open its connections, and explain its errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.stores.request import StoreUnavailable
from aws_bedrock_inference.stores.server_errors import trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.stores.server_errors import Purpose

_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}

# After this many seconds, connections are opened again by host name. The name may then belong to another server, while
# the previous server still runs and refuses no requests.
FRESH = 30.0


class Server:
    """The Redis or Valkey server at `url`. `place` is the URL without user, password and options. `purpose` is what
    the server is used for, such as sharing a quota. Error messages contain it.

    After a failover, the host name can belong to another server: the new primary server. Therefore the connections are
    opened again, by host name, after each failure and every `FRESH` seconds of `clock`. Each new connection checks the
    role of the server, and refuses a replica. redis-py's client of a cluster finds the primary servers itself, so its
    connections omit this check.

    `timeout` is the maximum number of seconds for connecting, and for each exchange with the server. If `text` is True,
    the server's answers are decoded from bytes to `str`.

    Raises the exceptions of redis-py for a URL that redis-py cannot read.
    """

    def __init__(self, url: str, purpose: Purpose, *, timeout: float, clock: Clock = monotonic, text: bool) -> None:
        scheme, _, rest = url.partition("://")
        scheme, cluster, _ = scheme.partition("+")
        self.place = f"{url.partition('://')[0]}://{rest.rpartition('@')[2].partition('?')[0]}"
        self._purpose = purpose
        self._timeout = timeout
        self._clock = clock
        self._text = text
        self._url = f"{_SCHEMES.get(scheme, scheme)}://{rest}"
        self._cluster = bool(cluster)
        redis.ConnectionPool.from_url(self._url).make_connection()  # does not connect; refuses an invalid URL
        self._made: Any = None
        self._made_at = 0.0
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Remove the parent's connections in a forked child. The next request opens the child's own connections."""
        self._made = None

    def client(self) -> Any:
        """Return redis-py's client. The client is created on first use, because redis-py's client of a cluster connects
        as soon as it is created.
        """
        if self._made is not None and self._clock() >= self._made_at + FRESH:
            self.close()
        made = self._made
        if made is None:
            kind: Any = redis.RedisCluster if self._cluster else redis.Redis
            self._made_at = self._clock()
            made = self._made = kind.from_url(
                self._url,
                decode_responses=self._text,
                socket_timeout=self._timeout,
                socket_connect_timeout=self._timeout,
                retry=Retry(NoBackoff(), 0),
                **({} if self._cluster else {"redis_connect_func": _connect_to_primary}),
            )
        return made

    def close(self) -> None:
        """Close the connections. The next request opens new connections."""
        made, self._made = self._made, None
        if made is not None:
            _close(made)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Convert an error in the `with` block into `StoreUnavailable`. After an error, the next request opens a new
        connection.
        """
        try:
            yield
        except redis.TimeoutError as error:
            self.close()
            raise StoreUnavailable(
                f"{self.place} took longer than {self._timeout:g} s: {error}. Check the load of the server and the "
                "network between it and this machine"
            ) from error
        except (redis.RedisError, RedisClusterException, OSError) as error:
            self.close()
            raise trouble(self.place, error, self._purpose) from error
        except (ValueError, TypeError, IndexError, ArithmeticError) as error:
            raise trouble(self.place, ValueError(f"BEDROCKDATA {error}"), self._purpose) from error


def _connect_to_primary(connection: Any) -> None:
    """Log in to a server as redis-py does, then refuse the server if it is a replica, even if it accepts writes.

    The server states in its answer to the command HELLO whether it is a replica. Servers before version 6, proxies and
    some managed services answer HELLO with an error. They are accepted without this check.
    """
    connection.on_connect()
    connection.send_command("HELLO")
    try:
        answer = connection.read_response()
    except redis.ResponseError:
        return
    facts = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=False))
    if facts.get("role", facts.get(b"role")) in ("replica", "slave", b"replica", b"slave"):
        raise redis.ReadOnlyError("READONLY This server is a replica; use the address of its primary server")


def _close(client: Any) -> None:
    """Close the connections that no thread is using. The other connections are closed when their threads stop using
    them.
    """
    if isinstance(client, redis.RedisCluster):
        client.close()
    else:
        client.connection_pool.disconnect(inuse_connections=False)
