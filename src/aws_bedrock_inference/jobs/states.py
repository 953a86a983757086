"""Objects of JSON in S3 that several processes write. Each write names the version that it replaces (If-Match) or says
that there is none yet (If-None-Match), so that of several writers one wins and the others know it.

S3 has these conditions; other endpoints may ignore or refuse them. `enforces` finds out which it is.
"""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from aws_bedrock_inference.exceptions import Refused
from aws_bedrock_inference.s3 import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.s3 import S3Location

FORMAT = 1
"""The version of what is written. A newer one is refused."""

FAILURES = (BotoCoreError, ClientError, Refused)
"""The exceptions of a client of S3; `Refused` where it is wrapped in `resilient()`."""

_ABSENT = frozenset({"404", "NoSuchKey"})

# Another write came first, or is being made: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_LOST = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})

# Endpoints that know no conditions answer so (RFC 9110, 501).
_UNKNOWN = frozenset({"501", "NotImplemented"})


class Stored(NamedTuple):
    """The value of an object, and the version that it has."""

    value: dict[str, Any]
    etag: str


def attempts(token: str) -> Iterator[str]:
    """Yield the token, and then those for what follows a job that failed or was stopped."""
    yield token
    yield from (f"{token}-{number}" for number in count(2))


def read(client: Any, place: S3Location) -> Stored | None:
    """Return the object, None if there is none. Raises `ValueError` for one of a newer version, `OSError`."""
    try:
        answer = client.get_object(Bucket=place.bucket, Key=place.key)
        value = json.loads(answer["Body"].read())
    except FAILURES as error:
        if _code(error) in _ABSENT:
            return None
        raise failure(place, error) from error
    except ValueError:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("format"), int):
        raise ValueError(  # noqa: TRY004 - the id is wrong, not the argument
            f"{place} is not the state of a job. Give the id as it was returned, and leave its files alone"
        )
    if value["format"] > FORMAT:
        raise ValueError(f"{place} was written by a newer version of aws-bedrock-inference. Upgrade it here, too")
    return Stored(value, answer["ETag"])


def create(client: Any, place: S3Location, value: dict[str, Any]) -> Stored | None:
    """Write an object that is not there yet; None if there is one. Where the endpoint knows no conditions, it is
    written in any case.
    """
    return _written(client, place, value, IfNoneMatch="*")


def replace(client: Any, place: S3Location, old: Stored, value: dict[str, Any]) -> Stored | None:
    """Write `value` in the place of `old`; None if another version stands there now. As in `create`, where the endpoint
    knows no conditions.
    """
    return _written(client, place, value, IfMatch=old.etag)


def enforces(client: Any, place: S3Location, stored: Stored) -> bool:
    """Return whether the endpoint keeps an object that exists from being created again. If not, it is written anew."""
    try:
        _put(client, place, stored.value, IfNoneMatch="*")
    except FAILURES as error:
        return _code(error) in _LOST
    return False


def _written(client: Any, place: S3Location, value: dict[str, Any], **condition: str) -> Stored | None:
    try:
        return Stored(value, _put(client, place, value, **condition))
    except FAILURES as error:
        code = _code(error)
        if code in _UNKNOWN:
            return Stored(value, _put(client, place, value))
        if code not in _LOST | _ABSENT:
            raise failure(place, error) from error
    # The SDK repeats a request whose answer was lost, and the repeat finds what the first one wrote.
    now = read(client, place)
    return now if now is not None and now.value == value else None


def _put(client: Any, place: S3Location, value: dict[str, Any], **condition: str) -> str:
    body = json.dumps(value, indent=1).encode()
    answer = client.put_object(
        Bucket=place.bucket, Key=place.key, Body=body, ContentType="application/json", **condition
    )
    etag: str = answer["ETag"]
    return etag


def _code(error: Exception) -> str:
    return str(error.response["Error"].get("Code", "")) if isinstance(error, ClientError) else ""
