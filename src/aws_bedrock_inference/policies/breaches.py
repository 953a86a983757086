"""Decide whether the end of an attempt shows that its route is unhealthy. A route is a model in one Region and
account. A breach is a failed attempt that counts against the health of its route.
"""

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
    """Return True if the route (a model in one Region and account) answered; otherwise return False. A stream from
    which the caller stopped reading after its first content counts as answered.
    """
    return outcome.fault is None or (outcome.emitted > 0 and outcome.fault.cause == ABANDONED.cause)


def is_breach(fault: Fault) -> bool:
    """Return True if a fault is a breach, that is, a sign that its route (model, Region and account) is unhealthy;
    otherwise return False. A fault in the request, in the credentials or on this machine is not a breach.
    """
    return fault.kind is not Kind.REFUSED and fault.origin in _LIVE and (fault.unhealthy or fault.kind in _BREACHES)


def is_shut(fault: Fault) -> bool:
    """Return True if a fault shows that a fallback target can answer no call until somebody corrects its setup. This is
    the case if its credentials or its certificate are wrong, or if a permission is missing. Otherwise return False.

    On the route that the caller requested, these faults do not count as breaches. The caller receives the exception,
    and later calls still use that route.
    """
    unsafe = fault.origin is Origin.NETWORK and fault.decision is Decision.FAIL
    return fault.kind is Kind.DENIED or fault.origin is Origin.IDENTITY or unsafe


def may_still_answer(outcome: Outcome) -> bool:
    """Return True if a further attempt on the route (model, Region and account) can succeed; otherwise return False.
    The result is also True if the call left the route because the route's quota could not admit the call in time. The
    quota may admit the call later.
    """
    fault = outcome.fault
    return fault is not None and (fault.decision is not Decision.FAIL or fault.cause == _TOO_CLOSE)
