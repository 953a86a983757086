"""Decide whether a cache is allowed to share an answer with other callers, to store it, or to replace a failure with
an expired answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_bedrock_inference.dialects.usage import is_complete
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call, Outcome

KEPT = frozenset({"converse", "converse_stream", "invoke_model", "invoke_model_with_response_stream"})


def is_sound(outcome: Outcome) -> bool:
    """Return True if other callers can receive the answer of an outcome; otherwise return False. The answer must come
    from the requested route, and must not be a substitute or a message that replaced it. If a broken stream was
    continued, the second part must be known to start where the first part ended (`Seam.verified`).
    """
    made = outcome.made
    if outcome.fault is not None or made.degraded_by is not None or made.replaced or made.route is not None:
        return False
    return all(seam.verified for seam in made.seams)


def is_whole(outcome: Outcome, call: Call, body: bytes | None) -> bool:
    """Return True if an answer is complete, that is, if the model itself ended it; otherwise return False. Only
    complete answers are stored. `body` is the body of an InvokeModel answer.
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
    """Return True if an expired answer can replace the failure of the call; otherwise return False. This is the case if
    the call failed with a temporary fault before it delivered anything.
    """
    fault = outcome.fault
    if fault is None or outcome.emitted:
        return False
    return fault.decision is not Decision.FAIL or fault.category is Category.TRANSIENT


def for_all(fault: Fault) -> Fault | None:
    """Return `fault` if every equal request would fail in the same way, because the request is invalid. Otherwise
    return None.
    """
    return fault if fault.kind is Kind.INVALID and fault.decision is Decision.FAIL else None
