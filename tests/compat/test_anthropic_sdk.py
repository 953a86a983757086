"""anthropic[bedrock], unmodified, against the simulator."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest
from support.agents import CITY, QUESTION, Order

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


def test_a_message_and_a_stream_have_the_same_answer(client: Any) -> None:
    whole = client.messages.create(**ASK)
    with client.messages.stream(**ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text
    assert final.stop_reason == whole.stop_reason == "max_tokens"
    assert final.usage.output_tokens == whole.usage.output_tokens == 40


def test_a_tool_is_called(client: Any) -> None:
    tool = {"name": "weather", "input_schema": {"type": "object", "properties": {}, "required": ["city"]}}
    answer = client.messages.create(**ASK, tools=[tool], tool_choice={"type": "tool", "name": "weather"})
    assert answer.stop_reason == "tool_use"
    assert answer.content[0].input == {"city": "simulated"}


def test_a_tool_with_a_nested_schema_in_a_stream(client: Any) -> None:
    tool = {"name": "book", "input_schema": Order.model_json_schema()}
    ask = {**ASK, "max_tokens": 400, "tools": [tool], "tool_choice": {"type": "any"}}
    with client.messages.stream(**ask) as stream:
        Order.model_validate(stream.get_final_message().content[0].input)


def test_an_agent_with_two_tools_completes(client: Any) -> None:
    used = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather."""
        used.append(("weather", city))
        return "rain"

    @anthropic.beta_tool(name="clock", input_schema=CITY)
    def clock(city: str) -> str:
        """The time."""
        used.append(("clock", city))
        return "12:00"

    ask = {**ASK, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 400}
    final = client.beta.messages.tool_runner(**ask, tools=[weather, clock]).until_done()
    assert used == [("clock", "simulated"), ("weather", "simulated")]
    assert final.stop_reason == "end_turn"


def test_an_answer_in_json_matches_its_schema(client: Any) -> None:
    answer = client.messages.parse(**{**ASK, "max_tokens": 400}, output_format=Order)
    assert isinstance(answer.parsed_output, Order)


def test_a_stream_contains_thinking_and_citations(client: Any) -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "Blue light is scattered."}
    document = {"type": "document", "source": source, "citations": {"enabled": True}}
    ask = {**ASK, "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    ask["messages"] = [{"role": "user", "content": [document, {"type": "text", "text": "Why?"}]}]
    whole = client.messages.create(**ask)
    with client.messages.stream(**ask) as stream:
        thinking, text = stream.get_final_message().content
    assert thinking.signature
    assert text.citations[0].cited_text == "Blue light is scattered."
    assert [(block.type, block.model_dump()) for block in whole.content] == [
        (thinking.type, thinking.model_dump()),
        (text.type, text.model_dump(exclude={"parsed_output"})),
    ]


def test_the_asyncio_client_works(endpoint: Any) -> None:
    async def ask() -> Any:
        async with (
            anthropic.AsyncAnthropicBedrock(base_url=endpoint.url, **OPTIONS) as client,
            client.messages.stream(**ASK) as stream,
        ):
            return [text async for text in stream.text_stream], (await client.messages.create(**ASK)).content

    streamed, whole = asyncio.run(ask())
    assert "".join(streamed) == whole[0].text


def test_a_throttle_raises_the_sdk_s_rate_limit_error(client: Any, endpoint: Any, signing: Any) -> None:
    endpoint.scenario(faults=[{"kind": "throttle"}], **signing)
    with pytest.raises(anthropic.RateLimitError, match="Too many requests"):
        client.messages.create(**ASK)


def test_a_bearer_token_is_accepted(endpoint: Any, monkeypatch: Any) -> None:
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
