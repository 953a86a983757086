from __future__ import annotations

import json
from typing import Any

import pytest

from aws_bedrock_inference.call import Estimate
from aws_bedrock_inference.tokens.estimate import Weighed, estimate

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-lite-v1:0"
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]}


def guess(operation: str, params: dict[str, Any], model: str = CLAUDE) -> Weighed:
    made = estimate(operation, params, model)
    assert isinstance(made, Weighed)
    return made


def test_a_plain_prompt_counts_four_bytes_a_token_and_its_maximum() -> None:
    made = guess("converse", {**ASKED, "inferenceConfig": {"maxTokens": 400}})
    assert (made.input_tokens, made.output_tokens, made.burndown, made.metered) == (7, 400, 5, True)
    assert (made.text_bytes, made.other_tokens, made.unbounded) == (24, 0, False)
    assert made.reservation == 407


@pytest.mark.parametrize("more", [{}, {"inferenceConfig": {"temperature": 0.5}}])
def test_without_max_tokens_the_maximum_of_the_model_is_reserved_and_reported(more: dict[str, Any]) -> None:
    made = guess("converse", {**ASKED, **more})
    assert made.output_tokens == 64_000
    assert made.unbounded


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ({"messages": [], "max_tokens": 11}, 11),
        ({"inputText": "x", "textGenerationConfig": {"maxTokenCount": 12}}, 12),
        ({"prompt": "x", "max_gen_len": 13}, 13),
        ({"messages": [], "inferenceConfig": {"max_new_tokens": 14}}, 14),
        ({"messages": [], "max_completion_tokens": 15}, 15),
    ],
)
@pytest.mark.parametrize("write", [json.dumps, lambda body: json.dumps(body).encode()], ids=["str", "bytes"])
def test_the_maximum_is_found_in_every_dialect(body: dict[str, Any], output: int, write: Any) -> None:
    assert guess("invoke_model", {"body": write(body)}, NOVA).output_tokens == output


def test_only_content_that_the_model_reads_counts() -> None:
    silent = {
        "modelId": "us." + CLAUDE,
        "inferenceConfig": {"maxTokens": 9, "stopSequences": ["x" * 100]},
        "additionalModelRequestFields": {"thinking": {"type": "enabled"}},
        "requestMetadata": {"team": "x" * 100},
        "guardrailConfig": {"guardrailIdentifier": "x" * 100},
    }
    assert guess("converse", {**ASKED, **silent}).text_bytes == guess("converse", ASKED).text_bytes
    body = {"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": "1234"}]}
    assert guess("invoke_model", {"body": json.dumps(body)}).text_bytes == 8


def test_text_counts_by_bytes_wherever_it_occurs() -> None:
    params = {
        "system": [{"text": "ab"}, {"cachePoint": {"type": "default"}}],
        "messages": [{"role": "user", "content": [{"text": "äöü"}, {"guardContent": {"text": {"text": "語"}}}]}],
    }
    assert guess("converse", params).text_bytes == 2 + 4 + 6 + 3


def test_an_unpaired_surrogate_has_an_estimate() -> None:
    assert guess("converse", {"messages": [{"content": [{"text": "\ud800"}]}]}).text_bytes == 1


@pytest.mark.parametrize("body", [b"\xff\xfe", b"plain text", "plain text", object(), b"[1, 2]", b"null"])
def test_a_body_that_is_not_a_json_object_still_has_an_estimate(body: Any) -> None:
    made = guess("invoke_model", {"body": body}, NOVA)
    assert made.input_tokens >= 1
    assert made.output_tokens == 10_000


def test_count_tokens_reserves_nothing() -> None:
    assert estimate("count_tokens", {"input": {"converse": ASKED}}, CLAUDE) == Estimate(metered=False)
