"""Tools of simulated models over real sockets: which tool is used, its input, and the end of an agent's loop."""

from __future__ import annotations

import json
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from aws_bedrock_inference.testing import ScenarioError

HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "amazon.nova-lite-v1:0"
CITY = {"type": "object", "properties": {"city": {"type": "string", "examples": ["Oslo"]}}, "required": ["city"]}
NAMES = ("get_weather", "clock", "final_result")
QUESTION = "What does the clock say in Oslo, and how is the weather?"


@pytest.fixture
def runtime(bedrock_simulator: Any) -> Any:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=bedrock_simulator.url,
        aws_access_key_id="AKIDSIMULATOR",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


def tools(*names: str, schema: Any = CITY, **choice: Any) -> dict[str, Any]:
    offered = [{"toolSpec": {"name": name, "inputSchema": {"json": schema}}} for name in names or NAMES]
    return {"toolConfig": {"tools": offered, **({"toolChoice": choice} if choice else {})}}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"text": text}]}


def agent(runtime: Any, *questions: str, most: int = 8, **request: Any) -> list[list[str]]:
    """Ask, run the requested tools, and send their results until the model requests none; return the used tools."""
    messages: list[Any] = []
    used: list[list[str]] = []
    for question in questions:
        messages.append(user(question))
        used.append([])
        for _ in range(most):
            answer = runtime.converse(modelId=HAIKU, messages=messages, **request)
            messages.append(answer["output"]["message"])
            uses = [block["toolUse"] for block in answer["output"]["message"]["content"] if "toolUse" in block]
            if answer["stopReason"] != "tool_use":
                break
            used[-1] += [use["name"] for use in uses]
            results = [{"toolResult": {"toolUseId": use["toolUseId"], "content": [{"text": "ok"}]}} for use in uses]
            messages.append({"role": "user", "content": results})
    return used


def test_an_agent_uses_the_tools_that_the_question_names_in_their_order_and_ends(runtime: Any) -> None:
    assert agent(runtime, QUESTION, **tools()) == [["clock", "get_weather"]]


def test_each_question_starts_again_with_its_tools(runtime: Any) -> None:
    assert agent(runtime, QUESTION, "Thanks.", "And the weather?", **tools()) == [
        ["clock", "get_weather"],
        [],
        ["get_weather"],
    ]


@pytest.mark.parametrize(
    ("name", "question", "used"),
    [
        ("get_weather", "What is the weather like?", True),
        ("getWeather", "What is the weather like?", True),
        ("WeatherForecastTool", "Is there a forecast?", True),
        ("get_weather", "Call get_weather now.", True),
        ("get_weather", "Why is the sky blue? Use a tool to get it.", False),
        ("final_result", "What is the final result?", False),
        ("add", "Please add 2 and 3.", True),
        ("add", "I have problems with adding 2 and 3.", True),
        ("list_files", "Is there a file?", True),
        ("get_news", "Is there anything new?", False),
        ("find_address", "Where is the address?", True),
        ("add", "Please look for the address.", False),
    ],
)
def test_a_question_names_a_tool_by_its_name_or_a_distinctive_word_of_it(
    runtime: Any, name: Any, question: Any, used: Any
) -> None:
    answer = runtime.converse(modelId=NOVA, messages=[user(question)], **tools(name))
    assert answer["stopReason"] == ("tool_use" if used else "end_turn")


def test_text_next_to_a_tool_result_is_not_a_new_question(runtime: Any) -> None:
    use = {"toolUse": {"toolUseId": "t", "name": "clock", "input": {}}}
    result = {"toolResult": {"toolUseId": "t", "content": [{"text": "12:00"}]}}
    messages = [
        user("clock?"),
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result, {"text": "That was the clock."}]},
    ]
    assert runtime.converse(modelId=HAIKU, messages=messages, **tools())["stopReason"] == "end_turn"


def test_a_scenario_may_turn_tools_off_or_set_a_script(runtime: Any, bedrock_simulator: Any) -> None:
    bedrock_simulator.scenario(answers={"tools": "off"})
    assert agent(runtime, QUESTION, **tools()) == [[]]
    bedrock_simulator.scenario(answers={"tool_script": ["get_weather", "missing", "get_weather", "clock"]})
    assert agent(runtime, "Hello", "Hello", **tools()) == [["get_weather", "get_weather", "clock"]] * 2


