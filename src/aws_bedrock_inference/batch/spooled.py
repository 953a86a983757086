"""Convert a record into the form in which the journal stores it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.batch.answers import error_line, unexpected
from aws_bedrock_inference.batch.fates import encoded

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.fates import Asking
    from aws_bedrock_inference.batch.records import Record


class Spooled(NamedTuple):
    """A record in the form in which the journal stores it.

    `key` is the id of the record, `asked` is the digest of its request, and `source` contains its fields as JSON. If
    the fields cannot be written as JSON, `source` contains only the id, and `error` contains the error.
    """

    key: str
    asked: bytes
    source: str
    error: str = ""


def spooled(record: Record, asking: Asking) -> Spooled:
    """Return the record in the form in which the journal stores it."""
    error = ""
    try:
        text = encoded(record.source)
    except (RecursionError, TypeError, ValueError) as trouble:
        text = encoded({"id": record.key})
        error = encoded(error_line(unexpected(trouble), 0))
    return Spooled(record.key, asking.digest(record, text), text, error)
