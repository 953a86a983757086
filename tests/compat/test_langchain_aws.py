"""langchain-aws, unmodified, against the simulator."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from langchain_aws import BedrockEmbeddings, ChatBedrock, ChatBedrockConverse
from langchain_core.messages import HumanMessage, ToolMessage
from support.agents import CITY, QUESTION, Order

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"


@pytest.fixture(params=[ChatBedrockConverse, ChatBedrock])
def chat(request: Any, endpoint: Any) -> Any:
    chat = request.param(model=MODEL, region_name="us-east-1", endpoint_url=endpoint.url, max_tokens=40)
    yield chat
    for client in (chat.client, chat.bedrock_client):
        client.close()


def test_an_answer_and_a_stream_have_the_same_text(chat: Any) -> None:
    whole = chat.invoke("Why is the sky blue?")
    pieces = list(chat.stream("Why is the sky blue?"))
    total = pieces[0]
    for piece in pieces[1:]:
        total += piece
    assert total.text == whole.text
    assert whole.usage_metadata["output_tokens"] == total.usage_metadata["output_tokens"] == 40


def test_an_error_is_botocore_s_client_error(chat: Any, endpoint: Any, signing: Any) -> None:
    endpoint.scenario(faults=[{"kind": "error", "code": "AccessDeniedException"}], **signing)
    with pytest.raises(ClientError, match="You don't have access to the model"):
        chat.invoke("Why is the sky blue?")


def test_a_tool_with_a_nested_schema_is_called(chat: Any) -> None:
    chat.max_tokens = 400
    (call,) = chat.bind_tools([Order], tool_choice="Order").invoke("Hello").tool_calls
    Order.model_validate(call["args"])


def test_an_agent_with_two_tools_completes(chat: Any) -> None:
    chat.max_tokens = 400
    tools = [{"name": name, "description": name, "input_schema": CITY} for name in ("weather", "clock")]
    messages: list[Any] = [HumanMessage(QUESTION)]
    used = []
    while True:
        answer = chat.bind_tools(tools).invoke(messages)
        messages.append(answer)
        if not answer.tool_calls:
            break
        (call,) = answer.tool_calls
        used.append(call["name"])
        messages.append(ToolMessage("ok", tool_call_id=call["id"]))
    assert used == ["clock", "weather"]


def test_an_answer_in_json_matches_its_schema(chat: Any) -> None:
    chat.max_tokens = 400
    assert isinstance(chat.with_structured_output(Order).invoke("Hello"), Order)


def test_an_embedding_is_returned(endpoint: Any) -> None:
    embeddings = BedrockEmbeddings(model_id="amazon.titan-embed-text-v2:0", endpoint_url=endpoint.url)
    assert len(embeddings.embed_query("hello")) == 1024
    embeddings.client.close()
