"""Convert errors of the DynamoDB table and its bucket into `StoreUnavailable` and `StoreUnusable`."""

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

# Errors of boto3 that continue until a person changes something.
_LASTING = (
    NoRegionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    InvalidRegionError,
    ParamValidationError,
)

# Maximum characters of a service message in an exception.
_LONGEST = 300

# The messages of DynamoDB and of moto for a missing index.
_NO_INDEX = ("does not have the specified index", "Invalid index: ")


def code_of(error: ClientError) -> str:
    """Return the code of an error."""
    code: str = error.response.get("Error", {}).get("Code", "")
    return code


def lacks_index(error: ClientError) -> bool:
    """Return whether a query failed because the table has no index."""
    return any(words in str(error) for words in _NO_INDEX)


def is_too_large(error: ClientError) -> bool:
    """Return whether an item is larger than DynamoDB allows."""
    return code_of(error) == "ValidationException" and "size" in str(error) and "exceeded" in str(error)


@contextmanager
def store_errors(place: str, table: str) -> Iterator[None]:
    """Run the `with` block, and convert the errors of AWS and boto3 that it raises.

    If a person must change something, such as create a missing table, the error becomes `StoreUnusable`. Any other
    error, such as a timeout, becomes `StoreUnavailable`.
    """
    try:
        yield
    except LetterTooNew as error:
        raise StoreUnusable(
            f"{place} contains a letter of a newer version of this package ({error}). Update "
            "aws-bedrock-inference on this machine"
        ) from error
    except ClientError as error:
        raise _of_aws(place, table, error) from error
    except BotoCoreError as error:
        kind = StoreUnusable if isinstance(error, _LASTING) else StoreUnavailable
        raise kind(f"{place} cannot be used: {masked(' '.join(str(error).split()))}") from error
    except ValueError as error:
        # An item is not a letter, or the endpoint is not a URL.
        raise StoreUnusable(f"{place} cannot be used: {masked(str(error))}") from error


def _of_aws(place: str, table: str, error: ClientError) -> StoreUnavailable:
    code, operation = code_of(error), error.operation_name
    if code == "ResourceNotFoundException":
        return StoreUnusable(
            f"{place} does not exist. Create it with `bedrock dlq create --store {table}`, or with queue.create()"
        )
    if code == "NoSuchBucket":
        return StoreUnusable(
            f"{place}: the S3 bucket for large dead letters does not exist. Create it, or name another bucket"
        )
    explained = explain(error, service="dynamodb")
    message = masked(str(error.response.get("Error", {}).get("Message", "")), accounts=True)[:_LONGEST]
    what = f"{place}: {operation} failed with {code or 'an error'} ({message})."
    do = f" {explained.remedies[0].do}" if explained.remedies else ""
    kind = StoreUnusable if explained.decision is Decision.FAIL else StoreUnavailable
    return kind(what + do)
