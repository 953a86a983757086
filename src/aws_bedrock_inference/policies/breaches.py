"""The verdict on a route by the end of an attempt there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.fault import Decision, Fault, Kind, Origin
from aws_bedrock_inference.flow import ABANDONED
from aws_bedrock_inference.policies.refusals import too_close

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Outcome

_LIVE = frozenset({Origin.SERVICE, Origin.NETWORK, Origin.DEPENDENCY})

_BREACHES = frozenset({Kind.THROTTLED, Kind.OVERLOADED, Kind.NOT_READY})

_TOO_CLOSE = too_close("").cause


def answered(outcome: Outcome) -> bool:
    """Return whether the route gave an answer: also one of which the reader had seen enough."""
    return outcome.fault is None or (outcome.emitted > 0 and outcome.fault.cause == ABANDONED.cause)


def is_breach(fault: Fault) -> bool:
    """Return whether a fault speaks against its route: not one of the request, of credentials or of this machine."""
    return fault.kind is not Kind.REFUSED and fault.origin in _LIVE and (fault.unhealthy or fault.kind in _BREACHES)


def is_shut(fault: Fault) -> bool:
    """Return whether a target lets nobody in: its credentials or its certificate are wrong, or a permission is missing.

    The route that was asked for raises these faults and keeps its calls, so there they are no breach.
    """
    unsafe = fault.origin is Origin.NETWORK and fault.decision is Decision.FAIL
    return fault.kind is Kind.DENIED or fault.origin is Origin.IDENTITY or unsafe


def may_still_answer(outcome: Outcome) -> bool:
    """Return whether the route may answer a further attempt: also one that had no room within its part of the time, and
    may have it within the whole.
    """
    fault = outcome.fault
    return fault is not None and (fault.decision is not Decision.FAIL or fault.cause == _TOO_CLOSE)
