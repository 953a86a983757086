"""Read objects in S3 as input. An object is read in pieces, while the records in it are processed."""

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

# Bytes per piece. Each piece is a separate request. With one long request, S3 would close the connection while a slow
# run does not read.
_PIECE = 8 << 20

# If the connection breaks while a piece is read, this module requests the piece again, because the SDK retries only
# requests and not the reading of their bodies.
_REPEATS = 2
_BROKEN_OFF = (ResponseStreamingError, IncompleteReadError, ReadTimeoutError)

_ABSENT = ("404", "NoSuchKey")
_CHANGED = ("412", "PreconditionFailed")


class S3Location(NamedTuple):
    """The location of one object in S3, or of all objects whose keys start with `key`."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, text: str) -> S3Location | None:
        """Return the location of an S3 URL, or None if `text` is not an S3 URL. Raises `ValueError` if the URL names
        no bucket.
        """
        if not text.lower().startswith(_SCHEME):
            return None
        bucket, _, key = text[len(_SCHEME) :].partition("/")
        if not bucket:
            raise ValueError(f"{text} contains no bucket. Write s3://BUCKET/KEY")
        return cls(bucket, key)


class S3Object(NamedTuple):
    """An object in S3, with its size and version as they were when the object was listed."""

    location: S3Location
    size: int
    etag: str


def listed(client: Any, location: S3Location) -> Iterator[S3Object]:
    """Yield the object at `location`. If this object does not exist, or if the key ends with `/`, yield the objects
    whose keys start with this key.

    Empty objects are omitted. Objects such as `_SUCCESS`, with `_` or `.` after the last `/` of the key, are omitted as
    well: programs write them as markers, not as data.

    Raises `OSError` if S3 returns an error. The message contains this error and the remedy.
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
    """Return a file that reads the object. Reading raises `OSError` if S3 fails, or if the object has changed since
    it was listed.
    """
    return io.BufferedReader(_Pieces(client, item))


class _Pieces(io.RawIOBase):
    """The bytes of an object in S3, requested in pieces."""

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
    try:
        return ask()
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] in _CHANGED:
            raise OSError(f"{location} changed while it was read. Run the command again") from None
        raise failure(location, error) from error


def failure(location: S3Location, error: Exception) -> OSError:
    """Return the exception for an error of S3. Its message contains the error and the remedy."""
    fault = classify(error)
    return OSError(f"{location}: {fault}. {fault.advice}")
