"""Describe filtered content: who filtered an answer, why, and whether only a part of it was filtered.

If a guardrail or the model itself filters content, the request succeeds with HTTP status 200. The answer then reports
that content was filtered. If a filter of the model's provider filters content, either the answer reports it, or the
request fails with an error. The functions of this module omit data that they cannot read, and raise no exceptions.

Sources:

* for guardrails: botocore 1.44.8's service model (`GuardrailAssessment`, `AppliedGuardrailDetails`)
* for bodies of InvokeModel: the model parameter pages of the Bedrock user guide
* for `stop_details`: Anthropic's page on refusals
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.dialects.usage import (
    CONTENT_FILTERED,
    FILTERED,
    GUARDRAIL_ACTION,
    GUARDRAIL_TRACE,
    INTERVENED,
    stop_reason,
    stop_reasons,
)
from aws_bedrock_inference.made import AppliedGuardrail, FilteredContent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.made import Source

FILTER_CAUSES: dict[str, Source] = {"guardrail-blocked": "guardrail", "content-filtered": "provider"}
"""The causes (in the error catalogue) of errors that report filtered content."""

_GUARDRAIL_REASON, _REFUSAL = "guardrail_intervened", "refusal"
_OF_REASON: dict[str, Source] = {_GUARDRAIL_REASON: "guardrail", _REFUSAL: "model"}  # otherwise: the provider

# The lists in an assessment, with a name for items that have no name. The text that a word list or a regular expression
# matched is part of the prompt, and is not read.
_FOUND = {
    ("topicPolicy", "topics"): "TOPIC",
    ("contentPolicy", "filters"): "CONTENT",
    ("wordPolicy", "customWords"): "WORD",
    ("wordPolicy", "managedWordLists"): "WORD",
    ("sensitiveInformationPolicy", "piiEntities"): "SENSITIVE",
    ("sensitiveInformationPolicy", "regexes"): "SENSITIVE",
    ("contextualGroundingPolicy", "filters"): "GROUNDING",
}
_BLOCKED, _MASKED = "BLOCKED", "ANONYMIZED"
_ORIGINS = {"REQUEST": "request", "ACCOUNT_ENFORCED": "account", "ORGANIZATION_ENFORCED": "organization"}

# Images of Stability and Titan. Stability reports a reason for each blocked picture. Titan returns an error next to the
# other pictures.
_STABILITY, _STABILITY_WORDS, _ERROR = "finish_reasons", "filter reason:", "error"
_FILTER_WORDS = ("content filter", "responsible ai", "content policy")


def filtered_of(body: Mapping[str, Any]) -> FilteredContent | None:
    """Return why the content of an answer was filtered. Return None if it was not filtered. `body` is a response of
    Converse, or the parsed body of InvokeModel.
    """
    reason = next((each for each in stop_reasons(body) if each.lower() in FILTERED), "")
    if body.get(GUARDRAIL_ACTION) == INTERVENED or reason.lower() == _GUARDRAIL_REASON:
        return _by_guardrail(body, reason or _GUARDRAIL_REASON)
    if reason:
        return FilteredContent(_OF_REASON.get(reason.lower(), "provider"), reason, _refused(body))
    return _image(body)


def filtered_by(fault: Fault) -> FilteredContent | None:
    """Return why the content was filtered. Return None if `fault` is not an error that reports filtered content."""
    source = FILTER_CAUSES.get(fault.cause)
    return FilteredContent(source, fault.cause) if source is not None else None


def cause_of(filtered: FilteredContent) -> str:
    """Return the cause of this filtered content, by its name in the error catalogue."""
    return "guardrail-blocked" if filtered.source == "guardrail" else "content-filtered"


def reason_of(filtered: FilteredContent) -> str:
    """Return the stop reason with which Converse reports this filtered content."""
    return _GUARDRAIL_REASON if filtered.source == "guardrail" else CONTENT_FILTERED


def ends_filtered(event: Mapping[str, Any]) -> bool:
    """Return whether an event of a ConverseStream ends an answer whose content was filtered."""
    stop = event.get("messageStop")
    return isinstance(stop, dict) and stop_reason(stop).lower() in FILTERED


def _by_guardrail(body: Mapping[str, Any], reason: str) -> FilteredContent:
    trace = body.get("trace", body.get(GUARDRAIL_TRACE))
    guardrail = trace.get("guardrail") if isinstance(trace, dict) else None
    names: dict[str, None] = {}
    stepped_in: dict[AppliedGuardrail, None] = {}
    applied: dict[AppliedGuardrail, None] = {}
    actions = set()
    for key, assessment in _assessments(guardrail):
        found = list(_found(assessment))
        names |= dict.fromkeys(name for name, _ in found)
        actions |= {action for _, action in found}
        (stepped_in if found else applied)[_applied(key, assessment)] = None
    return FilteredContent(
        "guardrail",
        reason,
        tuple(names),
        tuple(stepped_in or applied),
        partial=actions == {_MASKED},
    )


def _assessments(guardrail: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each assessment (report of a check) in the trace of a guardrail, with the id of the guardrail. The trace
    contains one assessment of the input, and a list of assessments of the output.
    """
    sections = guardrail.values() if isinstance(guardrail, dict) else ()
    for section in sections:
        for part in section if isinstance(section, list) else [section]:
            for key, value in part.items() if isinstance(part, dict) else ():
                for assessment in value if isinstance(value, list) else [value]:
                    if isinstance(assessment, dict):
                        yield key, assessment


