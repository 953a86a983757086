"""Create answers that do not come from a model, such as a fixed text, in the form of a model's answers."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.dialects.stream import Transcript

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.response import StreamingBody

_END = "end_turn"
_NOTHING = {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}


def said(text: str) -> dict[str, Any]:
    """Return the member `output` of a Converse response, with this text as the answer."""
    return {"message": {"role": "assistant", "content": [{"text": text}]}}


def response(
    answer: str | Mapping[str, Any], *, stop_reason: str = _END, request_id: str | None = None
) -> dict[str, Any]:
    """Return a response of Converse with `answer`: a text, or a dictionary with some members of the response. The usage
    of the response is zero.
    """
    own = {"output": said(answer)} if isinstance(answer, str) else dict(answer)
    return {
        "stopReason": stop_reason,
        "usage": dict(_NOTHING),
        "metrics": {"latencyMs": 0},
        "ResponseMetadata": _metadata(request_id),
        **own,
    }


def native_response(body: bytes | Mapping[str, Any], *, request_id: str | None = None) -> dict[str, Any]:
    """Return a response of InvokeModel with `body`, which must have the model's own form."""
    content = json.dumps(body).encode() if not isinstance(body, bytes) else body
    return {
        "body": _readable(content),
        "contentType": "application/json",
        "ResponseMetadata": _metadata(request_id),
    }


def _readable(content: bytes) -> StreamingBody:
    from botocore.response import StreamingBody  # noqa: PLC0415 - slow to import

    return StreamingBody(BytesIO(content), len(content))


def read_again(answer: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Read the body of `answer`, a response of InvokeModel. A body can be read only once.

    Return two values:

    * a copy of `answer` with a new body, which the caller can read
    * the parsed body, or None if the body is not JSON
    """
    content = answer["body"].read()
    again = {**answer, "body": _readable(content)}
    try:
        return again, json.loads(content)
    except (ValueError, RecursionError):
        return again, None


def events(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the events with which ConverseStream would send `answer`, a response of Converse."""
    message = answer["output"]["message"]
    given: list[dict[str, Any]] = [{"messageStart": {"role": message.get("role", "assistant")}}]
    for index, block in enumerate(message["content"]):
        given += _block(index, block)
    stop = {name: answer[name] for name in ("stopReason", "additionalModelResponseFields") if name in answer}
    beside = {name: answer[name] for name in ("usage", "metrics", "trace") if name in answer}
    return [*given, {"messageStop": stop}, {"metadata": beside}]


def text_events(text: str) -> list[dict[str, Any]]:
    """Return the events of a text block that is the first block of its message."""
    return _block(0, {"text": text})


def transcript_of(items: list[dict[str, Any]]) -> Transcript:
    """Return a `Transcript` (it follows a stream) that has read the events `items`."""
    transcript = Transcript()
    for item in items:
        transcript.add(item)
    return transcript


def _block(index: int, block: Mapping[str, Any]) -> list[dict[str, Any]]:
    stop = {"contentBlockStop": {"contentBlockIndex": index}}
    use = block.get("toolUse")
    if use is None:
        return [{"contentBlockDelta": {"contentBlockIndex": index, "delta": dict(block)}}, stop]
    start = {name: value for name, value in use.items() if name != "input"}
    delta = {"toolUse": {"input": json.dumps(use.get("input", {}))}}
    return [
        {"contentBlockStart": {"contentBlockIndex": index, "start": {"toolUse": start}}},
        {"contentBlockDelta": {"contentBlockIndex": index, "delta": delta}},
        stop,
    ]


def _metadata(request_id: str | None) -> dict[str, Any]:
    known = {"RequestId": request_id} if request_id else {}
    return {**known, "HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}
