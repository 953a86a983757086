"""Convert images and other media between base64 and bytes. In the JSON lines of batch files, media are base64. In
boto3's requests and answers of Converse, media are bytes.
"""

from __future__ import annotations

import base64
import json
from typing import Any


def with_bytes(value: Any) -> Any:
    """Return a Converse body with its media decoded from base64 to bytes. JSON in tool inputs and tool results is not
    changed.
    """
    if isinstance(value, list):
        return [with_bytes(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _decoded(part)
        if name in ("bytes", "redactedContent")
        else part
        if name in ("input", "json")
        else with_bytes(part)
        for name, part in value.items()
    }


def plain_json(answer: Any) -> Any:
    """Return an answer as JSON values, with its media encoded as base64. Raises `TypeError`, `ValueError` or
    `RecursionError` if the answer cannot be written as JSON.
    """
    return json.loads(json.dumps(answer, default=_base64))


def _decoded(text: Any) -> Any:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        return text  # the client reports the error


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
