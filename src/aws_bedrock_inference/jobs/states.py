"""Read and write JSON objects in S3 that several processes change. Conditional writes prevent two processes from
overwriting each other's changes.

Each write states the version that it replaces (If-Match), or that no object exists (If-None-Match). If several
processes write at the same time, one write succeeds and the others are refused. S3 supports these conditions; other
endpoints can ignore or refuse them. `enforces` checks whether an endpoint enforces them.
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
"""The version of the format of the written objects. An object with a newer format is refused."""

ATTEMPT = "-attempt-"
"""The text between the token of a first job and the number of a job that replaces it."""

FAILURES = (BotoCoreError, ClientError, Refused)
"""The exceptions of an S3 client. A client that is wrapped by `resilient()` can also raise `Refused`."""

_ABSENT = frozenset({"404", "NoSuchKey"})

# The codes with which S3 refuses a conditional write, because another write came first or is in progress:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_LOST = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})

# Endpoints without conditions may answer 501 (RFC 9110).
_UNKNOWN = frozenset({"501", "NotImplemented"})


class Stored(NamedTuple):
    """An object in S3: its value, and its version (the ETag)."""

    value: dict[str, Any]
    etag: str


def attempts(token: str) -> Iterator[str]:
    """Yield the tokens that identify the jobs of one submission: `token`, `token-attempt-2`, `token-attempt-3` etc.

    If a job has failed or was stopped, the next token identifies the job that replaces it.
    """
    return (attempt_token(token, number) for number in count(1))


def attempt_token(token: str, number: int) -> str:
    """Return the token of the job with this number: `token` for job 1, and `token-attempt-2` for job 2.

    Job 2 replaces job 1 if job 1 has failed or was stopped. The token contains the word `attempt`, because `token-2`
    can be a token that the caller has chosen for other records.
    """
    return token if number == 1 else f"{token}{ATTEMPT}{number}"


def read(client: Any, place: S3Location) -> Stored | None:
    """Return the object at `place` in S3, or None if the object does not exist.

    Raises `ValueError` if the object is not the state of a job, or was written by a newer version of this package.
    Raises `OSError` for an error of S3.
    """
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
            f"{place} is not the state of a job. Pass the id that create_job returned. If you changed a file of the "
            "job, restore the file"
        )
    if value["format"] > FORMAT:
        raise ValueError(
            f"{place} was written by a newer version of aws-bedrock-inference. Upgrade it on this machine too"
        )
    return Stored(value, answer["ETag"])


def create(client: Any, place: S3Location, value: dict[str, Any]) -> Stored | None:
    """Write a new object, and return it. If the object already exists, do not write.

    * If the existing object has another value, return None.
    * If the existing object has the same value, return the existing object. This call may have written it: if the
      response to the first request was lost, the SDK sends the request again, and the second request is refused.

    An endpoint that does not support conditional writes overwrites an existing object.
    """
    return _written(client, place, value, IfNoneMatch="*")


def replace(client: Any, place: S3Location, old: Stored, value: dict[str, Any]) -> Stored | None:
    """Write `value` to the object if the object still has the version `old`, and return the new object.

    If the object has another version or does not exist, do not write:

    * If the object does not contain `value`, return None.
    * If the object already contains `value`, return the object. This call may have written it: if the response to the
      first request was lost, the SDK sends the request again, and the second request is refused.

    An endpoint that does not support conditional writes replaces the object even if it has another version.
    """
    return _written(client, place, value, IfMatch=old.etag)


def enforces(client: Any, place: S3Location, stored: Stored) -> bool:
    """Return whether the endpoint enforces conditional writes.

    `stored` is the object that exists at `place`. The check sends a request to create this object again, which an
    endpoint with conditional writes refuses. Any other endpoint writes the same value again, which changes nothing.
    """
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
    # If a response was lost, the SDK sends the request again. The repeated request then finds the object that the first
    # request has written.
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
