"""The wire format of each operation: bodies in, bodies and event-stream frames out."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator import converse, frames, native, strict
from aws_bedrock_inference.simulator.error_texts import ServiceError, invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.simulator.answers import Answer, Prompt, Usage
    from aws_bedrock_inference.simulator.request import Asked


def parsed(body: bytes, asked: Asked) -> dict[str, Any]:
    """Return the JSON object of a request's body. Raises ServiceError."""
    try:
        found = strict.loads(body)
    except ValueError as error:
        raise (
            invalid("body", problem="not valid JSON") if asked.native else ServiceError("SerializationException")
        ) from error
    if not isinstance(found, dict):
        raise (
            invalid("body", problem="#: expected type: JSONObject")
            if asked.native
            else ServiceError("SerializationException")
        )
    return found


def prompt(body: dict[str, Any], asked: Asked) -> Prompt:
    """Return what the model is asked. Raises ServiceError for a body that is not of the model's family."""
    read: Callable[[dict[str, Any]], Prompt] = native.dialect(asked.base).read if asked.native else converse.read
    try:
        if asked.operation == "CountTokens":
            body, read = _counted(body["input"], asked)
        found = read(body)
        found.check()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise invalid("body", problem=f"{type(error).__name__} in the body") from error
    return found


def _counted(given: dict[str, Any], asked: Asked) -> tuple[dict[str, Any], Callable[[dict[str, Any]], Prompt]]:
    if "converse" in given:
        return given["converse"], converse.read
    try:
        body = strict.loads(b64decode(given["invokeModel"]["body"], validate=True))
    except (KeyError, ValueError) as error:
        raise invalid("body", problem="not valid JSON") from error
    return body, native.dialect(asked.base).read


def whole(asked: Asked, answer: Answer, usage: Usage, seconds: float) -> tuple[list[tuple[str, str]], bytes]:
    """Return headers and body of an answer in one piece."""
    milliseconds = round(seconds * 1000)
    if not asked.native:
        return [], _json(converse.body(answer, usage, milliseconds))
    headers = {
        "x-amzn-bedrock-invocation-latency": milliseconds,
        "x-amzn-bedrock-input-token-count": usage.input,
        "x-amzn-bedrock-output-token-count": usage.output,
    }
    body = native.dialect(asked.base).body(answer, usage, milliseconds)
    return [(name, str(value)) for name, value in headers.items()], _json(body)


def events(asked: Asked, answer: Answer, usage: Usage, seconds: float) -> list[tuple[str, bytes]]:
    """Return the events of a stream, each as name and payload."""
    milliseconds = round(seconds * 1000)
    if not asked.native:
        return [(name, _json(event)) for name, event in converse.events(answer, usage, milliseconds)]
    chunks = native.dialect(asked.base).chunks(answer, usage, milliseconds)
    return [("chunk", _json({"bytes": b64encode(_json(chunk)).decode()})) for chunk in chunks]


def exception(code: str, message: str) -> bytes:
    """Return the frame of an exception; its name begins with a small letter there."""
    return frames.exception(code[:1].lower() + code[1:], _json({"message": message}))


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