def test_a_scenario_with_an_invalid_tool_setting_is_refused(bedrock_simulator: Any) -> None:
    with pytest.raises(ScenarioError, match=r"\[answers\]: tools is 'always'; use named or off"):
        bedrock_simulator.scenario(answers={"tools": "always"})
    with pytest.raises(ScenarioError, match="tool_script must be a list of strings"):
        bedrock_simulator.scenario(answers={"tool_script": "clock"})


def test_an_agent_that_must_use_a_tool_uses_all_of_them(runtime: Any) -> None:
    """pydantic-ai and langchain end their loop when the tool of the final result is used."""
    used = agent(runtime, "Hello", most=3, **tools(any={}))
    assert used == [["get_weather", "clock", "final_result"]]
    assert agent(runtime, "The clock?", most=3, **tools(any={})) == [["clock", "get_weather", "final_result"]]


def test_a_forced_tool_is_used_whatever_was_used_before(runtime: Any) -> None:
    assert agent(runtime, "Hello", most=2, **tools(tool={"name": "clock"})) == [["clock", "clock"]]


@pytest.mark.parametrize("model", [HAIKU, NOVA])
def test_a_stream_uses_the_same_tools(runtime: Any, model: Any) -> None:
    request = {"modelId": model, "messages": [user("clock")], **tools()}
    (whole,) = runtime.converse(**request)["output"]["message"]["content"]
    events = list(runtime.converse_stream(**request)["stream"])
    start = next(event["contentBlockStart"]["start"]["toolUse"] for event in events if "contentBlockStart" in event)
    deltas = [
        event["contentBlockDelta"]["delta"]["toolUse"]["input"] for event in events if "contentBlockDelta" in event
    ]
    assert {**start, "input": json.loads("".join(deltas))} == whole["toolUse"] | {"input": {"city": "Oslo"}}


def test_a_forced_tool_that_is_not_offered_is_refused(runtime: Any) -> None:
    with pytest.raises(ClientError, match="Tool 'missing' not found in provided tools") as refused:
        runtime.converse(modelId=HAIKU, messages=[user("Hello")], **tools(tool={"name": "missing"}))
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize("choice", [{"any": {}}, {"tool": {"name": "clock"}}])
def test_some_models_refuse_a_forced_tool(runtime: Any, choice: Any) -> None:
    (kind,) = choice
    request: Any = {"modelId": "us.meta.llama3-3-70b-instruct-v1:0", "messages": [user("clock")]}
    with pytest.raises(ClientError, match=rf"doesn't support the toolConfig\.toolChoice\.{kind} field"):
        runtime.converse(**request, **tools(**choice))
    assert runtime.converse(**request, **tools(auto={}))["stopReason"] == "tool_use"


def test_the_tool_choice_field_of_anthropic_can_forbid_tools_in_converse(runtime: Any) -> None:
    fields = {"tool_choice": {"type": "none"}}
    request: Any = {"modelId": HAIKU, "messages": [user("clock")], "additionalModelRequestFields": fields}
    assert runtime.converse(**request, **tools())["stopReason"] == "end_turn"


def test_the_input_of_a_tool_is_truncated_at_max_tokens(runtime: Any) -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string", "minLength": 400}}, "required": ["text"]}
    request: Any = {
        "modelId": HAIKU,
        "messages": [user("Hello")],
        "inferenceConfig": {"maxTokens": 20},
        **tools("write", schema=schema, tool={"name": "write"}),
    }
    whole = runtime.converse(**request)
    assert (whole["stopReason"], whole["usage"]["outputTokens"]) == ("max_tokens", 20)
    assert whole["output"]["message"]["content"][0]["toolUse"]["input"] == {}
    events = list(runtime.converse_stream(**request)["stream"])
    text = "".join(
        event["contentBlockDelta"]["delta"]["toolUse"]["input"] for event in events if "contentBlockDelta" in event
    )
    assert len(text) == 80
    assert text.startswith('{"text": "simulated')


def test_tools_cost_their_additional_instructions(runtime: Any) -> None:
    def read(**more: Any) -> int:
        return int(runtime.converse(modelId=HAIKU, messages=[user("Hello")], **more)["usage"]["inputTokens"])

    without = read()
    assert 350 <= read(**tools("clock")) - without <= 400  # the figure of the model; its table is model_rules.toml
    counted = runtime.count_tokens(
        modelId=HAIKU.removeprefix("us."),
        input={"converse": {"messages": [user("Hello")], **tools("clock")}},
    )
    assert counted["inputTokens"] == read(**tools("clock"))


ODD: list[Any] = [
    {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]},
    {"type": "object", "properties": {"a": True}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"enum": []}}, "required": ["a"]},
    {"type": "object", "properties": None, "required": None},
]


