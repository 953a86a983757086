"""Read the request bodies of each operation, and write the answers as bodies or as frames of an event stream."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator import converse, echoes, frames, native, strict
from aws_bedrock_inference.simulator.answers import GUARDRAIL
from aws_bedrock_inference.simulator.error_texts import ServiceError, invalid
from aws_bedrock_inference.simulator.model_rules import body_format, listed, tool_prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.simulator.answers import Answer, Prompt, Usage
    from aws_bedrock_inference.simulator.request import Asked

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def parsed(body: bytes, asked: Asked) -> dict[str, Any]:
    """Return the JSON object in the body of a request. Raises ServiceError."""
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
    """Return the prompt from the body of a request. Raises ServiceError for a body that is not in the format of the
    model family.
    """
    read: Callable[[dict[str, Any]], Prompt] = partial(native.read, asked) if asked.native else converse.read
    try:
        if asked.operation == "CountTokens":
            body, read = _counted(body["input"], asked)
        found = read(body)
        found.check()
        if found.offer.schemas:
            found.tokens += tool_prompt_tokens(asked.base, forced=found.offer.forced)
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
    return body, partial(native.read, asked._replace(format=body_format(asked.base, body)))


def whole(asked: Asked, answer: Answer, usage: Usage, seconds: float) -> tuple[list[tuple[str, str]], bytes]:
    """Return the headers and the body of an answer in one piece."""
    milliseconds = round(seconds * 1000)
    if not asked.native:
        return [], written(echoes.whole(asked, answer, usage, converse.body(answer, usage, milliseconds)))
    headers = {
        "x-amzn-bedrock-invocation-latency": milliseconds,
        "x-amzn-bedrock-input-token-count": usage.input,
        "x-amzn-bedrock-output-token-count": usage.output,
    }
    if listed("cache_headers", asked.base):
        headers["x-amzn-bedrock-cache-read-input-token-count"] = usage.cache_read
        headers["x-amzn-bedrock-cache-write-input-token-count"] = usage.cache_write
    body = native.dialect(asked).body(answer, usage, milliseconds)
    if answer.stop == GUARDRAIL:
        body["amazon-bedrock-guardrailAction"] = "INTERVENED"
    return [(name, str(value)) for name, value in headers.items()], written(body)


def events(asked: Asked, answer: Answer, usage: Usage, seconds: float) -> list[tuple[str, bytes]]:
    """Return the events of a stream, each with its name and its payload."""
    milliseconds = round(seconds * 1000)
    if not asked.native:
        named_events = echoes.events(asked, answer, usage, converse.events(answer, usage, milliseconds))
        return [(name, written(event)) for name, event in named_events]
    chunks = native.dialect(asked).chunks(answer, usage, milliseconds)
    return [("chunk", written({"bytes": b64encode(written(chunk)).decode()})) for chunk in chunks]


def exception(code: str, message: str) -> bytes:
    """Return the frame of an exception. In streams, the name of an exception begins with a lower-case letter."""
    return frames.exception(code[:1].lower() + code[1:], written({"message": message}))


def written(content: Any) -> bytes:
    """Return the content as JSON, with the spacing that the service uses."""
    return _ENCODER.encode(content).encode()
