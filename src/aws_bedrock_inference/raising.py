"""Convert a failed outcome into an exception."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aws_bedrock_inference.dialects.filtered import FILTER_CAUSES
from aws_bedrock_inference.exceptions import (
    AnswerIncomplete,
    BedrockError,
    ContentFilteredError,
    Denied,
    InvalidByService,
    ModelFailed,
    NotFound,
    NotReady,
    Overloaded,
    Refused,
    ServerFailed,
    ServiceFault,
    StreamBroken,
    Throttled,
    TimedOut,
    Unreachable,
)
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.knowledge.lifecycle import advice_on

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Outcome, Route
    from aws_bedrock_inference.fault import Fault

_CLASSES: dict[Kind, type[BedrockError]] = {
    Kind.THROTTLED: Throttled,
    Kind.OVERLOADED: Overloaded,
    Kind.NOT_READY: NotReady,
    Kind.SERVER: ServerFailed,
    Kind.MODEL: ModelFailed,
    Kind.INVALID: InvalidByService,
    Kind.DENIED: Denied,
    Kind.NOT_FOUND: NotFound,
    Kind.TIMED_OUT: TimedOut,
    Kind.UNREACHABLE: Unreachable,
    Kind.STREAM: StreamBroken,
    Kind.UNKNOWN: ServiceFault,
}
_BY_CAUSE: dict[str, type[BedrockError]] = dict.fromkeys(FILTER_CAUSES, ContentFilteredError)
_BY_CODE: dict[str, type[BedrockError]] = {AnswerIncomplete.__name__: AnswerIncomplete}
_REFUSALS: dict[str, type[BedrockError]] = {kind.__name__: kind for kind in Refused.__subclasses__()}


def error_of(outcome: Outcome, operation: str, route: Route) -> BedrockError:
    """Return the exception for the failed `outcome`. Its `__cause__` is the original error.

    The exception contains the route on which the call failed. If a `Fallback` moved the call, `outcome` contains this
    route. Otherwise the parameter `route` is used.
    """
    fault, route = outcome.fault, outcome.made.route or route
    assert fault is not None  # noqa: S101 - only a failed outcome becomes an exception
    more = advice_on(fault.cause, route.base) or _of_another_region(fault, route)
    if more:
        fault = replace(fault, advice=f"{fault.advice} {more}".lstrip())
        outcome = outcome._replace(fault=fault)
    # A partial answer is never lost, whatever ended the call.
    kind: type[BedrockError] | None = _BY_CAUSE.get(fault.cause) or _BY_CODE.get(fault.code)
    if kind is None and outcome.emitted:
        kind = StreamBroken
    elif kind is None:
        kind = _REFUSALS.get(fault.code, Refused) if fault.kind is Kind.REFUSED else _CLASSES[fault.kind]
    error = kind(outcome, operation, route)
    error.__cause__ = fault.error
    return error


def _of_another_region(fault: Fault, route: Route) -> str:
    """Return the advice to call the Region in the model's ARN, if another Region was called; otherwise return an empty
    text. The error from AWS does not name the Region. It only states that the model does not exist or that access to
    it is denied.
    """
    if fault.status is None or fault.kind not in (Kind.INVALID, Kind.NOT_FOUND, Kind.DENIED):
        return ""
    parts = route.model.split(":")
    region = parts[3] if parts[0] == "arn" and len(parts) > 3 else ""  # noqa: PLR2004 - arn:partition:service:region
    if region in ("", route.region):
        return ""
    return f"The ARN of the model is in {region}, but {route.region} was called: pass region_name={region!r}."
