"""Create the text of an exception, and remove from an outcome the parts that cannot be pickled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from aws_bedrock_inference.fault import Decision, Fault, Kind

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Attempt, Outcome, Route
    from aws_bedrock_inference.made import Hop, Seam

T = TypeVar("T", "Attempt", "Hop", "Seam")

# Each refusal prevents an error of the service. This table maps the cause or code of a refusal to the code of that
# error, because programs written for AWS's documents search the text for it. If waiting cannot help after a refusal,
# its code is one that these programs do not retry.
_STANDS_FOR = {
    "request-larger-than-quota": "ValidationException",
    "InvalidRequest": "ValidationException",
    "CircuitOpen": "ServiceUnavailableException",
    "QuotaExhausted": "ThrottlingException",
    "QueueFull": "ThrottlingException",
    "DeadlineTooClose": "RequestTimeout",
}


def sentence(outcome: Outcome, fault: Fault, operation: str, route: Route) -> str:
    """Return the message of an exception: what happened, where, what was tried, and what to do."""
    attempts = (
        ""
        if fault.kind is Kind.REFUSED and not outcome.earlier
        else f" after {outcome.attempts} attempt" + "s" * (outcome.attempts > 1)
    )
    repeatable = outcome.earlier or fault.decision is not Decision.FAIL
    gave_up = f", gave up: {outcome.gave_up}" if outcome.gave_up and repeatable else ""
    request = f", request id {fault.request_id}" if fault.request_id else ""
    code = _STANDS_FOR.get(fault.cause) or _STANDS_FOR.get(fault.code) if fault.kind is Kind.REFUSED else None
    stands_for = f" (equivalent to {code})" if code else ""
    # The class of a refused request is named like its code, so a traceback would show the name twice.
    said = fault.message if fault.code == "InvalidRequest" else fault
    return f"{said} [{operation} on {route}{attempts}{gave_up}{request}] {fault.advice}".rstrip() + stands_for


def portable(outcome: Outcome) -> Outcome:
    """Return a copy of the outcome without the original exceptions, which cannot be pickled."""

    def bare(part: T) -> T:
        return replace(part, fault=replace(part.fault, error=None))

    fault = replace(outcome.fault, error=None) if outcome.fault is not None else None
    made = outcome.made
    if made.seams or made.trail:
        made = replace(made, seams=tuple(map(bare, made.seams)), trail=tuple(map(bare, made.trail)))
    return outcome._replace(fault=fault, earlier=tuple(map(bare, outcome.earlier)), made=made)
