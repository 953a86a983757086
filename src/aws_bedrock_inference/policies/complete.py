"""The policy that checks whether answers with a tool call or JSON are complete. JSON must also match the schema that
the request contains.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import Attempt, Usage
from aws_bedrock_inference.dialects.asked import asks_for_form, problem_of, with_limit
from aws_bedrock_inference.dialects.request import max_tokens
from aws_bedrock_inference.events import RetryScheduled
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind
from aws_bedrock_inference.flow import emit
from aws_bedrock_inference.knowledge.models import model_facts
from aws_bedrock_inference.policies.order import Ordered

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.dialects.asked import Problem
    from aws_bedrock_inference.flow import Flow, Step

_CONVERSE = frozenset({"converse", "converse_stream"})
_LARGER = 2
_ADVICE = {
    "answer-truncated": "Raise max_tokens, or request a shorter answer. The incomplete answer is in `answer`, and was "
    "charged.",
    "answer-breaks-schema": "Send the request again, or simplify the schema. The received answer is in `answer`, and "
    "was charged.",
    "model-invalid-tool-output": "Send the request again, or simplify the tools and their schemas. The received answer "
    "is in `answer`, and was charged.",
}


class Complete(Ordered):
    """A policy for requests with tools or a JSON schema. It repeats such a request if the answer was truncated, because
    a truncated tool call or JSON is useless.

    An answer that reaches `max_tokens` is truncated. Then a tool call or the JSON can be incomplete, or a required tool
    call can be missing. In these cases, the policy sends the request again with twice the limit, or with the model's
    maximum if this is lower. It never repeats a request with the same limit.

    * `repeats`, default 1: the maximum number of repeats. Each repeat costs the whole input again. A second repeat
      rarely helps: an answer that is longer than twice the limit is usually also longer than four times the limit.

    If the answer is still truncated, the call ends with the fault `AnswerIncomplete`. A call also ends with this fault
    if its stop reason is `malformed_tool_use` or `malformed_model_output`, or if its JSON is malformed or does not
    match its schema. Schemas are checked if `jsonschema` is installed (extra `schema`).

    A stream is not repeated, because its events were already delivered. The caller receives the events, and then the
    fault. Answers of InvokeModel, and answers to requests without tools and schema, are not checked.

    Refuses no call. Emits `RetryScheduled` before a repeat. Raises `ValueError` for invalid options.
    """

    def __init__(self, *, repeats: int = 1) -> None:
        if not is_number(repeats, least=0, whole=True):
            raise ValueError(f"Complete(repeats={shown(repeats)}): pass 0 for no repeat, or a larger whole number")
        self.repeats = repeats

    def around(self, step: Step, clock: Clock) -> Step:
        """Return a step that runs `step` (the rest of the pipeline), and checks whether its answers are complete."""

        def flow(call: Call) -> Flow:
            if call.operation not in _CONVERSE or not asks_for_form(call.params):
                return step(call)
            return self._stream(step, call) if call.streams else self._answer(step, call, clock)

        return flow

    def _stream(self, step: Step, call: Call) -> Flow:
        outcome = yield from step(call)
        if outcome.fault is None:
            problem = problem_of(call.params, outcome.value.response({}))
            if problem is not None:
                return outcome._replace(fault=_fault(problem))
        return outcome

    def _answer(self, step: Step, call: Call, clock: Clock) -> Flow:
        outcome = yield from step(call)
        for _ in range(self.repeats):
            problem = problem_of(call.params, outcome.value) if outcome.fault is None else None
            limit = _larger(call)
            if problem is None or not problem.at_limit or limit is None or clock() >= call.deadline:
                break
            fault, used = _fault(problem, outcome), outcome.usage or Usage()
            attempt = Attempt(fault, 0.0, used.output_tokens)
            yield from emit(RetryScheduled(call.route, fault, outcome.attempts, 0.0, used.output_tokens))
            call = _enlarged(call, limit)
            again = yield from step(call)
            if again.fault is not None:  # the first answer helps the caller more than the error of the repeat
                reason = f"the repeat with max_tokens={limit} failed with {again.fault.code}"
                since = (*again.earlier, Attempt(again.fault, 0.0))
                return outcome._replace(fault=fault, earlier=(*outcome.earlier, *since), gave_up=reason)
            outcome = again._replace(
                usage=used + again.usage if again.usage is not None else used,
                earlier=(*outcome.earlier, attempt, *again.earlier),
                made=replace(again.made, enlarged=limit),
            )
        problem = problem_of(call.params, outcome.value) if outcome.fault is None else None
        return outcome if problem is None else outcome._replace(fault=_fault(problem, outcome))

    def __repr__(self) -> str:
        return f"Complete(repeats={self.repeats})"


def _larger(call: Call) -> int | None:
    """Return the value of max_tokens for the next request, or None if the model cannot write more than the current
    value.
    """
    limit = max_tokens(call.params)
    if limit is None:
        return None  # without max_tokens the model's own limit applied
    larger = min(_LARGER * limit, model_facts(call.route.base or call.route.model).max_output_tokens)
    return larger if larger > limit else None


def _enlarged(call: Call, limit: int) -> Call:
    estimate = replace(call.estimate, output_tokens=limit)
    return call._replace(params=with_limit(call.params, limit), estimate=estimate)


def _fault(problem: Problem, outcome: Outcome | None = None) -> Fault:
    metadata: dict[str, Any] = outcome.value.get("ResponseMetadata", {}) if outcome is not None else {}
    decision, category = Decision.RETRY_LIMITED, Category.UNKNOWN
    if problem.cause == "answer-truncated":
        decision, category = Decision.FAIL, Category.PERMANENT
    return Fault(
        code="AnswerIncomplete",
        message=problem.message,
        kind=Kind.MODEL,
        decision=decision,
        category=category,
        cause=problem.cause,
        advice=_ADVICE[problem.cause],
        status=200,
        request_id=metadata.get("RequestId"),
        response={"ResponseMetadata": metadata},
    )