@pytest.mark.parametrize("schema", ODD)
@pytest.mark.parametrize("native", [False, True])
def test_unusual_schemas_get_an_input_with_their_properties(bedrock_simulator: Any, schema: Any, native: Any) -> None:
    converse = {"messages": [user("Hello")], **tools("x", schema=schema, tool={"name": "x"})}
    with httpx.Client(base_url=bedrock_simulator.url, trust_env=False) as http:
        got = http.post(
            f"/model/{HAIKU}/{'invoke' if native else 'converse'}", json=anthropic(converse) if native else converse
        )
    assert got.status_code == 200
    content = got.json()["content"] if native else [got.json()["output"]["message"]["content"][0]["toolUse"]]
    assert list(content[0]["input"]) == (schema["required"] or [])


def anthropic(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request of Converse, in Anthropic's words."""
    config = request["toolConfig"]
    ((choice, details),) = config.get("toolChoice", {"auto": {}}).items()
    return {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 500,
        "messages": [{"role": m["role"], "content": m["content"][0]["text"]} for m in request["messages"]],
        "tools": [
            {"name": tool["toolSpec"]["name"], "input_schema": tool["toolSpec"]["inputSchema"]["json"]}
            for tool in config["tools"]
        ],
        "tool_choice": {"type": choice, **details},
    }


def invoke(runtime: Any, body: Any) -> Any:
    return json.loads(runtime.invoke_model(modelId=HAIKU, body=json.dumps(body))["body"].read())


def test_anthropic_bodies_choose_tools_in_the_same_way(runtime: Any) -> None:
    body = anthropic({"messages": [user(QUESTION)], **tools()})
    used = []
    for _ in range(5):
        answer = invoke(runtime, body)
        body["messages"].append({"role": "assistant", "content": answer["content"]})
        if answer["stop_reason"] != "tool_use":
            break
        (use,) = answer["content"]
        used.append(use["name"])
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": "ok"}
        body["messages"].append({"role": "user", "content": [result]})
    assert used == ["clock", "get_weather"]
    assert answer["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tool_choice": {"type": "tool", "name": "missing"}}, "Tool 'missing' not found in provided tools"),
        ({"tools": []}, "tool_choice may only be specified while providing tools"),
        ({"tool_choice": {"name": "clock"}}, "tool_choice.type: Field required"),
    ],
)
def test_anthropic_bodies_with_an_invalid_tool_choice_are_refused(runtime: Any, change: Any, message: Any) -> None:
    with pytest.raises(ClientError, match=message):
        invoke(runtime, {**anthropic({"messages": [user("Hello")], **tools()}), **change})


def test_an_anthropic_tool_choice_of_none_uses_no_tool(runtime: Any) -> None:
    body = anthropic({"messages": [user(QUESTION)], **tools()})
    assert invoke(runtime, {**body, "tool_choice": {"type": "none"}})["stop_reason"] == "end_turn"


def test_openai_bodies_choose_tools_in_the_same_way(runtime: Any) -> None:
    functions = [{"type": "function", "function": {"name": name, "parameters": CITY}} for name in NAMES]
    body: dict[str, Any] = {"messages": [{"role": "user", "content": QUESTION}], "tools": functions}
    used = []
    for _ in range(5):
        answer = runtime.invoke_model(modelId="openai.gpt-oss-20b-1:0", body=json.dumps(body))
        message = json.loads(answer["body"].read())["choices"][0]["message"]
        body["messages"].append(message)
        if not message.get("tool_calls"):
            break
        (call,) = message["tool_calls"]
        used.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
        body["messages"].append({"role": "tool", "tool_call_id": call["id"], "content": "ok"})
    assert used == [("clock", {"city": "Oslo"}), ("get_weather", {"city": "Oslo"})]
    assert message["content"]


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("required", "get_weather"),
        ("none", None),
        ("auto", None),
        ({"type": "function", "function": {"name": "clock"}}, "clock"),
    ],
)
def test_the_tool_choices_of_openai_are_supported(runtime: Any, choice: Any, name: Any) -> None:
    functions = [{"type": "function", "function": {"name": name, "parameters": CITY}} for name in NAMES]
    body = {"messages": [{"role": "user", "content": "Hello"}], "tools": functions, "tool_choice": choice}
    answer = runtime.invoke_model(modelId="openai.gpt-oss-20b-1:0", body=json.dumps(body))
    calls = json.loads(answer["body"].read())["choices"][0]["message"].get("tool_calls") or [None]
    assert (calls[0] and calls[0]["function"]["name"]) == name
