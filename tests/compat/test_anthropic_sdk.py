"""anthropic[bedrock], unmodified, against the simulator."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
# Given, not left to the environment: the SDK keeps the first credentials it finds there for the life of the process.
OPTIONS: Any = {
    "aws_region": "us-east-1",
    "aws_access_key": "AKIDSIMULATOR",
    "aws_secret_key": "simulated-secret",
    "max_retries": 0,
}
ASK: Any = {"model": MODEL, "max_tokens": 40, "messages": [{"role": "user", "content": "Why is the sky blue?"}]}


@pytest.fixture
def client(endpoint: Any) -> Any:
    with anthropic.AnthropicBedrock(base_url=endpoint.url, **OPTIONS) as client:
        yield client


def test_a_message_whole_and_streamed_say_the_same(client: Any) -> None:
    whole = client.messages.create(**ASK)
    with client.messages.stream(**ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text
    assert final.stop_reason == whole.stop_reason == "max_tokens"
    assert final.usage.output_tokens == whole.usage.output_tokens == 40


def test_a_tool(client: Any) -> None:
    tool = {"name": "weather", "input_schema": {"type": "object", "properties": {}, "required": ["city"]}}
    answer = client.messages.create(**ASK, tools=[tool], tool_choice={"type": "tool", "name": "weather"})
    assert answer.stop_reason == "tool_use"
    assert answer.content[0].input == {"city": "simulated"}


def test_in_asyncio(endpoint: Any) -> None:
    async def ask() -> Any:
        async with (
            anthropic.AsyncAnthropicBedrock(base_url=endpoint.url, **OPTIONS) as client,
            client.messages.stream(**ASK) as stream,
        ):
            return [text async for text in stream.text_stream], (await client.messages.create(**ASK)).content

    streamed, whole = asyncio.run(ask())
    assert "".join(streamed) == whole[0].text


def test_a_throttle_is_its_rate_limit_error(client: Any, endpoint: Any, signing: Any) -> None:
    endpoint.scenario(faults=[{"kind": "throttle"}], **signing)
    with pytest.raises(anthropic.RateLimitError, match="Too many requests"):
        client.messages.create(**ASK)


def test_a_bearer_token(endpoint: Any, monkeypatch: Any) -> None:
    endpoint.scenario(credentials={"secret_key": "simulated-secret", "bearer_token": "good"})
    for token, outcome in (("good", "answered"), ("bad", "denied")):
        with anthropic.AnthropicBedrock(
            base_url=endpoint.url, aws_region="us-east-1", api_key=token, max_retries=0
        ) as client:
            try:
                assert client.messages.create(**ASK).content
                assert outcome == "answered"
            except anthropic.PermissionDeniedError:
                assert outcome == "denied"
