"""Convert dead letters to DynamoDB items and back. The module also reads the items of the example program in AWS's
documentation.

| Attribute | Type | Content |
|---|---|---|
| `id` | S | the key |
| `state`, `first` | S, N | the keys of the index `by-state` |
| `version`, `summary` | N, S | the part of the letter that changes: the number of changes, and the summary as JSON |
| `content`, `answer` | B | the request, and its answer |
| `content_at`, `answer_at` | S | replaces `content` or `answer` if it is stored in S3: the URI of the S3 object |
| `timestamp`, `cause` | S | for people who read the table |
| `expires` | N | the time after which a finished letter is deleted |
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer

from aws_bedrock_inference.deadletters.envelope import Envelope
from aws_bedrock_inference.deadletters.filters import time_of
from aws_bedrock_inference.deadletters.letter import Letter, Summary, summary_of, timestamp
from aws_bedrock_inference.deadletters.making import letter_of_error
from aws_bedrock_inference.deadletters.store import Record

LARGEST = 400_000
"""Maximum bytes of the content and the summary of a letter together.

An item has at most 400 KB (409,600 bytes), including the names of its attributes
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
"""


def item_of(summary: Summary) -> dict[str, Any]:
    """Return the attributes of a new or changed dead letter, without its content."""
    return {
        "id": {"S": summary.id},
        "state": {"S": summary.state},
        "first": {"N": repr(summary.first)},
        "version": {"N": str(summary.version)},
        "timestamp": {"S": timestamp(summary.first)},
        "cause": {"S": summary.cause},
        "summary": {"S": json.dumps(summary.plain(), separators=(",", ":"))},
    }


def summary_in(item: dict[str, Any]) -> Summary:
    """Return the summary of the dead letter in an item. Raises `LetterTooNew` if a newer version of this package wrote
    the item, and `ValueError` if the item is not a letter.
    """
    kept = item.get("summary", {}).get("S")
    return summary_of(json.loads(kept)) if kept is not None else _of_documents(item).summary


def record_of(item: dict[str, Any]) -> Record:
    """Return the complete dead letter that a DynamoDB item contains. Raises the same exceptions as `summary_in`."""
    content = item.get("content", {}).get("B")
    answer = item.get("answer", {}).get("B")
    packed = (
        bytes(content) if content is not None else Envelope().pack(_of_documents(item).content.plain(), sealed=False)
    )
    return Record(summary_in(item), packed, None if answer is None else bytes(answer))


def _of_documents(item: dict[str, Any]) -> Letter:
    """Return the dead letter in an item that the example program in AWS's documentation has written. Such a letter has
    version 0, because the program writes no version.
    """
    read = TypeDeserializer().deserialize
    members = {name: _native(read(value)) for name, value in item.items()}
    at = members.get("timestamp")
    first = time_of("timestamp", at, lambda: 0.0) if isinstance(at, str) and _is_time(at) else 0.0
    letter = letter_of_error(members.get("request"), str(members.get("error", "")), members.get("metadata"), first, {})
    plain = letter.summary.plain()
    known = {"id": str(members["id"]), "version": 0, "state": "redriven" if "retried" in members else "dead"}
    return Letter(summary_of({**plain, **known}), letter.content)


def _native(value: Any) -> Any:
    """Return a value in plain Python types. boto3's deserializer returns decimals for numbers and objects for bytes."""
    if isinstance(value, dict):
        return {name: _native(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_native(part) for part in value]
    if isinstance(value, Binary):
        return bytes(value)  # type: ignore[call-overload]  # the stubs lack its buffer protocol
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
