"""The protocol that all stores of answers implement, and a function that opens a store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.caches.memory import MemoryAnswers
from aws_bedrock_inference.caches.sqlite import SqliteAnswers
from aws_bedrock_inference.stores import opened_at

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from aws_bedrock_inference.flow import StoreRequest


class AnswerStore(Protocol):
    """A store of answers. Each answer is stored with the key of its request. Threads, tasks and forked processes can
    use the store at the same time. Every request to the store can raise `StoreUnavailable`. `place` is the name of
    the store in messages; it contains no password.
    """

    place: str

    def clock(self) -> float:
        """Return the current time in seconds. The ages of answers are computed from this time. All processes that share
        the store must use the same clock.
        """

    def get(self, key: str) -> StoreRequest[bytes | None]:
        """Return the content with this key, or None."""

    def put(self, key: str, content: bytes, seconds: float) -> StoreRequest[None]:
        """Store `content` with this key for `seconds`."""

    def close(self) -> None:
        """Close connections and files. The next request opens them again."""


def open_answers(url: Any, max_entries: int) -> AnswerStore:
    """Return the store of answers at `url`. If `url` is already a store object, return it unchanged. None means a new
    store in memory.

    Raises `ValueError` for any other value, and `StoreUnusable` for a file that cannot be used.
    """
    if url is None:
        return MemoryAnswers(max_entries)
    if isinstance(url, str):
        return opened_at(url, partial(_file, max_entries), _server, use="Storing answers", name="answers.db")
    known = all(callable(getattr(url, name, None)) for name in ("clock", "get", "put"))
    if isinstance(url, type) or not known:
        raise ValueError(
            f"Cache({shown(url)}): pass a URL such as sqlite:///path/answers.db or redis://host, an object with the "
            "methods of aws_bedrock_inference.caches.store.AnswerStore, or None to store answers in memory"
        )
    store: AnswerStore = url
    return store


def _file(max_entries: int, path: Path) -> AnswerStore:
    store = SqliteAnswers(path, max_entries)
    store.check()
    return store


def _server(url: str) -> AnswerStore:
    from aws_bedrock_inference.caches.valkey import ValkeyAnswers  # noqa: PLC0415 - redis-py is an extra

    return ValkeyAnswers(url)
