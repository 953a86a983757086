"""The clients that bench/faults.py compares. Each client has the settings that its own documentation recommends against
these faults.

`LIMIT` is a timeout in seconds: how long a client waits while no data arrives. It is set for every client that has such
a setting. `this package` and `boto3` are also measured with their default settings. To add a client, see
fault_protocol.py.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from fault_protocol import PROMPT, Answer, Task, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from fault_protocol import Client

MAX_TOKENS = 600
LIMIT = 120.0  # seconds
NAME = "save_note"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("title", "text", "author")},
    "required": ["title", "text", "author"],
}
TOOL = {"toolSpec": {"name": NAME, "description": "Saves a note.", "inputSchema": {"json": SCHEMA}}}
MESSAGES = [{"role": "user", "content": [{"text": PROMPT}]}]


def ours(task: Task) -> Callable[[], Answer]:
    from aws_bedrock_inference import BedrockClient

    return _ours(BedrockClient(task.model, region_name=task.region, endpoint_url=task.url), task)


def ours_tuned(task: Task, **more: Any) -> Callable[[], Answer]:
    from aws_bedrock_inference import BedrockClient, Models, Timeout, standard

    profiles = Models(region_name=task.region, endpoint_url=task.url)
    pipeline = standard(on_interrupt="continue", profiles=profiles, **more)
    limits = Timeout(first_byte=LIMIT, first_content=LIMIT, idle=60)
    client = BedrockClient(
        task.model, region_name=task.region, endpoint_url=task.url, pipeline=pipeline, timeout=limits
    )
    return _ours(client, task)


def ours_with_fallback(task: Task) -> Callable[[], Answer]:
    from aws_bedrock_inference import Fallback, Target

    return ours_tuned(task, fallback=Fallback(Target(task.next_model, region_name=task.next_region)))


def _ours(client: Any, task: Task) -> Callable[[], Answer]:
    tools = {"tools": [TOOL], "toolChoice": {"any": {}}} if task.ask == "tool" else None

    def call() -> Answer:
        if task.ask == "whole":
            reply = client.invoke(PROMPT, max_tokens=MAX_TOKENS)
            return Answer(reply.text, reply.stop_reason)
        stream = client.invoke_stream(PROMPT, max_tokens=MAX_TOKENS, tools=tools)
        text = "".join(stream)
        if task.ask == "tool":
            content = stream.reply.output["message"]["content"]
            text = json.dumps(next(block["toolUse"]["input"] for block in content if "toolUse" in block))
        return Answer(text, stream.reply.stop_reason)

    return call


def boto3_as_it_is(task: Task, **config: Any) -> Callable[[], Answer]:
    import boto3
    from botocore.config import Config

    runtime = boto3.client("bedrock-runtime", region_name=task.region, endpoint_url=task.url, config=Config(**config))
    params: dict[str, Any] = {"modelId": task.model, "messages": MESSAGES, "inferenceConfig": {"maxTokens": MAX_TOKENS}}
    if task.ask == "tool":
        params["toolConfig"] = {"tools": [TOOL], "toolChoice": {"any": {}}}

    def call() -> Answer:
        if task.ask == "whole":
            answer = runtime.converse(**params)
            return Answer(answer["output"]["message"]["content"][0]["text"], answer["stopReason"])
        pieces, stop = [], None
        for event in runtime.converse_stream(**params)["stream"]:
            delta = event.get("contentBlockDelta", {}).get("delta", {})
            pieces.append(delta.get("text") or delta.get("toolUse", {}).get("input") or "")
            stop = event.get("messageStop", {}).get("stopReason", stop)
        return Answer("".join(pieces), stop)

    return call


def boto3_tuned(task: Task) -> Callable[[], Answer]:
    return boto3_as_it_is(task, **_sdk())


def _sdk() -> dict[str, Any]:
    return {"read_timeout": LIMIT, "retries": {"mode": "adaptive", "total_max_attempts": 10}}


def anthropic(task: Task) -> Callable[[], Answer]:
    from anthropic import AnthropicBedrock, Timeout

    limits = Timeout(600, read=LIMIT, connect=10)
    client: Any = AnthropicBedrock(base_url=task.url, aws_region=task.region, max_retries=9, timeout=limits)
    params: dict[str, Any] = {"messages": [{"role": "user", "content": PROMPT}]}
    params |= {"model": task.model, "max_tokens": MAX_TOKENS}
    if task.ask == "tool":
        params["tools"] = [{"name": NAME, "input_schema": SCHEMA}]
        params["tool_choice"] = {"type": "any"}

    def call() -> Answer:
        if task.ask == "whole":
            message = client.messages.create(**params)
            return Answer(message.content[0].text, _stop(message))
        with client.messages.stream(**params) as stream:
            text = "" if task.ask == "tool" else "".join(stream.text_stream)
            message = stream.get_final_message()
        return Answer(json.dumps(message.content[0].input) if task.ask == "tool" else text, _stop(message))

    def _stop(message: Any) -> str | None:
        guarded = (message.model_extra or {}).get("amazon-bedrock-guardrailAction") == "INTERVENED"
        return "guardrail_intervened" if guarded else message.stop_reason

    return call


def langchain(task: Task) -> Callable[[], Answer]:
    from botocore.config import Config
    from langchain_aws import ChatBedrockConverse

    def chat(model: str, region: str) -> Any:
        made: Any = ChatBedrockConverse(  # type: ignore[call-arg]
            model=model, region_name=region, endpoint_url=task.url, max_tokens=MAX_TOKENS, config=Config(**_sdk())
        )
        return made.bind_tools([TOOL], tool_choice="any") if task.ask == "tool" else made

    both = chat(task.model, task.region).with_fallbacks([chat(task.next_model, task.next_region)])

    def call() -> Answer:
        if task.ask == "whole":
            total = both.invoke(PROMPT)
        else:
            total, *rest = both.stream(PROMPT)
            for chunk in rest:
                total += chunk
        text = json.dumps(total.tool_calls[0]["args"]) if task.ask == "tool" else str(total.text)
        return Answer(text, total.response_metadata.get("stopReason"))

    return call


def litellm(task: Task) -> Callable[[], Answer]:
    from litellm import Router

    def target(name: str, model: str, region: str) -> dict[str, Any]:
        params = {"model": f"bedrock/{model}", "api_base": task.url, "aws_region_name": region}
        return {"model_name": name, "litellm_params": params}

    targets = [target("first", task.model, task.region), target("next", task.next_model, task.next_region)]
    router = Router(
        model_list=targets,
        num_retries=3,
        fallbacks=[{"first": ["next"]}],
        timeout=LIMIT,
        stream_timeout=LIMIT,
        enable_mid_stream_fallback_continuation=True,  # of the asynchronous calls only
    )
    params: dict[str, Any] = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": MAX_TOKENS}
    if task.ask == "tool":
        params["tools"] = [{"type": "function", "function": {"name": NAME, "parameters": SCHEMA}}]
        params["tool_choice"] = "required"

    async def call() -> Answer:
        if task.ask == "whole":
            choice = (await router.acompletion("first", **params)).choices[0]
            return Answer(choice.message.content, choice.finish_reason)
        pieces, stop = [], None
        async for chunk in await router.acompletion("first", stream=True, **params):
            choice = chunk.choices[0]
            tools = choice.delta.tool_calls or []
            pieces.append((tools[0].function.arguments if tools else choice.delta.content) or "")
            stop = choice.finish_reason or stop
        return Answer("".join(pieces), stop)

    return lambda: asyncio.run(call())


def strands(task: Task) -> Callable[[], Answer]:
    from botocore.config import Config
    from strands import Agent, tool
    from strands.models import BedrockModel, ModelRouter

    def model(name: str, region: str) -> Any:
        streams = task.ask != "whole"
        return BedrockModel(
            model_id=name,
            region_name=region,
            endpoint_url=task.url,
            max_tokens=MAX_TOKENS,
            streaming=streams,
            boto_client_config=Config(**_sdk()),
        )

    router = ModelRouter([model(task.model, task.region), model(task.next_model, task.next_region)])

    def call() -> Answer:
        saved: list[str] = []

        def save(title: str, text: str, author: str) -> str:
            saved.append(json.dumps({"title": title, "text": text, "author": author}))
            agent.cancel(after_current_tools=True)
            return "saved"

        tools = [tool(name=NAME, description="Saves a note.")(save)] if task.ask == "tool" else []
        agent = Agent(model=router, tools=tools, callback_handler=None)
        result = agent("Save a note." if task.ask == "tool" else PROMPT)
        if task.ask == "tool":
            return Answer(saved[0] if saved else "", None if saved else result.stop_reason)
        return Answer("".join(block.get("text", "") for block in result.message["content"]), result.stop_reason)

    return call


CLIENTS: dict[str, Client] = {
    "this package": ours,
    "this package, tuned": ours_tuned,
    "this package, fallback": ours_with_fallback,
    "boto3": boto3_as_it_is,
    "boto3, tuned": boto3_tuned,
    "anthropic": anthropic,
    "langchain-aws": langchain,
    "litellm Router": litellm,
    "strands": strands,
}


if __name__ == "__main__":
    serve(CLIENTS)
