"""Requests that the service refuses, in its own words."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from support.simulated_account import CLAUDE, HAIKU, NOVA, Account

from aws_bedrock_inference.testing import simulator

HELLO = [{"text": "hello"}]
USER = {"role": "user", "content": HELLO}


def tool(name: str) -> dict[str, Any]:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}}


def answered(result: dict[str, Any], id: str = "t") -> list[dict[str, Any]]:  # noqa: A002 - as in the request
    """A conversation that ends with the result of a tool."""
    return [
        USER,
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": id, "name": "n", "input": {}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": id, "content": [result]}}]},
    ]


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "an assistant first": (
        {"messages": [{"role": "assistant", "content": HELLO}]},
        "A conversation must start with a user message.",
    ),
    "a document alone": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"document": {"format": "txt", "name": "a", "source": {"bytes": "aGVsbG8="}}}],
                }
            ]
        },
        "A text block must be included when using documents.",
    ),
    "a line break alone": (
        {"messages": [{"role": "user", "content": [{"text": "\n"}]}]},
        "The text field in the ContentBlock object at messages.0.content.0 is blank.",
    ),
    "blank text": (
        {"messages": [{"role": "user", "content": [{"text": "hi"}, {"text": "  "}]}]},
        "The text field in the ContentBlock object at messages.0.content.1 is blank.",
    ),
    "empty content": (
        {"messages": [{"role": "user", "content": []}]},
        "The content field in the Message object at messages.0 is empty.",
    ),
    "tools without configuration": (
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "n", "input": {}}}]},
            ]
        },
        "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
    ),
    "an unknown role": (
        {"messages": [{"role": "robot", "content": HELLO}]},
        "Value at '/messages/0/role' failed to satisfy constraint: Member must satisfy enum value set: [user,",
    ),
    "no role": ({"messages": [{"content": HELLO}]}, "Value at '/messages/0/role' failed to satisfy constraint"),
    "maxTokens of 0": (
        {"messages": [USER], "inferenceConfig": {"maxTokens": 0}},
        "'/inferenceConfig/maxTokens' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
    "more tokens than the model has": (
        {"messages": [USER], "inferenceConfig": {"maxTokens": 1_000_000}},
        "The maximum tokens you requested exceeds the model limit of",
    ),
    "a tool name with a space": (
        {"messages": [USER], "toolConfig": {"tools": [tool("Complete Session")]}},
        "toolSpec/name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+",
    ),
    "a tool use with an invalid id": (
        {"messages": answered({"text": "x"}, id="call|1"), "toolConfig": {"tools": [tool("n")]}},
        "toolUseId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.:-]+",
    ),
    "a list as the JSON of a tool result": (
        {"messages": answered({"json": [1]}), "toolConfig": {"tools": [tool("n")]}},
        "The format of the value at messages.2.content.0.toolResult.content.0.json is invalid. Provide a json object",
    ),
    "too long": ({"messages": [{"role": "user", "content": [{"text": "x" * 900_000}]}]}, "Input is too long"),
}


@pytest.mark.parametrize("case", INVALID)
@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
def test_invalid_conversations_are_refused(case: Any, operation: Any) -> None:
    body, message = INVALID[case]
    status, code, said = Account(quota={"rpm": 0}).post(f"/model/{NOVA}/{operation}", body).error
    assert (status, code) == (400, "ValidationException")
    assert message in said


@pytest.mark.parametrize("name", ["cv.pdf", "John's report", "résumé", "a  b", "a\tb", "テスト\u3000資料"])
@pytest.mark.parametrize("inside", ["message", "tool result"])
def test_a_document_with_the_name_of_a_file_is_refused(name: str, inside: str) -> None:
    document = {"document": {"format": "txt", "name": name, "source": {"bytes": "aGVsbG8="}}}
    body: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "Sum up."}, document]}]}
    if inside == "tool result":
        body = {"messages": answered(document), "toolConfig": {"tools": [tool("n")]}}
    said = Account(quota={"rpm": 0}).post(f"/model/{NOVA}/converse", body).error[2]
    assert "The document file name can only contain" in said


@pytest.mark.parametrize("name", ["cv", " ok (1) [2]-3 ", "a_b"])
def test_a_document_with_an_accepted_name_is_answered(name: str) -> None:
    document = {"document": {"format": "txt", "name": name, "source": {"bytes": "aGVsbG8="}}}
    body = {"messages": [{"role": "user", "content": [{"text": "Sum up."}, document]}]}
    assert Account().post(f"/model/{NOVA}/converse", body).status == 200


def test_claude_refuses_empty_text_in_a_tool_result() -> None:
    body = {"messages": answered({"text": ""}), "toolConfig": {"tools": [tool("n")]}}
    assert "text content blocks must be non-empty" in Account().post(f"/model/{HAIKU}/converse", body).error[2]
    assert Account().post(f"/model/{NOVA}/converse", body).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"messages": "x"}', b'{"messages": [5]}', b"[" * 5000])
@pytest.mark.parametrize("operation", ["converse", "invoke", "count-tokens"])
def test_malformed_bodies_are_refused_without_a_crash(body: Any, operation: Any) -> None:
    assert Account().post(f"/model/{NOVA}/{operation}", body).status == 400


MODELS = {
    "no-such-model": "The provided model identifier is invalid.",
    "nobody.model-v1": "The provided model identifier is invalid.",
    "us.amazon.nova-micro-v1:O": "The provided model identifier is invalid.",
    "arn:aws:lambda:us-east-1:123456789012:function:mine": "The provided model identifier is invalid.",
    HAIKU.removeprefix(
        "us."
    ): "with on-demand throughput isn\u2019t supported. Retry your request with the ID or ARN of",
    "amazon.titan-embed-text-v2:0": "This action doesn't support the model that you provided.",
}


@pytest.mark.parametrize("model", MODELS)
def test_missing_and_unsuitable_models_are_refused(model: Any) -> None:
    assert MODELS[model] in Account().converse(model=model).error[2]


@pytest.mark.parametrize(
    "model",
    [
        CLAUDE,
        HAIKU,
        f"arn:aws:bedrock:us-east-1::foundation-model/{CLAUDE}",
        f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{HAIKU}",
        "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc",
    ],
)
def test_models_are_found_by_id_and_by_arn(model: Any) -> None:
    assert Account().converse(model=model).status == 200


def test_the_model_is_checked_before_the_body() -> None:
    for operation in ("converse", "converse-stream", "invoke", "count-tokens"):
        assert Account().post(f"/model/nobody.knows-v1:0/{operation}", b"{").error[2] == MODELS["no-such-model"]


@pytest.mark.parametrize(
    "model",
    [
        "zai.glm-4.7-flash",
        "us.xai.grok-4-6-v1:0",
        "us.writer.palmyra-x5-v1:0",
        "mistral.mistral-large-3-675b-instruct",
        "arn:aws:bedrock:us-west-2:123456789012:imported-model/abcdefghijkl",
        "arn:aws:sagemaker:us-east-1:123456789012:endpoint/mine",
    ],
)
def test_models_of_every_provider_support_converse(model: Any) -> None:
    assert Account().converse(model=model).status == 200


@pytest.mark.parametrize("model", ["stability.sd3-5-large-v1:0", "twelvelabs.pegasus-1-2-v1:0", "luma.ray-v2:0"])
def test_models_without_text_output_exist_but_do_not_support_converse(model: Any) -> None:
    assert "This action doesn't support the model" in Account().converse(model=model).error[2]


SOURCE = {"bytes": "aGVsbG8="}
S3 = {"s3Location": {"uri": "s3://bucket/key"}}
TOOL = {"toolConfig": {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}]}}


def media(kind: str, source: dict[str, Any]) -> dict[str, Any]:
    formats = {"image": "png", "video": "mp4", "document": "pdf"}
    named = {"name": "a"} if kind == "document" else {}
    return {kind: {"format": formats[kind], **named, "source": source}}


def shown(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*HELLO, *blocks]}]}


def returned(block: dict[str, Any]) -> dict[str, Any]:
    use = {"toolUse": {"toolUseId": "1", "name": "t", "input": {}}}
    result = {"toolResult": {"toolUseId": "1", "content": [block]}}
    return {
        "messages": [USER, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}],
        **TOOL,
    }


SONNET, LITE, SONNET_5 = (
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.amazon.nova-2-lite-v1:0",
    "us.anthropic.claude-sonnet-5",
)
ASSISTANT = {"role": "assistant", "content": HELLO}
ACCEPTED = {
    "the assistant first": (SONNET, {"messages": [ASSISTANT, USER]}),
    "the user twice": (NOVA, {"messages": [USER, USER]}),
    "the assistant twice": (NOVA, {"messages": [USER, ASSISTANT, ASSISTANT, USER]}),
    "the beginning of the answer": (SONNET, {"messages": [USER, ASSISTANT]}),
    "a line break beside other text": (SONNET, shown({"text": "\n"})),
    "a picture": (SONNET, shown(media("image", SOURCE))),
    "a video": (LITE, shown(media("video", SOURCE))),
    "a video in S3": (LITE, shown(media("video", S3))),
    "a picture in S3 from a tool": (LITE, returned(media("image", S3))),
    "a document in S3 from a tool": (SONNET, returned(media("document", S3))),
}


def used(*results: str) -> dict[str, Any]:
    uses: Any = [{"toolUse": {"toolUseId": name, "name": "t", "input": {}}} for name in ("a", "b")]
    blocks = [{"toolResult": {"toolUseId": name, "content": HELLO}} for name in results]
    last = {"role": "user", "content": blocks or HELLO}
    return {"messages": [USER, {"role": "assistant", "content": uses}, last], **TOOL}


ACCEPTED |= {
    "all results": (SONNET, used("a", "b")),
    "a result that is missing, where that is taken": (LITE, used("a")),
    "tools of a model that does not stream them": ("meta.llama3-3-70b-instruct-v1:0", {"messages": [USER], **TOOL}),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_valid_requests_are_accepted(case: Any) -> None:
    model, body = ACCEPTED[case]
    assert Account().post(f"/model/{model}/converse", body).status == 200


VIDEO = "This model doesn't support the video content block that you provided. Update the content block and try again."
S3_URI = "This model doesn't support the s3Uri field. Remove s3Uri and try again."
REFUSED = {
    "a video": (SONNET, shown(media("video", SOURCE)), VIDEO),
    "a video in S3": (SONNET, shown(media("video", S3)), VIDEO),
    "a video from a tool": (SONNET, returned(media("video", SOURCE)), VIDEO),
    "a picture in S3": (SONNET, shown(media("image", S3)), S3_URI),
    "a picture in S3 from a tool": (SONNET, returned(media("image", S3)), S3_URI),
    "a document in S3": (SONNET, shown(media("document", S3)), "messages.0.content.1.document.source.type: Field"),
    "a document in S3 from a tool": (LITE, returned(media("document", S3)), "extraneous key [toolResult]"),
    "a picture for a model of text": (
        "openai.gpt-oss-120b-1:0",
        shown(media("image", SOURCE)),
        VIDEO.replace("video", "image"),
    ),
    "the beginning of the answer": (
        SONNET_5,
        {"messages": [USER, ASSISTANT]},
        "does not support assistant message prefill",
    ),
}


SYSTEM = {"messages": [USER], "system": HELLO}
REFUSED |= {
    "a system prompt": ("mistral.mistral-7b-instruct-v0:2", SYSTEM, "This model doesn't support system messages."),
    "tools": ("amazon.titan-text-express-v1", {"messages": [USER], **TOOL}, "This model doesn't support tool use."),
    "a temperature": (
        "us.anthropic.claude-opus-4-8",
        {"messages": [USER], "inferenceConfig": {"temperature": 0.5}},
        "`temperature` is deprecated for this model.",
    ),
    "a result that is missing": (
        SONNET,
        used("a"),
        "Expected toolResult blocks at messages.2.content for",
    ),
    "no results": (SONNET, used(), "Expected toolResult blocks at messages.2.content for the following Ids: a, b"),
    "one result too many": (SONNET, used("a", "b", "c"), "exceeds the number of toolUse blocks of previous turn."),
}


def test_a_stream_with_tools_is_refused_for_models_without_streamed_tools() -> None:
    path = "/model/us.meta.llama3-3-70b-instruct-v1:0/converse-stream"
    refused = Account().post(path, {"messages": [USER], **TOOL}).error
    assert refused == (400, "ValidationException", "This model doesn't support tool use in streaming mode.")


@pytest.mark.parametrize("case", REFUSED)
def test_input_that_the_model_does_not_support_is_refused(case: Any) -> None:
    model, body, message = REFUSED[case]
    status, code, said = Account().post(f"/model/{model}/converse", body).error
    assert (status, code) == (400, "ValidationException")
    assert message in said


def test_two_ways_of_sampling_exclude_each_other_for_new_models() -> None:
    both = {"temperature": 0.5, "topP": 0.5}
    assert "cannot both be specified" in Account().converse(model=HAIKU, inferenceConfig=both).error[2]
    assert Account().converse(model=CLAUDE, inferenceConfig=both).status == 200


ANTHROPIC = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anthropic_version": None}, "required key [anthropic_version] not found"),
        ({"max_tokens": None}, "required key [max_tokens] not found"),
        ({"model": "claude"}, "extraneous key [model] is not permitted"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0: all messages must have non-empty content"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"max_tokens": "50"}, "Malformed input request"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "Input tag 'web_search_20250305' found"),
    ],
)
def test_anthropic_bodies_are_checked_against_their_schema(change: Any, message: Any) -> None:
    body = {key: value for key, value in {**ANTHROPIC, **change}.items() if value is not None}
    status, code, said = Account().post(f"/model/{CLAUDE}/invoke", body).error
    assert (status, code) == (400, "ValidationException")
    assert message in said


@pytest.mark.parametrize("path", ["/", "/model", "/model//converse", f"/model/{NOVA}/dance", "/guardrail/x"])
def test_an_unknown_operation_is_refused(path: Any) -> None:
    assert Account().post(path, {}).error[:2] == (404, "UnknownOperationException")


def test_a_request_for_sts_is_refused_with_the_setting_to_remove() -> None:
    session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
    with simulator() as running:
        sts = session.client("sts", endpoint_url=running.url)
        with pytest.raises(ClientError, match="AWS_ENDPOINT_URL_STS") as refused:
            sts.assume_role(RoleArn="arn:aws:iam::210987654321:role/inference", RoleSessionName="any")
    assert refused.value.response["Error"]["Code"] == "InvalidAction"


@pytest.mark.parametrize("settings", [[1], "x", 5, True])
@pytest.mark.parametrize("key", ["inferenceConfig", "additionalModelRequestFields", "thinking", "temperature"])
@pytest.mark.parametrize("model", [CLAUDE, "openai.gpt-oss-20b-1:0", "anthropic.claude-v2"])
def test_settings_of_a_wrong_type_are_refused_without_a_crash(model: Any, key: Any, settings: Any) -> None:
    body = {**ANTHROPIC, "prompt": "a", "max_tokens_to_sample": 9, key: settings}
    assert Account().post(f"/model/{model}/invoke", body).status in {200, 400}


def test_a_conversation_in_count_tokens_is_checked_too() -> None:
    counted = {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": " "}]}]}}, "toolConfig": [1]}
    path = "/model/anthropic.claude-sonnet-4-20250514-v1:0/count-tokens"
    assert "messages.0.content.0 is blank" in Account().post(path, counted).error[2]


@pytest.mark.parametrize("model", ["amazon.nova-canvas-v1:0", "stability.sd3-5-large-v1:0", "amazon.nova-reel-v1:1"])
def test_an_image_model_is_refused_as_not_simulated(model: Any) -> None:
    body = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a lighthouse"}}
    assert "it makes no pictures" in Account().post(f"/model/{model}/invoke", body).error[2]


def test_the_name_of_a_resource_does_not_decide_its_output_type() -> None:
    model = "arn:aws:bedrock:us-east-1:123456789012:imported-model/image-bot"
    assert Account().converse(model=model).status == 200
    assert Account().post(f"/model/{model}/invoke", {"prompt": "hello"}).status == 200
