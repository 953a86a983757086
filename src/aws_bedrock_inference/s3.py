"""Objects of S3 as input, read piece by piece over any time that a run takes."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from aws_bedrock_inference.knowledge.classify import classify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SCHEME = "s3://"

# Each piece is a request of its own, as large as this: a connection that a slow run leaves idle would be cut.
_PIECE = 8 << 20

# A piece that breaks off is asked for again; the SDK repeats requests, but not the reading of their answers.
_REPEATS = 2
_BROKEN_OFF = (ResponseStreamingError, IncompleteReadError, ReadTimeoutError)

_ABSENT = ("404", "NoSuchKey")
_CHANGED = ("412", "PreconditionFailed")


class S3Location(NamedTuple):
    """An object, or all objects whose keys begin with `key`."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, text: str) -> S3Location | None:
        """Return the location that a URL names, None for a text that is no such URL. Raises `ValueError`."""
        if not text.lower().startswith(_SCHEME):
            return None
        bucket, _, key = text[len(_SCHEME) :].partition("/")
        if not bucket:
            raise ValueError(f"{text} contains no bucket. Write s3://BUCKET/KEY")
        return cls(bucket, key)


class S3Object(NamedTuple):
    """An object as it was when it was listed."""

    location: S3Location
    size: int
    etag: str


def listed(client: Any, location: S3Location) -> Iterator[S3Object]:
    """Yield the object at `location`; where there is none, or it ends with `/`, the objects whose keys begin so.

    Objects without content and those whose names begin with `_` or `.`, which mark that others are complete, are left
    out. Raises `OSError`, with what S3 said and what to do.
    """
    if location.key and not location.key.endswith("/"):
        found = _head(client, location)
        if found is not None:
            yield found
            return
    pages = iter(client.get_paginator("list_objects_v2").paginate(Bucket=location.bucket, Prefix=location.key))
    while page := _asked(location, lambda: next(pages, None)):
        for item in page.get("Contents", ()):
            if item["Size"] and not item["Key"].rpartition("/")[2].startswith(("_", ".")):
                yield S3Object(S3Location(location.bucket, item["Key"]), item["Size"], item["ETag"])


def opened(client: Any, item: S3Object) -> io.BufferedReader:
    """Return a file that reads the object. Reading raises `OSError`, also when the object has changed meanwhile."""
    return io.BufferedReader(_Pieces(client, item))


class _Pieces(io.RawIOBase):
    """The bytes of an object, asked for piece by piece."""

    def __init__(self, client: Any, item: S3Object) -> None:
        self._client = client
        self._item = item
        self._at = 0
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._piece and self._at < self._item.size:
            self._piece = memoryview(_asked(self._item.location, self._get))
            self._at += len(self._piece)
        length = min(len(buffer), len(self._piece))
        buffer[:length] = self._piece[:length]
        self._piece = self._piece[length:]
        return length

    def _get(self) -> bytes:
        location, _, etag = self._item
        wanted = f"bytes={self._at}-{self._at + _PIECE - 1}"

        def piece() -> bytes:
            answer = self._client.get_object(Bucket=location.bucket, Key=location.key, Range=wanted, IfMatch=etag)
            return bytes(answer["Body"].read())

        for _ in range(_REPEATS):
            with contextlib.suppress(*_BROKEN_OFF):
                return piece()
        return piece()


def _head(client: Any, location: S3Location) -> S3Object | None:
    """Return the object, None if there is none of this key."""

    def ask() -> Any:
        try:
            return client.head_object(Bucket=location.bucket, Key=location.key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return None
            raise

    found = _asked(location, ask)
    return S3Object(location, found["ContentLength"], found["ETag"]) if found else None


def _asked(location: S3Location, ask: Callable[[], Any]) -> Any:
    """Return what S3 answers."""
    try:
        return ask()
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] in _CHANGED:
            raise OSError(f"{location} changed while it was read. Run the command again") from None
        raise failure(location, error) from error


def failure(location: S3Location, error: Exception) -> OSError:
    """Return the exception for an error of S3: what it said, and what to do."""
    fault = classify(error)
    return OSError(f"{location}: {fault}. {fault.advice}")
