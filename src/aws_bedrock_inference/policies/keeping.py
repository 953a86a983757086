"""Outcomes that a cache may give to others, keep, or put an older answer in the place of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_bedrock_inference.dialects.usage import is_complete
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call, Outcome

KEPT = frozenset({"converse", "converse_stream", "invoke_model", "invoke_model_with_response_stream"})


def is_sound(outcome: Outcome) -> bool:
    """Return whether an outcome may be given to others: it is of the route that was asked for, and no part of it was
    guessed.
    """
    made = outcome.made
    if outcome.fault is not None or made.degraded_by is not None or made.replaced or made.route is not None:
        return False
    return all(seam.verified for seam in made.seams)


def is_whole(outcome: Outcome, call: Call, body: bytes | None) -> bool:
    """Return whether the model ended a sound answer by itself, so that it may be kept. `body` is that of InvokeModel's
    answer.
    """
    if call.streams:
        transcript = outcome.value
        if not transcript.whole or transcript.intervened:
            return False
        return is_complete({"stop_reason": transcript.stop_reason}, needs_reason=True)
    if call.operation != "invoke_model":
        return is_complete(outcome.value, needs_reason=True)
    try:
        parsed = json.loads(body or b"")
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict) and is_complete(parsed, needs_reason=False)


def may_heal(outcome: Outcome) -> bool:
    """Return whether the call failed before anything of its answer was given, and a later one may succeed."""
    fault = outcome.fault
    if fault is None or outcome.emitted:
        return False
    return fault.decision is not Decision.FAIL or fault.category is Category.TRANSIENT


def for_all(fault: Fault) -> Fault | None:
    """Return the fault if every equal request has it: this one is invalid, whoever makes it."""
    return fault if fault.kind is Kind.INVALID and fault.decision is Decision.FAIL else None
