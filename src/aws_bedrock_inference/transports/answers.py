"""From an HTTP answer to an outcome: boto3's response with its usage, or a fault with the server's own wishes."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.dialects.stream import usage_of
from aws_bedrock_inference.knowledge.classify import answered, unanswered
from aws_bedrock_inference.transports.operations import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.transports.operations import Operation

# From here on, botocore reads an answer as an error.
ERROR = 301

# Headers of InvokeModel's answers, in the order of `Usage`.
_USAGE_HEADERS = (
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
    "x-amzn-bedrock-cache-read-input-token-count",
    "x-amzn-bedrock-cache-write-input-token-count",
)

# Where a model's own body says what it used, in the order of `Usage`: Anthropic's messages and Nova's.
_USAGE_MEMBERS = (
    ("input_tokens", "inputTokens"),
    ("output_tokens", "outputTokens"),
    ("cache_read_input_tokens", "cacheReadInputTokenCount"),
    ("cache_creation_input_tokens", "cacheWriteInputTokenCount"),
)


def outcome(plan: Operation, status: int, headers: Mapping[str, str], body: bytes, *, wall: float) -> Outcome:
    """Return how an answered unary call ended. `wall` is the time of day, for a `Retry-After` that names one."""
    if status >= ERROR:
        return Outcome(fault=refusal(plan, status, headers, body, wall=wall))
    try:
        response = plan.response(status, headers, body)
        return Outcome(response, usage=_usage(response, headers, body))
    except ValueError as error:
        return Outcome(fault=unanswered(error, code="MalformedResponse", message=str(error)))


def refusal(plan: Operation, status: int, headers: Mapping[str, str], body: bytes, *, wall: float) -> Fault:
    """Return the fault in an answer that says no."""
    response = plan.error(status, headers, body)
    error = response["Error"]
    return answered(
        "" if error["Code"] == str(status) else error["Code"],
        error["Message"],
        status=status,
        request_id=response["ResponseMetadata"].get("RequestId"),
        retry_after=retry_after(headers.get("retry-after"), wall),
        suggested_wait=milliseconds(headers.get("x-amz-retry-after")),
        response=response,
    )


def unidentified(error: Exception) -> Fault:
    """Return the fault of having no identity to sign with: no credentials, or none that could be refreshed."""
    if isinstance(error, ClientError):
        return answered(
            error.response["Error"]["Code"],
            f"while fetching credentials: {error.response['Error']['Message']}",
            status=error.response["ResponseMetadata"].get("HTTPStatusCode"),
        )
    return unanswered(error, code=type(error).__name__, message=str(error))


def _usage(response: dict[str, Any], headers: Mapping[str, str], body: bytes) -> Usage | None:
    if "usage" in response:
        return usage_of(response["usage"]) if "inputTokens" in response["usage"] else None
    if not response.get("contentType", "").startswith("application/json"):
        return None
    try:
        native = json.loads(body)
    except ValueError as error:
        raise MalformedError("the model's answer is not whole JSON") from error
    if _USAGE_HEADERS[0] in headers:
        return Usage(*(int(headers.get(name, 0)) for name in _USAGE_HEADERS))
    return _native_usage(native) if isinstance(native, dict) else None


def _native_usage(native: dict[str, Any]) -> Usage | None:
    usage = native.get("usage")
    if isinstance(usage, dict):
        return Usage(
            *(next((usage[name] for name in names if isinstance(usage.get(name), int)), 0) for names in _USAGE_MEMBERS)
        )
    if "inputTextTokenCount" in native:
        results = native.get("results", ())
        return Usage(native["inputTextTokenCount"], sum(result.get("tokenCount", 0) for result in results))
    return None


def milliseconds(value: str | None) -> float | None:
    """Return the seconds in `x-amz-retry-after`, or None."""
    return int(value) / 1000 if value is not None and value.isdecimal() else None


def retry_after(value: str | None, wall: float) -> float | None:
    """Return the seconds in `Retry-After`, which may be a date, or None."""
    if value is None:
        return None
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - wall)
    except ValueError:
        return None
