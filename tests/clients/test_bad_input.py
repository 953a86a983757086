"""Invalid input is refused before it is sent, in a sentence that says what to change."""

from __future__ import annotations

from math import nan
from typing import Any

import boto3
import pytest
from support.answers import MESSAGES, REPLY
from support.client_faces import MODEL
from support.wire import Wire, answer

from aws_bedrock_inference import (
    AsyncBedrockClient,
    BedrockClient,
    BedrockStreamingClient,
    InvalidRequest,
    Pipeline,
    Quota,
    Refused,
    Timeout,
)

INVOKE: list[tuple[dict[str, Any], str]] = [
    ({}, "pass either prompt='...' or messages=[...]; neither was passed"),
    ({"prompt": "x", "messages": MESSAGES}, "both were passed"),
    ({"prompt": " \n"}, "prompt is blank; Bedrock refuses blank text"),
    ({"prompt": b"x"}, "prompt must be a string, not bytes"),
    ({"prompt": "x", "system": "  "}, "system is blank"),
    ({"messages": []}, "messages must be a list with at least one message: [{'role': 'user'"),
    ({"messages": ["x"]}, "messages[0] needs 'role' and 'content', such as {'role': 'user'"),
    ({"messages": [*MESSAGES, {"content": []}]}, "messages[1] needs 'role' and 'content'"),
    (
        {"messages": [{"role": "user", "content": [{"text": "x"}, {"text": ""}]}]},
        "messages[0]['content'][1]['text'] is blank",
    ),
    ({"prompt": "x", "max_tokens": 0}, "max_tokens=0: pass a whole number of tokens, at least 1"),
    ({"prompt": "x", "max_tokens": 1.5}, "max_tokens=1.5: pass a whole number"),
    ({"prompt": "x", "max_tokens": True}, "max_tokens=True: pass a whole number"),
    ({"prompt": "x", "temperature": 2}, "temperature=2: pass a number from 0 to 1"),
    ({"prompt": "x", "temperature": nan}, "temperature=nan: pass a number from 0 to 1"),
    ({"prompt": "x", "temperature": "hot"}, "temperature=<str>: pass a number from 0 to 1"),
    ({"prompt": "x", "stop_sequences": "END"}, "stop_sequences=<str>: pass a list of strings"),
    ({"prompt": "x", "stop_sequences": [""]}, "stop_sequences=[<str>]: pass a list of strings that are not empty"),
    ({"prompt": "x", "maxTokens": 5}, "did you mean 'inferenceConfig.maxTokens'?"),
    ({"prompt": "x", "temprature": 0.5}, "the request has no parameter 'temprature'; did you mean"),
    ({"prompt": "x", "guardrailConfig": {"trace": "enabled", "bogus": 1}}, "guardrailConfig has no parameter 'bogus'"),
]
CONVERSE: list[tuple[str, dict[str, Any], str]] = [
    ("converse", {"messages": "x"}, "converse: messages must be list or tuple, not str"),
    ("converse", {"max_tokens": 5, "messages": MESSAGES}, "did you mean 'inferenceConfig.maxTokens'?"),
    ("converse_stream", {"messages": [{"role": "user"}]}, "converse_stream: messages[0] needs 'content'"),
    ("invoke_model", {"body": {"a": 1}}, "invoke_model: body must be"),
    ("invoke_model_with_response_stream", {"bdy": b"{}"}, "did you mean 'body'?"),
    ("count_tokens", {}, "count_tokens: the request needs 'input'"),
]


@pytest.mark.parametrize(("arguments", "sentence"), INVOKE)
@pytest.mark.parametrize("method", ["invoke", "invoke_stream"])
def test_bad_arguments_of_invoke_are_refused_unsent(
    face: Any, method: str, arguments: dict[str, Any], sentence: str
) -> None:
    with Wire(answer(REPLY)) as wire:
        client = face.open(wire.url)
        with pytest.raises(InvalidRequest) as raised:
            face.get(getattr(client, method)(**arguments))
        assert sentence in str(raised.value)
        assert wire.received == []


