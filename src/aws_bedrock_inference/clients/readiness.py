"""Wait until the access agreement of a model is complete, or until an imported model is loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.events import ReadinessAwaited
from aws_bedrock_inference.fault import Decision, Kind
from aws_bedrock_inference.flow import emit, send, sleep
from aws_bedrock_inference.knowledge.lifecycle import heals_after

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Flow

READY_SECONDS = 3600.0


def checked(timeout: float) -> float:
    """Return the maximum number of seconds to wait. Raises `ValueError` if `timeout` is not a number above 0."""
    if not is_number(timeout, above=0, infinite=True):
        raise ValueError(f"wait_until_ready({shown(timeout)}): pass seconds above 0")
    return timeout


def ready(call: Call, clock: Clock, timeout: float) -> Flow:
    """Repeat `call` until it succeeds or fails permanently. After `timeout` seconds, send it for the last time."""
    started = clock()
    tries = 0
    while True:
        outcome = yield from send(call)
        fault = outcome.fault
        left = started + timeout - clock()
        if fault is None or _is_loaded(call, fault):
            return Outcome(value=outcome.value, usage=outcome.usage)
        if not _heals(fault) or left <= 0:
            return outcome
        wait = min(_pause(fault, tries), left)
        tries += 1
        yield from emit(ReadinessAwaited(call.route, fault, clock() - started, wait))
        yield from sleep(wait)


def _is_loaded(call: Call, fault: Fault) -> bool:
    """Return True if the fault shows that an imported model is loaded.

    Each imported model has its own format of request bodies, and this package does not know the format. A loaded model
    may therefore reject the body of the request. A model that is not loaded does not read the body, and returns a
    different error. A rejected body therefore shows that the model is loaded.
    """
    return call.operation == "invoke_model" and fault.kind is Kind.INVALID


def _heals(fault: Fault) -> bool:
    return fault.decision is not Decision.FAIL or heals_after(fault.cause) is not None


def _pause(fault: Fault, tries: int) -> float:
    """Return the seconds to wait before the next attempt.

    If the answer of AWS states a wait, return this wait. Otherwise, return the wait that AWS documents for the cause of
    the fault. If AWS documents no wait either, return an exponential backoff of at least 1 second. `fault.hint`
    contains the first and the longest wait of this backoff. `tries` is the number of earlier waits.
    """
    stated = fault.stated_wait or heals_after(fault.cause)
    hint = replace(fault.hint, floor=max(fault.hint.floor, 1.0))
    return stated or max(hint.floor, min(hint.cap, hint.base * 2.0 ** min(tries, 30)))
