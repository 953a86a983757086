"""Run by the interpreter of .venv-peers, whose botocore is the one that aiobotocore needs; prints what it saw."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiobotocore.session import get_session

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
CITY = {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
TOOLS = {"tools": [{"toolSpec": {"name": name, "inputSchema": CITY}} for name in ("weather", "clock")]}
MESSAGES = [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]


async def main() -> None:
    async with get_session().create_client("bedrock-runtime") as client:
        whole = await client.converse(modelId=MODEL, messages=MESSAGES)
        streamed = await client.converse_stream(modelId=MODEL, messages=MESSAGES)
        events = [event async for event in streamed["stream"]]
        errors = []
        for model in ("nobody.knows", "amazon.titan-embed-text-v2:0"):
            try:
                await client.converse(modelId=model, messages=MESSAGES)
            except client.exceptions.ValidationException as error:
                errors.append(error.response["Error"]["Message"])
        used = await agent(client)
    text = "".join(event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event)
    print(json.dumps([whole["output"]["message"]["content"][0]["text"], text, errors, used]))  # noqa: T201


async def agent(client: Any) -> list[str]:
    """Ask a question that names two tools, and run the requested tools until the model requests none."""
    messages: list[Any] = [{"role": "user", "content": [{"text": "How is the weather, and what does the clock say?"}]}]
    used: list[str] = []
    while True:
        answer = await client.converse(modelId=MODEL, messages=messages, toolConfig=TOOLS)
        messages.append(answer["output"]["message"])
        if answer["stopReason"] != "tool_use":
            return used
        use = answer["output"]["message"]["content"][0]["toolUse"]
        used.append(use["name"])
        result = {"toolUseId": use["toolUseId"], "content": [{"text": "ok"}]}
        messages.append({"role": "user", "content": [{"toolResult": result}]})


asyncio.run(main())
