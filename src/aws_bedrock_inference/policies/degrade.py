"""The policy that returns a substitute, such as a fixed text, when a call has failed permanently."""

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
from aws_bedrock_inference.policies.order import Ordered
from aws_bedrock_inference.policies.substitutes import handed_over

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Flow, Step

Substitute: TypeAlias = "str | Callable[[Call, Fault], Any]"
"""A substitute for the model's answer: a text, or a function that is called with the call and its fault, and returns
the substitute.
"""

# A substitute must not hide an error that the caller must correct: a wrong request, missing access, a missing model.
_OF_THE_CALLER = frozenset({Kind.INVALID, Kind.DENIED, Kind.NOT_FOUND})
_FAILED = 500

_CONVERSE = frozenset({"converse", "converse_stream"})
_ANSWERS = _CONVERSE | {"invoke_model"}


class Degrade(Ordered):
    """A policy that returns a substitute instead of an exception when a call has failed permanently.

    * `substitute`: a text, or a function that is called with the call and its fault. For Converse, the function returns
      a text, a response that has at least `output`, or None to raise the fault. For InvokeModel, it returns the body as
      bytes or a dictionary, because each model has its own format. If the substitute for InvokeModel is a text, it is
      not used, and the call's fault is raised. If the function fails, its error is logged, and the call's fault is
      raised.

    The substitute replaces only faults that the caller does not need to correct: faults of the service and the network,
    throttles, a deadline, an open circuit, a full queue. It does not replace these faults:

    * The request is invalid, denied or filtered, or its model does not exist.
    * The quota can never admit the call.
    * The client is closed.
    * A part of a stream was already delivered.

    Refuses no call. Emits `AnswerDegraded`, which is logged as a warning. Raises `ValueError` for an invalid option.
    """

    def __init__(self, substitute: Substitute) -> None:
        given: Any = substitute  # it may have any type
        if not (isinstance(given, str) and given.strip()) and (
            not callable(given) or inspect.iscoroutinefunction(given)
        ):
            raise ValueError(
                f"Degrade({shown(given)}): pass the text of the substitute answer, or a function (call, fault) that "
                "returns this answer; an async function cannot be used"
            )
        self.substitute = substitute

    def around(self, step: Step, clock: Clock) -> Step:  # noqa: ARG002 - nothing here takes time
        """Return a step that runs `step` (the rest of the pipeline), and returns the substitute for calls that fail in
        it.
        """

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
        """Return the substitute in the format of the call's response, or None if there is no substitute for this
        call.
        """
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
    """Return True if a substitute can replace the answer of a call that failed with this fault; otherwise return False.
    If the caller must correct something, such as the request, the result is False.
    """
    if fault.kind in _OF_THE_CALLER or fault.category is Category.PERMANENT:
        return False
    if fault.kind is Kind.UNKNOWN:  # only the status shows that an unknown error is the service's own
        return fault.status is not None and fault.status >= _FAILED
    return True
