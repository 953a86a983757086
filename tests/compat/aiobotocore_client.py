"""Run by the interpreter of .venv-peers, whose botocore is the one that aiobotocore needs; prints what it saw."""

from __future__ import annotations

import asyncio
import json

from aiobotocore.session import get_session

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
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
    text = "".join(event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event)
    print(json.dumps([whole["output"]["message"]["content"][0]["text"], text, errors]))  # noqa: T201


asyncio.run(main())
