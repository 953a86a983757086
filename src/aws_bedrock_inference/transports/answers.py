"""From an HTTP answer to an outcome: boto3's response with its usage, or a fault with the server's own wishes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.dialects.usage import usage_in_headers, usage_of
from aws_bedrock_inference.knowledge.classify import answered, unanswered
from aws_bedrock_inference.transports.operations import MalformedError, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.call import Usage
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.transports.operations import Operation

# From here on, botocore reads an answer as an error.
ERROR = 301

# The longest wait that is believed, in seconds: a year. The longest quota of AWS is that of a day.
LONGEST_WAIT = 366 * 86_400

# Seconds as a header may have them, with or without a fraction. Longer ones are beyond belief, and beyond `float`.
_SECONDS = re.compile(r"[ \t]*[0-9]{1,15}(\.[0-9]{1,15})?[ \t]*", re.ASCII)


def outcome(plan: Operation, status: int, headers: Mapping[str, str], body: bytes, *, wall: float) -> Outcome:
    """Return how an answered unary call ended. `wall` is the time of day, for a `Retry-After` that names one."""
    if status >= ERROR:
        return Outcome(fault=refusal(plan, status, headers, body, wall=wall))
    try:
        response = plan.response(status, headers, body)
        return Outcome(response, usage=_usage(response, headers, body))
    except MalformedError as error:
        fault = unanswered(error, code="MalformedResponse", message=str(error))
        return Outcome(fault=replace(fault, request_id=headers.get("x-amzn-requestid")))


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
    if not response.get("contentType", "").startswith("application/json"):
        return usage_of(response)
    native = read_json(body)
    return usage_in_headers(headers) or (usage_of(native) if isinstance(native, dict) else None)


def milliseconds(value: Any) -> float | None:
    """Return the seconds in `x-amz-retry-after`, or None."""
    number = _number(value)
    return None if number is None else _believed(number / 1000)


def retry_after(value: Any, wall: float) -> float | None:
    """Return the seconds in `Retry-After`, which may be a date, or None."""
    number = _number(value)
    if number is not None or value is None:
        return _believed(number)
    try:
        date = parsedate_to_datetime(str(value))
        return _believed(max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - wall))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _number(value: Any) -> float | None:
    return float(value) if _SECONDS.fullmatch(str(value)) else None


def _believed(seconds: float | None) -> float | None:
    """Return `seconds`, or None if they cannot be meant."""
    return None if seconds is None or seconds > LONGEST_WAIT else seconds
