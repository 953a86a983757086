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
    """Return True if the route (a model in one Region and account) answered; otherwise return False. If the caller
    stopped reading a stream after its first content, the result is True.
    """
    return outcome.fault is None or (outcome.emitted > 0 and outcome.fault.cause == ABANDONED.cause)


def is_breach(fault: Fault) -> bool:
    """Return True if a fault is a breach, that is, a sign that its route (model, Region and account) is unhealthy;
    otherwise return False. A fault in the request, in the credentials or on this machine is not a breach.
    """
    return fault.kind is not Kind.REFUSED and fault.origin in _LIVE and (fault.unhealthy or fault.kind in _BREACHES)


def is_shut(fault: Fault) -> bool:
    """Return True if a fault shows that no call on its route can succeed until somebody corrects the setup; otherwise
    return False. The causes are wrong credentials, a wrong certificate and missing permissions.

    A `Fallback` treats a target as unhealthy after several such faults. It does not count such faults on the route that
    the caller requested.
    """
    unsafe = fault.origin is Origin.NETWORK and fault.decision is Decision.FAIL
    return fault.kind is Kind.DENIED or fault.origin is Origin.IDENTITY or unsafe


def may_still_answer(outcome: Outcome) -> bool:
    """Return True if a further attempt on the route (model, Region and account) can succeed; otherwise return False.

    A fallback grants each route only a part of the call's time. If the quota of the route did not admit the call within
    this part, the result is True, because the quota can admit the call later.
    """
    fault = outcome.fault
    return fault is not None and (fault.decision is not Decision.FAIL or fault.cause == _TOO_CLOSE)
