"""CountTokens where AWS does not count: inference profiles, and models that only profiles can call."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import unquote

import pytest
from support.answers import MESSAGES, THROTTLED, fault
from support.wire import Wire, answer

from aws_bedrock_inference import InvalidByService, NotFound
from aws_bedrock_inference.clients import counting

PROFILE = "us.anthropic.claude-sonnet-4-6"
BASE = "anthropic.claude-sonnet-4-6"
INPUT: dict[str, Any] = {"converse": {"messages": MESSAGES}}
NOT_COUNTED = fault(400, "ValidationException", "The provided model doesn't support counting tokens.")
COUNTED = answer({"inputTokens": 12})


def asked(wire: Wire) -> list[str]:
    return [unquote(each.target).removeprefix("/model/").removesuffix("/count-tokens") for each in wire.received]


def count(face: Any, client: Any, model: str = PROFILE, content: Any = INPUT) -> Any:
    return face.get(client.count_tokens(modelId=model, input=content))


def test_a_profile_that_cannot_be_counted_is_counted_by_its_model_from_then_on(face: Any) -> None:
    with Wire(NOT_COUNTED, COUNTED) as wire:
        client = face.open(wire.url)
        first, second = count(face, client), count(face, client)
    assert first["inputTokens"] == second["inputTokens"] == 12
    assert "estimated" not in first | second
    assert asked(wire) == [PROFILE, BASE, BASE]


def test_a_profile_that_can_be_counted_is_not_replaced(face: Any) -> None:
    with Wire(COUNTED) as wire:
        count(face, face.open(wire.url))
    assert asked(wire) == [PROFILE]


@pytest.mark.parametrize(
    "second",
    [
        NOT_COUNTED,
        fault(400, "ValidationException", "The provided model identifier is invalid."),
        fault(400, "ValidationException", "Invocation of model ID m with on-demand throughput isn't supported."),
        fault(403, "AccessDeniedException", "User is not authorized to perform bedrock:CountTokens on this resource"),
        fault(404, "ResourceNotFoundException", "Could not resolve the foundation model."),
    ],
)
def test_a_model_that_cannot_be_counted_is_estimated_after_one_request(
    face: Any, caplog: pytest.LogCaptureFixture, second: bytes
) -> None:
    caplog.set_level(logging.WARNING, "aws_bedrock_inference")
    with Wire(NOT_COUNTED, second) as wire:
        client = face.open(wire.url)
        first, again = count(face, client), count(face, client)
    assert 4 <= first["inputTokens"] <= 12
    assert first == again
    assert first["estimated"] is True
    assert asked(wire) == [PROFILE, BASE]
    lines = [record.getMessage() for record in caplog.records if "returns estimates for" in record.getMessage()]
    assert len(lines) == 1
    assert PROFILE in lines[0]
    assert "request-1" in lines[0]


def test_one_request_that_cannot_be_counted_does_not_mark_the_model(face: Any) -> None:
    too_long = fault(400, "ValidationException", "Input is too long for requested model.")
    with Wire(NOT_COUNTED, too_long, NOT_COUNTED, COUNTED) as wire:
        client = face.open(wire.url)
        with pytest.raises(InvalidByService, match="too long"):
            count(face, client)
        assert "estimated" not in count(face, client)
    assert asked(wire) == [PROFILE, BASE, PROFILE, BASE]


def test_the_tokens_of_a_body_are_estimated_too(face: Any) -> None:
    with Wire(NOT_COUNTED) as wire:
        body = b'{"messages": [{"role": "user", "content": "Why is the sky blue?"}]}'
        response = count(face, face.open(wire.url), BASE, {"invokeModel": {"body": body}})
    assert response["estimated"] is True
    assert 4 <= response["inputTokens"] <= 12
    assert asked(wire) == [BASE]


def test_an_unrelated_refusal_is_raised(face: Any) -> None:
    with Wire(fault(400, "ValidationException", "The provided model identifier is invalid.")) as wire:
        client = face.open(wire.url)
        with pytest.raises(NotFound):
            count(face, client)
    assert asked(wire) == [PROFILE]


def test_a_throttle_is_retried_and_does_not_count_as_a_refusal(face: Any) -> None:
    with Wire(NOT_COUNTED, THROTTLED, COUNTED) as wire:
        client = face.open(wire.url)
        assert count(face, client)["inputTokens"] == 12
    assert asked(wire) == [PROFILE, BASE, BASE]


def test_the_number_of_remembered_ids_is_bounded(face: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_MOST", 2)
    with Wire(NOT_COUNTED) as wire:
        client = face.open(wire.url)
        for number in (1, 2, 3, 3, 1):
            count(face, client, f"acme.model-{number}")
    assert asked(wire) == [f"acme.model-{number}" for number in (1, 2, 3, 1)]
