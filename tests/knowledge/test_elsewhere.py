"""Where a request may succeed after a fault: each listed cause is known, and unlisted causes follow one rule."""

from __future__ import annotations

import tomllib

import pytest

from aws_bedrock_inference.fault import Decision, Fault, Origin
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.data import text_of_file
from aws_bedrock_inference.knowledge.elsewhere import ANY, DIFFERENCES, NOWHERE, closes, elsewhere
from aws_bedrock_inference.policies.refusals import held

GROUPS = tomllib.loads(text_of_file("elsewhere.toml"))["elsewhere"]
CAUSES = [cause for group in GROUPS for cause in group["causes"]]


def test_each_listed_cause_is_listed_once_and_known() -> None:
    assert len(CAUSES) == len(set(CAUSES))
    assert set(CAUSES) - {*catalogue().causes} == {held("m", "rpm").cause}  # which no text of a service has


def test_each_kind_of_difference_is_defined() -> None:
    assert all(set(group["differs"]) <= set(DIFFERENCES) for group in GROUPS)


@pytest.mark.parametrize(
    ("origin", "decision", "expected"),
    [
        (Origin.SERVICE, Decision.RETRY, ANY),
        (Origin.NETWORK, Decision.RETRY_LIMITED, ANY),
        (Origin.SERVICE, Decision.FAIL, NOWHERE),
        (Origin.IDENTITY, Decision.RETRY, NOWHERE),
        (Origin.MACHINE, Decision.RETRY, NOWHERE),
    ],
)
def test_the_rule_for_an_unlisted_cause_follows_from_its_decision_and_origin(
    origin: Origin, decision: Decision, expected: frozenset[str]
) -> None:
    fault = Fault(code="X", message="", cause="new", origin=origin, decision=decision)
    assert elsewhere(fault) == expected
    assert not closes(fault)


def test_an_exhausted_day_moves_to_another_region_and_a_retired_model_closes_its_route() -> None:
    assert elsewhere(Fault(code="X", message="", cause="tokens-per-day-exhausted")) == {"region", "account"}
    assert closes(Fault(code="X", message="", cause="model-end-of-life"))
