"""Two functions whose code AWS prints on its troubleshooting pages. They return whether a call can be retried."""

from __future__ import annotations

from typing import Any

from aws_bedrock_inference.fault import Decision, Fault
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.resilience.functions import known_fault


def handle_aws_error(error: Any) -> str:
    """Return the decision whether the call that failed with `error` can be repeated: `RETRY`, `FAIL`, or
    `RETRY_LIMITED` if it can be repeated only a limited number of times, usually once.
    """
    return classify(error).decision.value


def is_recoverable_error(error: BaseException) -> bool:
    """Return True if the caller should retry soon.

    Return False for a permanent error, and for a call that a client of this package has already retried.

    Return False also for an unknown error and for an exhausted daily quota. For these two errors, `handle_aws_error`
    returns `RETRY_LIMITED` and not `FAIL`, because a later call may succeed.
    """
    return worth_repeating(known_fault(error))


def worth_repeating(fault: Fault, made: int = 1) -> bool:
    """Return True if the fault (the classified error) allows another attempt after `made` attempts."""
    if fault.decision is Decision.RETRY_LIMITED:
        return made < fault.hint.attempts
    return fault.decision is Decision.RETRY and fault.hint.attempts > 1


def named(fault: Fault) -> str:
    """Return the code and the cause of a fault, for a log. The service's message is omitted, because it can quote the
    request.
    """
    code = fault.code if fault.code != fault.cause or fault.error is None else type(fault.error).__name__
    return f"{code} ({fault.cause})"
