"""Advice in an exception speaks of no command, since none is shown there."""

from __future__ import annotations

import pytest

from aws_bedrock_inference import classify, explain
from aws_bedrock_inference.knowledge.catalogue import catalogue

TEXTS = [
    "NoCredentialsError: Unable to locate credentials",
    "ServiceUnavailableException: Bedrock is unable to process your request.",
    "EndpointConnectionError: Could not connect to the endpoint URL",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_advice_of_a_fault_names_no_command_that_is_not_there(text: str) -> None:
    advice = classify(text).advice
    assert advice.endswith(".")
    assert "The command" not in advice


@pytest.mark.parametrize("text", TEXTS)
def test_an_explanation_has_the_command_and_the_sentence_about_it(text: str) -> None:
    first = explain(text).remedies[0]
    assert first.run
    assert " The command " in first.do
    assert [each.do for each in explain(text).remedies].count(first.do) == 1


def test_the_sentence_about_a_command_is_the_last_one() -> None:
    steps = [step.remedy for cause in catalogue().causes.values() for step in cause.advice]
    assert all(each.run for each in steps if each.do != each.advice)
    assert not [each.do for each in steps if "The command" in each.advice]