@pytest.mark.parametrize(("method", "params", "sentence"), CONVERSE)
def test_bad_parameters_of_boto3s_methods_are_refused_unsent(
    face: Any, method: str, params: dict[str, Any], sentence: str
) -> None:
    with Wire(answer(REPLY)) as wire:
        client = face.open(wire.url)
        with pytest.raises(InvalidRequest) as raised:
            face.get(getattr(client, method)(**params))
        assert sentence in str(raised.value)
        assert wire.received == []


def test_a_refusal_names_the_argument_and_says_that_nothing_was_sent(face: Any) -> None:
    with Wire(answer(REPLY)) as wire, pytest.raises(InvalidRequest) as raised:
        face.get(face.open(wire.url).converse(messages=5))
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, Refused)
    assert (raised.value.model, raised.value.region) == (MODEL, "us-east-1")
    assert f"[converse on {MODEL} in us-east-1] Correct the request. Nothing was sent." in str(raised.value)


def test_the_advice_is_complete_without_the_message(face: Any) -> None:
    """Programs log `code` and `advice`, as the README does."""
    client = face.open("http://127.0.0.1:9")
    for problem, arguments in (
        ("prompt is blank", {"prompt": " "}),
        ("pass either prompt='...' or messages=[...]", {}),
        ("max_tokens=-1: pass a whole number of tokens", {"prompt": "Why?", "max_tokens": -1}),
        ("messages[0] needs 'role' and 'content'", {"messages": [{"role": "user"}]}),
        ("timeout=-1: pass seconds above 0", {"prompt": "Why?", "timeout": -1}),
    ):
        with pytest.raises(InvalidRequest) as raised:
            face.get(client.invoke(**arguments))
        assert raised.value.advice.startswith(problem)
        assert raised.value.advice.endswith(". Correct the request. Nothing was sent.")
        assert str(raised.value).count(problem) == 1


def test_a_refusal_shows_nothing_of_the_prompt(face: Any) -> None:
    with Wire(answer(REPLY)) as wire:
        client = face.open(wire.url)
        for wrong in (
            {"messages": [{"role": "user", "content": "TOP SECRET"}]},
            {"messages": MESSAGES, "system": "TOP SECRET"},
            {"messages": [{"role": "user", "content": [{"text": ["TOP SECRET"]}]}]},
        ):
            with pytest.raises(InvalidRequest) as raised:
                face.get(client.converse(**wrong))
            assert "SECRET" not in f"{raised.value}{raised.value!r}{raised.value.fault!r}"


@pytest.mark.parametrize("make", [BedrockClient, BedrockStreamingClient, AsyncBedrockClient])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model_id": ""}, "model_id='': pass a model id, inference profile id or ARN"),
        ({"model_id": None}, "model_id=None: pass a model id"),
        ({"quota": Quota(rpm=1), "pipeline": Pipeline()}, "pass either quota= or pipeline="),
        ({"timeout": 0}, "timeout=0: pass seconds above 0 for the whole call, or a Timeout for each attempt"),
        ({"timeout": nan}, "timeout=nan: pass seconds above 0"),
    ],
)
def test_a_client_with_invalid_options_is_not_created(make: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the sentence is asserted below
        make(**{"model_id": MODEL, "region_name": "us-east-1", **options})
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Timeout(idle=0), "Timeout(idle=0): pass a number of seconds above 0, or math.inf for no limit"),
        (lambda: Quota(rpm=0), "Quota(rpm=0): pass a number above 0, or omit it"),
    ],
)
def test_an_invalid_option_is_refused_with_the_valid_values(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the sentence is asserted below
        make()
    assert sentence in str(raised.value)


@pytest.mark.parametrize("make", [BedrockClient, AsyncBedrockClient])
def test_a_missing_region_is_refused_with_how_to_set_one(make: Any) -> None:
    with pytest.raises(Exception, match=r"region_name='us-east-1'.*AWS_DEFAULT_REGION"):
        make(MODEL, session=boto3.Session("AK", "SK"))
