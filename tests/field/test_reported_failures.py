"""Errors that the model's server writes into an answer with status 200: each is a fault, never an answer."""

from __future__ import annotations

from typing import Any

import pytest
from support.answers import chunk
from support.wire import Wire, answer, stream

from aws_bedrock_inference import Pipeline, ServiceFault, StreamBroken
from aws_bedrock_inference.dialects.failed import Failure, failure_of

VLLM = {"error": {"message": "TimeoutError", "type": "GatewayTimeout", "param": None, "code": 504}}
LIMITED = {"error": {"message": "Rate limit reached", "type": "tokens", "code": "rate_limit_exceeded"}}
CLAUDE = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
OLD_VLLM = {"object": "error", "message": "Input too long", "type": "BadRequestError", "code": 400}
SAID = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]}
ENDED = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (VLLM, Failure("GatewayTimeout", "TimeoutError", 504)),
        (LIMITED, Failure("rate_limit_exceeded", "Rate limit reached", None)),
        (CLAUDE, Failure("overloaded_error", "Overloaded", None)),
        (OLD_VLLM, Failure("BadRequestError", "Input too long", 400)),
        ({"type": "error"}, Failure()),
        ({"error": {"code": True, "message": 5, "type": ""}}, Failure()),
        ({"error": {"code": 200, "message": "x"}}, Failure("", "x", None)),
        ({"error": None, "choices": []}, None),
        ({"error": {}, "choices": []}, None),
        ({"images": [], "error": "blocked by our content filters"}, None),
        ({"type": "message", "content": []}, None),
        (SAID, None),
    ],
)
def test_the_forms_of_an_error_in_an_answer(body: dict[str, Any], failure: Failure | None) -> None:
    assert failure_of(body) == failure


def streamed(client_face: Any, client: Any) -> list[Any]:
    return list(client_face.items(client_face.get(client.invoke_model_with_response_stream(body=b"{}"))["body"]))


@pytest.mark.parametrize("error", [VLLM, LIMITED, CLAUDE])
def test_an_error_before_the_content_is_retried(client_face: Any, error: dict[str, Any]) -> None:
    with Wire(stream(chunk(error), chunk(ENDED)), stream(chunk(SAID), chunk(ENDED))) as wire:
        assert len(streamed(client_face, client_face.open(wire.url))) == 2
        assert len(wire.received) == 2
    with Wire(answer(error), answer({"choices": [{"message": {"content": "hi"}}]})) as wire:
        body = client_face.get(client_face.open(wire.url).invoke_model(body=b"{}"))["body"].read()
        assert (b"hi" in body, len(wire.received)) == (True, 2)


def test_an_error_after_the_content_breaks_the_stream(client_face: Any) -> None:
    with Wire(stream(chunk(SAID), chunk(VLLM), chunk(ENDED))) as wire, pytest.raises(StreamBroken) as raised:
        streamed(client_face, client_face.open(wire.url))
    assert (raised.value.code, raised.value.fault.status, raised.value.received) == ("GatewayTimeout", 504, "hi")


def test_an_invalid_request_is_not_sent_again(client_face: Any) -> None:
    with Wire(answer(OLD_VLLM)) as wire, pytest.raises(ServiceFault, match="Input too long"):
        client_face.get(client_face.open(wire.url).invoke_model(body=b"{}"))
    assert len(wire.received) == 1


def test_an_error_without_a_code_has_aws_s_code(client_face: Any) -> None:
    with Wire(answer({"error": {"message": "boom"}})) as wire, pytest.raises(ServiceFault, match="boom") as raised:
        client_face.get(client_face.open(wire.url, pipeline=Pipeline()).invoke_model(body=b"{}"))
    assert (raised.value.code, raised.value.request_id) == ("ModelErrorException", "request-1")
