"""Which filter removed the content of an answer, why, and by which guardrail, read from any form of answer."""

from __future__ import annotations

from typing import Any

import pytest

from aws_bedrock_inference.dialects.filtered import filtered_of
from aws_bedrock_inference.made import AppliedGuardrail, FilteredContent

TOPIC = {"topicPolicy": {"topics": [{"name": "Loans", "type": "DENY", "action": "BLOCKED"}]}}
HATE = {"contentPolicy": {"filters": [{"type": "HATE", "confidence": "HIGH", "action": "BLOCKED", "detected": True}]}}
SEEN = {"contentPolicy": {"filters": [{"type": "INSULTS", "action": "BLOCKED", "detected": False}]}}
LOGGED = {"contentPolicy": {"filters": [{"type": "VIOLENCE", "action": "NONE", "detected": True}]}}
WORDS = {"wordPolicy": {"customWords": [{"match": "a secret word", "action": "BLOCKED"}]}}
MASKED = {
    "sensitiveInformationPolicy": {
        "piiEntities": [{"type": "EMAIL", "match": "kim@example.org", "action": "ANONYMIZED"}],
        "regexes": [{"name": "badge", "match": "B-12", "regex": "B-..", "action": "ANONYMIZED"}],
    }
}


def by(name: str, version: str, *origins: str) -> dict[str, Any]:
    return {
        "appliedGuardrailDetails": {
            "guardrailId": name, "guardrailVersion": version, "guardrailOrigin": list(origins),
        }
    }  # fmt: skip


def traced(input_assessment: Any = None, outputs: Any = None) -> dict[str, Any]:
    guardrail = {"modelOutput": ["what the model said"], "inputAssessment": input_assessment or {}}
    if outputs is not None:
        guardrail["outputAssessments"] = outputs
    return {"stopReason": "guardrail_intervened", "trace": {"guardrail": guardrail}}


@pytest.mark.parametrize(
    ("body", "source", "categories"),
    [
        ({"stopReason": "content_filtered"}, "provider", ()),
        ({"stopReason": "guardrail_intervened"}, "guardrail", ()),
        ({"stopReason": "refusal"}, "model", ()),
        (
            {"stopReason": "refusal", "additionalModelResponseFields": {"stop_details": {"category": "cyber"}}},
            "model",
            ("cyber",),
        ),
        ({"stop_reason": "refusal", "stop_details": {"category": "bio"}}, "model", ("bio",)),
        ({"results": [{"completionReason": "FINISH"}, {"completionReason": "CONTENT_FILTERED"}]}, "provider", ()),
        ({"choices": [{"finish_reason": "content_filter"}]}, "provider", ()),
        ({"generations": [{"finish_reason": "ERROR_TOXIC"}]}, "provider", ()),
        ({"outputText": "No.", "amazon-bedrock-guardrailAction": "INTERVENED"}, "guardrail", ()),
        ({"finish_reasons": ["Filter reason: output image"], "images": [""]}, "provider", ("output image",)),
        ({"images": [], "error": "All images were held back by our content filters."}, "provider", ()),
    ],
)
def test_the_source_of_a_filter_is_read_from_each_form(
    body: dict[str, Any], source: str, categories: tuple[str, ...]
) -> None:
    filtered = filtered_of(body)
    assert filtered is not None
    assert (filtered.source, filtered.categories, filtered.partial) == (source, categories, False)


@pytest.mark.parametrize(
    "body",
    [
        {"stopReason": "end_turn"},
        {"stopReason": "a_word_of_next_year"},
        {"stopReason": "malformed_tool_use"},
        {"stopReason": ["refusal"]},
        {"stop_reason": None, "amazon-bedrock-guardrailAction": "NONE"},
        {"finish_reasons": [None, None]},
        {"finish_reasons": "Filter reason: prompt"},
        {"error": {"message": "content filter"}},
        {},
    ],
)
def test_other_answers_do_not_count_as_filtered(body: dict[str, Any]) -> None:
    assert filtered_of(body) is None


def test_a_trace_names_the_rules_that_blocked_and_the_guardrails() -> None:
    account = {**HATE, **by("acct01", "3", "ACCOUNT_ENFORCED")}
    body = traced(
        {"own001": {**TOPIC, **SEEN, **by("own001", "DRAFT", "REQUEST")}, "idle01": {**LOGGED, **by("idle01", "1")}},
        {"x": [account, {**account}], "y": [{**WORDS, **by("org01", "2", "ORGANIZATION_ENFORCED", "NEW_ONE")}]},
    )
    assert filtered_of(body) == FilteredContent(
        "guardrail",
        "guardrail_intervened",
        ("Loans", "HATE", "WORD"),
        (
            AppliedGuardrail("own001", "DRAFT", ("request",)),
            AppliedGuardrail("acct01", "3", ("account",)),
            AppliedGuardrail("org01", "2", ("organization", "new_one")),
        ),
    )
    said = str(filtered_of(body))
    assert "acct01 version 3, enforced by the account" in said
    assert "own001 version DRAFT)" in said
    assert "secret" not in repr(filtered_of(body))


def test_a_guardrail_that_only_masked_text_did_not_filter_the_answer() -> None:
    filtered = filtered_of(traced(None, {"own001": [MASKED]}))
    assert filtered == FilteredContent(
        "guardrail", "guardrail_intervened", ("EMAIL", "badge"), (AppliedGuardrail("own001"),), partial=True
    )
    both = filtered_of(traced({"own001": HATE}, {"own001": [MASKED]}))
    assert both is not None
    assert not both.partial


def test_the_trace_of_a_native_body_is_read_too() -> None:
    body = {
        "amazon-bedrock-guardrailAction": "INTERVENED",
        "amazon-bedrock-trace": {"guardrail": {"input": {"g1": TOPIC}, "outputs": [{"g1": HATE}]}},
    }
    filtered = filtered_of(body)
    assert filtered is not None
    assert (filtered.categories, [str(each) for each in filtered.enforced_by]) == (("Loans", "HATE"), ["g1"])


def test_some_filtered_images_of_several_are_a_partial_filter() -> None:
    some = filtered_of({"finish_reasons": [None, "Filter reason: prompt"], "images": ["", ""]})
    assert some is not None
    assert some.partial


@pytest.mark.parametrize("odd", [None, 3, "x", [], [3], {"g": 3}, {"g": [3]}, {"g": {"topicPolicy": {"topics": [3]}}}])
def test_a_malformed_trace_is_ignored(odd: Any) -> None:
    for body in (traced(odd, odd), {"stopReason": "guardrail_intervened", "trace": odd}):
        filtered = filtered_of(body)
        assert filtered is not None
        assert (filtered.source, filtered.categories) == ("guardrail", ())