def _found(assessment: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name and the action of each guardrail rule that blocked or masked content."""
    for (policy, listed), otherwise in _FOUND.items():
        part = assessment.get(policy)
        items = part.get(listed) if isinstance(part, dict) else None
        for item in items if isinstance(items, list) else ():
            if not isinstance(item, dict) or item.get("detected") is False:
                continue
            action = item.get("action")
            if action in (_BLOCKED, _MASKED):
                yield _text(item.get("name")) or _named(item, otherwise), action


def _named(item: dict[str, Any], otherwise: str) -> str:
    return _text(item.get("type")) or otherwise


def _applied(key: str, assessment: dict[str, Any]) -> AppliedGuardrail:
    details = assessment.get("appliedGuardrailDetails")
    details = details if isinstance(details, dict) else {}
    origins = details.get("guardrailOrigin")
    listed = origins if isinstance(origins, list) else []
    return AppliedGuardrail(
        _text(details.get("guardrailId")) or _text(details.get("guardrailArn")) or key,
        _text(details.get("guardrailVersion")),
        tuple(_ORIGINS.get(each, each.lower()) for each in listed if isinstance(each, str)),
    )


def _refused(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the category of the model's refusal. The result is empty if the answer contains no category. An answer of
    Converse contains the category only if the request listed `/stop_details` in `additionalModelResponseFieldPaths`.
    """
    for place in (body.get("additionalModelResponseFields"), body):
        details = place.get("stop_details") if isinstance(place, dict) else None
        if isinstance(details, dict) and (category := _text(details.get("category"))):
            return (category,)
    return ()


def _image(body: Mapping[str, Any]) -> FilteredContent | None:
    listed = body.get(_STABILITY)
    reasons = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    kept = [each for each in reasons if each.lower().startswith(_STABILITY_WORDS)]
    if kept:
        names = dict.fromkeys(each[len(_STABILITY_WORDS) :].strip() for each in kept)
        return FilteredContent("provider", kept[0], tuple(names), partial=len(kept) < len(listed or ()))
    error = body.get(_ERROR)
    if isinstance(error, str) and any(words in error.lower() for words in _FILTER_WORDS):
        return FilteredContent("provider", _ERROR, partial=bool(body.get("images")))
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
