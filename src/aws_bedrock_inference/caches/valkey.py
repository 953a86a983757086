"""The store of answers on a Redis or Valkey server, which any number of machines can share."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from aws_bedrock_inference.caches.key import FORMAT
from aws_bedrock_inference.clock import wall
from aws_bedrock_inference.stores.request import STORE_TIMEOUT
from aws_bedrock_inference.stores.server import Server
from aws_bedrock_inference.stores.server_errors import ANSWERS
from aws_bedrock_inference.stores.worker import Queued, Worker

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock

# The number of simultaneous connections. It is small, because a server answers a request faster than a thread prepares
# the next one.
THREADS = 4

_PREFIX = f"bedrock:answer:{FORMAT}:"


class ValkeyAnswers:
    """A store of answers on a Redis or Valkey server. Each answer is stored under a separate key. The server measures
    the lifetime of each answer with the server's clock, and deletes the answer at the end of its lifetime.

    This class does not limit the number of answers; the server's settings `maxmemory` and `maxmemory-policy` limit it.

    * `clock`: returns the time in seconds. The cache computes the age of an answer from this time. The default is the
      time of day on this machine.
    * `timeout`: the maximum number of seconds for connecting, and for each exchange with the server.
    """

    def __init__(self, url: str, clock: Clock = wall, *, timeout: float = STORE_TIMEOUT) -> None:
        self.clock = clock
        self._server = Server(url, ANSWERS, timeout=timeout, text=False)
        self.place = self._server.place
        self._timeout = timeout
        self._worker = Worker(THREADS)

    def get(self, key: str) -> Queued[bytes | None]:
        """Return the content with this key, or None."""
        return Queued(partial(self._get, key), 2 * self._timeout, self.place, self._worker)

    def put(self, key: str, content: bytes, seconds: float) -> Queued[None]:
        """Store `content` with this key for `seconds`."""
        return Queued(partial(self._put, key, content, seconds), 2 * self._timeout, self.place, self._worker)

    def close(self) -> None:
        """Close the connections. The next request opens a new one."""
        self._server.close()

    def __repr__(self) -> str:
        return f"ValkeyAnswers({self.place!r})"

    def _get(self, key: str) -> bytes | None:
        with self._server.errors():
            found = self._server.client().get(_PREFIX + key)
        return found if isinstance(found, bytes) else None

    def _put(self, key: str, content: bytes, seconds: float) -> None:
        with self._server.errors():
            self._server.client().set(_PREFIX + key, content, ex=ceil(seconds))
