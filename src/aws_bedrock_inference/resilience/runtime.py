"""The runtime of wrapped clients and functions: policies, clock, listeners, and the original exceptions.

Inside this package, a failure is an `Outcome`. When the call returns to the user's code, the original exception is
raised again, because existing code catches that exception. The exception then has the attributes `fault` and
`outcome`, and notes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from logging import DEBUG
from math import inf
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import Attempt, Call, Outcome, Route
from aws_bedrock_inference.contexts import current
from aws_bedrock_inference.exceptions import BedrockError
from aws_bedrock_inference.fault import Decision, Kind
from aws_bedrock_inference.flow import Pipeline
from aws_bedrock_inference.listeners import PROCESS, Listener, Listeners
from aws_bedrock_inference.log import enabled as log_enabled
from aws_bedrock_inference.log import log
from aws_bedrock_inference.observed import attempt, next_id, observed
from aws_bedrock_inference.policies import Breaker, Deadline, Quota, Retry, one_owner
from aws_bedrock_inference.raising import error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Step

TOTAL_TIMEOUT = 300.0
"""The default limit of a whole call in seconds. It is enough for four of botocore's 60-second time-outs and the waits
between them.
"""


class Guard:
    """The policies, clock and listeners for the calls of one client or function."""

    def __init__(
        self,
        *,
        pipeline: Pipeline | None = None,
        quota: Quota | None = None,
        timeout: float | None = None,
        listener: Listener | None = None,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        one_owner(quota, pipeline)
        if timeout is not None and not is_number(timeout, above=0, infinite=True):
            raise ValueError(
                f"timeout={shown(timeout)}: pass seconds above 0 for the whole call, including waits and retries"
            )
        policies = (Deadline(TOTAL_TIMEOUT), Retry(), Breaker(), *((quota,) if quota is not None else ()))
        self.pipeline = pipeline if pipeline is not None else Pipeline(*policies)
        self.clock = clock
        self.sleep = sleep
        self.listeners = Listeners(log, beyond=PROCESS)
        if listener is not None:
            self.listeners.add(listener)
        self._total_timeout = inf if timeout is None else timeout

    def call(self, operation: str, params: Mapping[str, Any], route: Route) -> Call:
        """Return a new call with the current time as its arrival."""
        now = self.clock()
        call_id = next_id() if self.listeners.watched else 0
        deadline = now + self._total_timeout
        return Call(operation, params, route, arrived=now, deadline=deadline, call_id=call_id, context=current())

    def around(self, step: Step, *, streams: bool = False) -> Step:
        """Return a step that runs `step` inside all policies. A step is a function that carries out a call. The
        returned step also emits the events of the call and of its attempts.
        """
        inner = self.pipeline.around(attempt(step, self.clock), self.clock)
        return lambda call: observed(inner(call), call, streams=streams)

    def ended(self, call: Call, outcome: Outcome) -> None:
        """Emit `CallEnded`."""
        if outcome.fault is not None or self.listeners.heard or log_enabled(DEBUG):
            self.listeners.call_ended(call, outcome, self.clock())


def raisable(outcome: Outcome, operation: str, route: Route, notes: Iterable[str] = ()) -> BaseException:
    """Return the exception for a failed outcome. It is the original exception of the last attempt that raised one.

    The exception gets the attributes `fault` and `outcome`, and notes. The notes state what was tried and what to do.
    If no attempt raised an exception, for example because nothing was sent, the result is an exception of this package
    such as `Refused`.
    """
    fault = outcome.fault
    assert fault is not None  # noqa: S101 - only a failed outcome becomes an exception
    errors = [fault.error, *(attempt.fault.error for attempt in reversed(outcome.earlier))]
    error = next((error for error in errors if error is not None), None)
    if error is None:
        return error_of(outcome, operation, route)
    said = (_summary(outcome, fault, operation, route), fault.advice, *notes, *map(_earlier, outcome.earlier))
    with suppress(Exception):  # an exception may refuse new attributes and notes; it must still be raised
        _annotate(error, fault, outcome, said)
    return error


def _annotate(error: BaseException, fault: Fault, outcome: Outcome, notes: Iterable[str]) -> None:
    own = vars(error)
    if not isinstance(error, BedrockError):  # its text already says what happened inside its client
        for name, value in (
            ("fault", _bare(fault)),
            ("outcome", _without_errors(outcome)),
            ("letter_id", outcome.made.letter_id),
        ):
            if isinstance(
                getattr(error, name, value), type(value)
            ):  # an existing attribute of the exception is not replaced
                own[name] = value
        if isinstance(error, ClientError):
            response: dict[str, Any] = own["response"]
            response.setdefault("ResponseMetadata", {})["RetryAttempts"] = max(0, outcome.attempts - 1)
    for note in filter(None, notes):
        error.add_note(note)


def _summary(outcome: Outcome, fault: Fault, operation: str, route: Route) -> str:
    attempts = f"{outcome.attempts} attempt" + "s" * (outcome.attempts != 1)
    last = f", then {fault}" if fault.kind is Kind.REFUSED else ""
    repeatable = outcome.earlier or fault.decision is not Decision.FAIL
    gave_up = f", gave up: {outcome.gave_up}" if outcome.gave_up and repeatable else ""
    where = operation if operation == str(route) else f"{operation} on {route}"
    return f"{where}: {attempts}{last}, {fault.decision.value}, cause {fault.cause}{gave_up}"


def _earlier(attempt: Attempt) -> str:
    return f"earlier attempt: {attempt}"


def _bare(fault: Fault) -> Fault:
    """Return a copy of the fault without its original exception. If the copy contained the exception, a reference cycle
    would keep the stack frames of the exception in memory.
    """
    return replace(fault, error=None)


def _without_errors(outcome: Outcome) -> Outcome:
    earlier = tuple(replace(attempt, fault=_bare(attempt.fault)) for attempt in outcome.earlier)
    return outcome._replace(fault=_bare(outcome.fault) if outcome.fault else None, earlier=earlier)
