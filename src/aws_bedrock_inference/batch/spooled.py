"""A record as the journal keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.batch.answers import error_line, unexpected
from aws_bedrock_inference.batch.fates import encoded

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.fates import Asking
    from aws_bedrock_inference.batch.records import Record


class Spooled(NamedTuple):
    """A record's id, the digest of all that is asked, its text, and the error of one that cannot be written."""

    key: str
    asked: bytes
    source: str
    error: str = ""


def spooled(record: Record, asking: Asking) -> Spooled:
    """Return the record as the journal keeps it."""
    error = ""
    try:
        text = encoded(record.source)
    except (RecursionError, TypeError, ValueError) as trouble:
        text = encoded({"id": record.key})
        error = encoded(error_line(unexpected(trouble), 0))
    return Spooled(record.key, asking.digest(record, text), text, error)
