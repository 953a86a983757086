"""Answer with a substitute when a call has failed permanently."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.dialects import substitute
from aws_bedrock_inference.events import AnswerDegraded
from aws_bedrock_inference.fault import Category, Fault, Kind
from aws_bedrock_inference.flow import emit
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.policies.substitutes import handed_over

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Flow, Step

Substitute: TypeAlias = "str | Callable[[Call, Fault], Any]"
"""A substitute: a text, or a function that returns one and is called with the call and its fault."""

# A substitute must not hide an error that the caller must correct: a wrong request, missing access, a missing model.
_OF_THE_CALLER = frozenset({Kind.INVALID, Kind.DENIED, Kind.NOT_FOUND})
_FAILED = 500

_CONVERSE = frozenset({"converse", "converse_stream"})
_ANSWERS = _CONVERSE | {"invoke_model"}


class Degrade:
    """A policy that answers with a substitute when a call has failed permanently.

    `substitute` is a text, or a function of the call and the fault. The function returns a text, or a response of
    Converse with at least `output`, or None to raise the fault. For InvokeModel, whose answers have the model's own
    format, the function returns the body as bytes or a dictionary; a text cannot be used there. If the function fails,
    the error is logged and the fault is raised.

    The substitute replaces faults that may pass without any action of the caller: faults of the service and the
    network, throttles, a deadline, an open circuit, a full queue. It does not replace the fault of a request that is
    invalid, denied or filtered, of a call that the quota can never admit, of a closed client, or of a stream that was
    already delivered in part.

    Refuses nothing. Emits `AnswerDegraded`, which is logged as a warning.
    """

    def __init__(self, substitute: Substitute) -> None:
        given: Any = substitute  # it may have any type
        if not (isinstance(given, str) and given.strip()) and (
            not callable(given) or inspect.iscoroutinefunction(given)
        ):
            raise ValueError(
                f"Degrade({shown(given)}): pass the text to answer with, or a function of the call and its fault; "
                "an async function cannot be used"
            )
        self.substitute = substitute

    def around(self, step: Step, clock: Clock) -> Step:  # noqa: ARG002 - nothing here takes time
        """Return `step`, with a substitute if it fails."""

        def flow(call: Call) -> Flow:
            return self._answer(step, call) if call.operation in _ANSWERS else step(call)

        return flow

    def _answer(self, step: Step, call: Call) -> Flow:
        outcome = yield from step(call)
        if outcome.fault is None or outcome.emitted or not may_be_degraded(outcome.fault):
            return outcome
        return (yield from self._degraded(call, outcome, outcome.fault))

    def _degraded(self, call: Call, outcome: Outcome, fault: Fault) -> Flow:
        response = self._response(call, fault)
        if response is None:
            return outcome
        made = replace(outcome.made, degraded_by=fault)
        yield from emit(AnswerDegraded(call.route, fault, outcome.attempts))
        if call.streams:
            return (yield from handed_over(response, outcome, made))
        return outcome._replace(value=response, fault=None, made=made)

    def _response(self, call: Call, fault: Fault) -> dict[str, Any] | None:
        """Return the substitute as a response of the call's operation, or None if there is no substitute."""
        try:
            answer: Any = self.substitute(call, fault) if callable(self.substitute) else self.substitute
            if call.operation in _CONVERSE:
                if isinstance(answer, (str, dict)):
                    response = substitute.response(answer, request_id=fault.request_id)
                    substitute.events(response)  # raises if it is not a response
                    return response
            elif isinstance(answer, (bytes, dict)):
                return substitute.native_response(answer, request_id=fault.request_id)
        except Exception:  # noqa: BLE001 - the call's fault helps more than the error of the substitute
            LOGGER.exception("the substitute of Degrade failed; the call's own fault is raised")
        return None

    def __repr__(self) -> str:
        return "Degrade(...)"


def may_be_degraded(fault: Fault) -> bool:
    """Return whether a substitute may replace a fault: the fault needs no correction by the caller."""
    if fault.kind in _OF_THE_CALLER or fault.category is Category.PERMANENT:
        return False
    if fault.kind is Kind.UNKNOWN:  # only the status shows that an unknown error is the service's own
        return fault.status is not None and fault.status >= _FAILED
    return True
