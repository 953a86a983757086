"""Errors of a table, or of the bucket beside it, in one sentence each."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)

from aws_bedrock_inference.deadletters.letter import LetterTooNew
from aws_bedrock_inference.fault import Decision
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.stores.request import StoreUnavailable, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

# What boto3 itself refuses until somebody changes something.
_LASTING = (
    NoRegionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    InvalidRegionError,
    ParamValidationError,
)

# Characters of a message of the service that are shown.
_LONGEST = 300

# DynamoDB's words for it, and those of moto.
_NO_INDEX = ("does not have the specified index", "Invalid index: ")


def code_of(error: ClientError) -> str:
    """Return the code of an error."""
    code: str = error.response.get("Error", {}).get("Code", "")
    return code


def lacks_index(error: ClientError) -> bool:
    """Return whether a query failed because the table has no index."""
    return any(words in str(error) for words in _NO_INDEX)


def is_too_large(error: ClientError) -> bool:
    """Return whether an item has grown beyond what DynamoDB holds."""
    return code_of(error) == "ValidationException" and "size" in str(error) and "exceeded" in str(error)


@contextmanager
def told(place: str, table: str) -> Iterator[None]:
    """Raise what AWS or boto3 say as `StoreUnavailable`, or `StoreUnusable` where somebody must change something."""
    try:
        yield
    except LetterTooNew as error:
        raise StoreUnusable(
            f"{place}: a letter in it was written by a newer version of this package ({error}): update "
            "aws-bedrock-inference here"
        ) from error
    except ClientError as error:
        raise _of_aws(place, table, error) from error
    except BotoCoreError as error:
        kind = StoreUnusable if isinstance(error, _LASTING) else StoreUnavailable
        raise kind(f"{place} cannot be used: {masked(' '.join(str(error).split()))}") from error
    except ValueError as error:
        # An item that is no letter, or an endpoint that is no URL.
        raise StoreUnusable(f"{place} cannot be used: {masked(str(error))}") from error


def _of_aws(place: str, table: str, error: ClientError) -> StoreUnavailable:
    code, operation = code_of(error), error.operation_name
    if code == "ResourceNotFoundException":
        return StoreUnusable(
            f"{place} does not exist: make it with `bedrock dlq create --store {table}`, or by create() of the queue"
        )
    if code == "NoSuchBucket":
        return StoreUnusable(f"{place}: the S3 bucket for large letters does not exist: make it, or name another one")
    explained = explain(error, service="dynamodb")
    message = masked(str(error.response.get("Error", {}).get("Message", "")), accounts=True)[:_LONGEST]
    what = f"{place}: {operation} failed with {code or 'an error'} ({message})."
    do = f" {explained.remedies[0].do}" if explained.remedies else ""
    kind = StoreUnusable if explained.decision is Decision.FAIL else StoreUnavailable
    return kind(what + do)
