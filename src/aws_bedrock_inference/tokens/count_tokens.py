"""Count the input tokens of a request exactly, with the service's operation CountTokens. It is free and uses no
inference quota.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.dialects.request import counted_members
from aws_bedrock_inference.knowledge.models import split_profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.call import Estimate


def count_request(operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of boto3's `count_tokens` for a request. `params` are boto3's parameters of `operation`.
    The operation is `converse`, `converse_stream`, `invoke_model` or `invoke_model_with_response_stream`.

    `modelId` becomes the id of the foundation model, because AWS was reported to refuse the id of an inference profile.
    The ARN of an application inference profile does not contain its model. It is left unchanged, and AWS will probably
    refuse it. Not every model supports CountTokens. Sources:
    https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html (2026-11-20), and one report of the refusal.

    Raises `ValueError` for another operation. Also raises it if `params` contain no `modelId`, or no content to count.
    """
    if "modelId" not in params:
        raise ValueError("count_request(): params have no modelId; add the id of the model for which to count tokens")
    model, _ = split_profile(str(params["modelId"]))
    match operation:
        case "converse" | "converse_stream":
            return {"modelId": model, "input": {"converse": counted_members(params)}}
        case "invoke_model" | "invoke_model_with_response_stream":
            return {"modelId": model, "input": {"invokeModel": {"body": _body(params)}}}
    raise ValueError(
        f"count_request({operation!r}): pass converse, converse_stream, invoke_model or "
        "invoke_model_with_response_stream"
    )


def exactly(estimate: Estimate, input_tokens: int) -> Estimate:
    """Return a copy of `estimate` that contains `input_tokens`, the number that AWS counted."""
    if not is_number(input_tokens, least=0, whole=True):
        raise ValueError(
            f"exactly(input_tokens={shown(input_tokens)}): pass the inputTokens that count_tokens returned"
        )
    return replace(estimate, input_tokens=input_tokens)


def _body(params: Mapping[str, Any]) -> bytes:
    body = params.get("body")
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    raise ValueError(
        f"count_request(): body is {type(body).__name__}; pass bytes or str, because a stream can be read only once"
    )
