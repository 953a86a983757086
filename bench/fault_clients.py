"""One client of bench/faults.py as a process of its own: it makes one call and says what its caller got.

`fault_clients.py CLIENT` reads one line of JSON, {"url", "ask"}, and writes one: {"text"} of a call that returned, or
{"error"} of one that raised. `ask` is `whole`, `stream` or `tool`; the text of a tool call is the JSON of its input.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

REGION = "us-east-1"
MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
PROMPT = "Why is the sky blue?"
MAX_TOKENS = 600
NAME = "save_note"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("title", "text", "author")},
    "required": ["title", "text", "author"],
}
TOOL = {"toolSpec": {"name": NAME, "description": "Saves a note.", "inputSchema": {"json": SCHEMA}}}
MESSAGES = [{"role": "user", "content": [{"text": PROMPT}]}]


def ours(url: str, ask: str, **options: Any) -> str:
    from aws_bedrock_inference import BedrockClient

    tools = {"tools": [TOOL], "toolChoice": {"any": {}}} if ask == "tool" else None
    with BedrockClient(MODEL, region_name=REGION, endpoint_url=url) as client:
        if ask == "whole":
            return client.invoke(PROMPT, max_tokens=MAX_TOKENS).text
        stream = client.invoke_stream(PROMPT, max_tokens=MAX_TOKENS, tools=tools, **options)
        text = "".join(stream)
        return text if ask == "stream" else _input(stream.reply.output["message"]["content"])


def ours_continuing(url: str, ask: str) -> str:
    return ours(url, ask, on_interrupt="continue")


def boto3_with(url: str, ask: str, **config: Any) -> str:
    import boto3
    from botocore.config import Config

    client = boto3.client("bedrock-runtime", region_name=REGION, endpoint_url=url, config=Config(**config))
    params: dict[str, Any] = {"modelId": MODEL, "messages": MESSAGES, "inferenceConfig": {"maxTokens": MAX_TOKENS}}
    if ask == "whole":
        return str(client.converse(**params)["output"]["message"]["content"][0]["text"])
    if ask == "tool":
        params["toolConfig"] = {"tools": [TOOL], "toolChoice": {"any": {}}}
    pieces = []
    for event in client.converse_stream(**params)["stream"]:
        delta = event.get("contentBlockDelta", {}).get("delta", {})
        pieces.append(delta.get("text") or delta.get("toolUse", {}).get("input") or "")
    return "".join(pieces)


def boto3_as_it_is(url: str, ask: str) -> str:
    return boto3_with(url, ask)


def boto3_tuned(url: str, ask: str) -> str:
    return boto3_with(url, ask, read_timeout=600, retries={"mode": "adaptive", "total_max_attempts": 10})


def anthropic(url: str, ask: str) -> str:
    from anthropic import AnthropicBedrock

    client: Any = AnthropicBedrock(base_url=url, aws_region=REGION)
    params: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": PROMPT}],
    }
    if ask == "whole":
        return str(client.messages.create(**params).content[0].text)
    if ask == "tool":
        params["tools"] = [{"name": NAME, "input_schema": SCHEMA}]
        params["tool_choice"] = {"type": "any"}
    with client.messages.stream(**params) as stream:
        if ask == "stream":
            return "".join(stream.text_stream)
        return json.dumps(stream.get_final_message().content[0].input)


def langchain(url: str, ask: str) -> str:
    from langchain_aws import ChatBedrockConverse

    chat: Any = ChatBedrockConverse(model=MODEL, region_name=REGION, endpoint_url=url, max_tokens=MAX_TOKENS)  # type: ignore[call-arg]
    if ask == "whole":
        return str(chat.invoke(PROMPT).text)
    if ask == "tool":
        chat = chat.bind_tools([TOOL], tool_choice="any")
    chunks = list(chat.stream(PROMPT))
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    return str(total.text) if ask == "stream" else json.dumps(total.tool_calls[0]["args"])


def litellm(url: str, ask: str) -> str:
    from litellm import Router

    target = {"model": f"bedrock/{MODEL}", "api_base": url, "aws_region_name": REGION}
    router = Router(model_list=[{"model_name": "model", "litellm_params": target}], num_retries=3)
    params: dict[str, Any] = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": MAX_TOKENS}
    if ask == "whole":
        return str(router.completion("model", **params).choices[0].message.content)
    if ask == "tool":
        params["tools"] = [{"type": "function", "function": {"name": NAME, "parameters": SCHEMA}}]
        params["tool_choice"] = "required"
    pieces = []
    for chunk in router.completion("model", stream=True, **params):
        delta = chunk.choices[0].delta
        pieces.append(delta.content or "" if ask == "stream" else _argument(delta))
    return "".join(pieces)


CLIENTS: dict[str, Callable[[str, str], str]] = {
    "this package": ours,
    "this package (continue)": ours_continuing,
    "boto3": boto3_as_it_is,
    "boto3 tuned": boto3_tuned,
    "anthropic": anthropic,
    "langchain-aws": langchain,
    "litellm Router": litellm,
}


def _input(content: list[dict[str, Any]]) -> str:
    return json.dumps(next(block["toolUse"]["input"] for block in content if "toolUse" in block))


def _argument(delta: Any) -> str:
    calls = delta.tool_calls or []
    return calls[0].function.arguments or "" if calls else ""


def main() -> None:
    """Make the call."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            del os.environ[name]
    os.environ |= {"AWS_ACCESS_KEY_ID": "AKIDSIMULATOR", "AWS_SECRET_ACCESS_KEY": "secret"}
    os.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": REGION}
    task = json.loads(sys.stdin.readline())
    try:
        said = {"text": CLIENTS[sys.argv[1]](task["url"], task["ask"])}
    except Exception as error:  # noqa: BLE001 - whatever a client raises is its answer
        said = {"error": f"{type(error).__module__}.{type(error).__name__}: {error}"[:300]}
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
