"""Convert an HTTP answer into the outcome of a call.

The outcome is boto3's response with its token usage, or a fault. If the server states how long the client must wait
before a retry, for example in the header `Retry-After`, the fault contains this time.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.dialects.failed import failure_of
from aws_bedrock_inference.dialects.usage import usage_in_headers, usage_of, with_hour_of
from aws_bedrock_inference.knowledge.classify import answered, unanswered
from aws_bedrock_inference.knowledge.waits import milliseconds, retry_after
from aws_bedrock_inference.transports.operations import MalformedError, read_json, worded
from aws_bedrock_inference.transports.stated import JSON, redirection, stated_form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.call import Usage
    from aws_bedrock_inference.dialects.failed import Failure
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.transports.operations import Operation

# The fields in which errors of proxies and gateways have their message, from the outermost to the innermost.
_MESSAGES = ("error", "errors", "detail", "message", "Message", "msg")

# AWS's code for an error of the model, for a model that states no code.
_OF_MODEL = "ModelErrorException"

# The lowest HTTP status that botocore reads as an error.
ERROR = 301


def outcome(plan: Operation, status: int, headers: Mapping[str, str], body: bytes, *, wall: float) -> Outcome:
    """Return the outcome (response or fault) of a call without a stream, from the server's answer. `wall` is the
    current time as a Unix timestamp. If `Retry-After` contains a date, the wait is computed from `wall`.
    """
    if status >= ERROR:
        return Outcome(fault=refusal(plan, status, headers, body, wall=wall))
    try:
        response = plan.response(status, headers, body)
        native = _native(response, body)
        if native is None:
            return Outcome(response, usage=usage_of(response))
        failure = failure_of(native)
        if failure is None:
            return Outcome(response, usage=_usage(native, headers))
        return Outcome(fault=_reported(failure, response))
    except MalformedError as error:
        fault = unanswered(error, code="MalformedResponse", message=f"{error}{stated_form(headers, JSON)}")
        return Outcome(fault=replace(fault, request_id=headers.get("x-amzn-requestid")))


def refusal(plan: Operation, status: int, headers: Mapping[str, str], body: bytes, *, wall: float) -> Fault:
    """Return the fault for an answer with an error status. `wall` is the current time as a Unix timestamp. If
    `Retry-After` contains a date, the wait is computed from `wall`.
    """
    response = plan.error(status, headers, body)
    error = response["Error"]
    error["Message"] = error["Message"] or _foreign_message(body)
    return answered(
        "" if error["Code"] == str(status) else error["Code"],
        error["Message"] or redirection(status, headers),
        status=status,
        request_id=response["ResponseMetadata"].get("RequestId"),
        retry_after=retry_after(headers.get("retry-after"), wall),
        suggested_wait=milliseconds(headers.get("x-amz-retry-after")),
        response=response,
    )


def _native(response: dict[str, Any], body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in the model's own format. Return None for an answer in Converse's format."""
    if not response.get("contentType", "").startswith("application/json"):
        return None
    native = read_json(body)
    return native if isinstance(native, dict) else {}


def _usage(native: dict[str, Any], headers: Mapping[str, str]) -> Usage | None:
    counted = usage_in_headers(headers)
    return usage_of(native) if counted is None else with_hour_of(counted, native)


def _reported(failure: Failure, response: dict[str, Any]) -> Fault:
    """Return the fault of an answer with status 200 in which the model reports an error."""
    request_id = response["ResponseMetadata"].get("RequestId")
    return answered(failure.code or _OF_MODEL, failure.message, status=failure.status, request_id=request_id)


def _foreign_message(body: bytes) -> str:
    """Return the message in the JSON of an error that does not come from AWS. A proxy or gateway can put the message
    into inner objects, or use field names that AWS does not use.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for name in _MESSAGES:
        if isinstance(value, list):
            value = value[0] if value else None
        if isinstance(value, dict):
            value = value.get(name, value)
    return worded(value)
