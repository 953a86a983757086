"""Create dead letters from a failed call of a pipeline, or from a request and an error that a program passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from aws_bedrock_inference.background import BackgroundFull
from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.call import Outcome, Route
from aws_bedrock_inference.contexts import current, texts
from aws_bedrock_inference.deadletters.letter import Content, Letter, Summary, Tried
from aws_bedrock_inference.deadletters.masks import without_secrets
from aws_bedrock_inference.fault import Fault, Kind
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.wording import sentence

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.knowledge.explain import Explanation

# Maps boto3's names of a method and of its operation to the operation that a letter contains.
KEPT = {
    name: method
    for method, operation in (
        ("converse", "Converse"),
        ("converse_stream", "ConverseStream"),
        ("invoke_model", "InvokeModel"),
        ("invoke_model_with_response_stream", "InvokeModelWithResponseStream"),
    )
    for name in (method, operation)
}

# Refusals whose cause is the request itself.
_OF_REQUEST = frozenset({"request-larger-than-quota", "request-invalid"})


def letter_of_call(call: Call, outcome: Outcome, at: float, tags: Mapping[str, str]) -> Letter:
    """Return the dead letter for a call that has failed permanently. Its tags are `tags`, the context of the call, and
    the `requestMetadata` of the request.
    """
    fault = outcome.fault
    assert fault is not None  # noqa: S101 - only a failed call becomes a letter
    labels = call.params.get("requestMetadata")
    own = {name: text for name, text in labels.items() if _are_texts(name, text)} if labels else {}
    return _letter(
        explain(fault, service="bedrock"),
        outcome,
        at,
        route=call.route,
        tags={**own, **texts(call.context), **tags},
        operation=KEPT[call.operation],
        request=dict(call.params),
        error=masked(sentence(outcome, fault, call.operation, call.route)),
        tenant=call.tenant,
    )


def letter_of_error(request: Any, error: Any, metadata: Any, at: float, tags: Mapping[str, str]) -> Letter:
    """Return the dead letter for a request that failed in a program. `error` is the exception or its text."""
    if not isinstance(tags, Mapping):
        raise ValueError(  # noqa: TRY004 - as the policy does
            f"tags={shown(tags)}: pass names and texts in a dictionary, such as {{'team': 'search'}}"
        )
    outcome, route = getattr(error, "outcome", None), getattr(error, "route", None)
    said = request if isinstance(request, Mapping) else {}
    model = said.get("modelId")
    return _letter(
        explain(error),
        outcome if isinstance(outcome, Outcome) else Outcome(),
        at,
        route=route if isinstance(route, Route) else Route(model if isinstance(model, str) else ""),
        tags={**texts(current()), **tags},
        operation="invoke_model" if "body" in said else "invoke",
        request=request,
        error=masked(error if isinstance(error, str) else _text(error)),
        metadata=without_secrets(dict(metadata)) if isinstance(metadata, Mapping) else {},
    )


def summary_after(summary: Summary, error: BaseException, at: float) -> dict[str, Any]:
    """Return the fields of a summary that change after another failure.

    Usually, the new cause replaces the previous cause. The previous cause stays if the client did not send the request:
    the circuit was open, the budget was exhausted, or the client was closed. Filters then still find the dead letter by
    the cause of its last real failure.
    """
    fault = getattr(error, "fault", None)
    of_client = isinstance(fault, Fault) and fault.kind is Kind.REFUSED and fault.cause not in _OF_REQUEST
    verdict = {} if of_client else _verdict(explain(error))
    return {**verdict, "last": at, "attempts": summary.attempts + getattr(error, "attempts", 1)}


def failure_text(error: BaseException) -> str:
    """Return the first line of an exception without secrets, at most 500 characters."""
    return masked(_text(error)).splitlines()[0][:500] if _text(error) else type(error).__name__


def loss_text(error: Exception) -> str:
    """Return the reason why a dead letter was not stored. For an unexpected error, return only its type, because its
    text can contain secrets.
    """
    from aws_bedrock_inference.stores.request import StoreUnavailable  # noqa: PLC0415 - it loads asyncio

    return str(error) if isinstance(error, (StoreUnavailable, BackgroundFull)) else type(error).__name__


def _letter(
    explained: Explanation, outcome: Outcome, at: float, *, route: Route, tags: Mapping[str, str], **content: Any
) -> Letter:
    fault = outcome.fault
    summary = Summary(
        id=str(uuid4()),
        first=at,
        last=at,
        model=_searchable(route.model),
        region=_searchable(route.region),
        attempts=outcome.attempts,
        tags=without_secrets({str(name): str(value) for name, value in tags.items()}),
        **_verdict(explained),
    )
    return Letter(
        summary,
        Content(
            explanation={
                "title": explained.title,
                "service": explained.service,
                **_verdict(explained),
                "meaning": explained.meaning,
                "remedies": [[remedy.do, remedy.run] for remedy in explained.remedies],
            },
            tried=tuple(_tried(each) for each in outcome.earlier),
            routes=_routes(outcome, route),
            request_id=fault.request_id if fault is not None else None,
            partial=_partial(outcome.value),
            **content,
        ),
    )


def _searchable(text: str) -> str:
    """Return the text without incomplete characters (unpaired surrogates), so that every store can search it."""
    return text.encode(errors="replace").decode()


def _routes(outcome: Outcome, route: Route) -> tuple[str, ...]:
    """Return the routes (a model in a Region) that the call tried, without duplicates. The first tried route comes
    first.
    """
    tried = tuple(dict.fromkeys(str(hop.route) for hop in outcome.made.trail))
    return tried or ((str(route),) if route.model else ())


def _verdict(explained: Explanation) -> dict[str, Any]:
    return {
        "cause": explained.cause,
        "code": explained.code,
        "decision": explained.decision.value,
        "category": explained.category.value,
    }


def _tried(attempt: Any) -> Tried:
    fault = attempt.fault
    return Tried(fault.code, fault.cause, masked(fault.message), fault.request_id, fault.status, attempt.wait)


def _partial(value: Any) -> Any:
    """Return the part of an answer that arrived, as a Converse message. A body in the model's own format is returned
    unchanged.
    """
    if value is None:
        return None
    if isinstance(value, dict):
        return (value.get("output") or {}).get("message", value)
    message = value.message()
    return message if message.get("content") else None


def _text(error: object) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a program's own exception
        return type(error).__name__


def _are_texts(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)
