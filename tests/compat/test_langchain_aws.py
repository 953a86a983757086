"""langchain-aws, unmodified, against the simulator."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from langchain_aws import ChatBedrock, ChatBedrockConverse

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"


@pytest.fixture(params=[ChatBedrockConverse, ChatBedrock])
def chat(request: Any, endpoint: Any) -> Any:
    chat = request.param(model=MODEL, region_name="us-east-1", endpoint_url=endpoint.url, max_tokens=40)
    yield chat
    for client in (chat.client, chat.bedrock_client):
        client.close()


def test_an_answer_whole_and_streamed_say_the_same(chat: Any) -> None:
    whole = chat.invoke("Why is the sky blue?")
    pieces = list(chat.stream("Why is the sky blue?"))
    total = pieces[0]
    for piece in pieces[1:]:
        total += piece
    assert total.text == whole.text
    assert whole.usage_metadata["output_tokens"] == total.usage_metadata["output_tokens"] == 40


def test_an_error_is_botocores(chat: Any, endpoint: Any, signing: Any) -> None:
    endpoint.scenario(faults=[{"kind": "error", "code": "AccessDeniedException"}], **signing)
    with pytest.raises(ClientError, match="You don't have access to the model"):
        chat.invoke("Why is the sky blue?")
