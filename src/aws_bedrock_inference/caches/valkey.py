"""Answers kept by a Redis or Valkey server, for any number of machines."""

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

# Connections at once: a server answers a request in less time than a thread needs to make the next one.
THREADS = 4

_PREFIX = f"bedrock:answer:{FORMAT}:"


class ValkeyAnswers:
    """Keeps each answer under a key of its own until the server's clock says that it has expired.

    The number of answers is the server's to bound, by `maxmemory` and `maxmemory-policy`. Ages are told by `clock`,
    which is that of each machine. Connections and `timeout` are those of `stores.server.Server`.
    """

    def __init__(self, url: str, clock: Clock = wall, *, timeout: float = STORE_TIMEOUT) -> None:
        self.clock = clock
        self._server = Server(url, ANSWERS, timeout=timeout, text=False)
        self.place = self._server.place
        self._timeout = timeout
        self._worker = Worker(THREADS)

    def get(self, key: str) -> Queued[bytes | None]:
        """Return what is kept under `key`."""
        return Queued(partial(self._get, key), 2 * self._timeout, self.place, self._worker)

    def put(self, key: str, content: bytes, seconds: float) -> Queued[None]:
        """Keep `content` under `key` for so many seconds."""
        return Queued(partial(self._put, key, content, seconds), 2 * self._timeout, self.place, self._worker)

    def close(self) -> None:
        """Close the connections; a later request opens one again."""
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
