"""Texts without a known cause: words for a permanent state decide, words for a temporary state do not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from aws_bedrock_inference.cli import main
from aws_bedrock_inference.fault import Category, Decision
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.explain import explain

if TYPE_CHECKING:
    from aws_bedrock_inference.knowledge.explain import Explanation


def assert_lasts(found: Explanation, words: str) -> None:
    assert (found.cause, found.decision, found.category) == ("unknown", Decision.FAIL, Category.PERMANENT)
    assert (found.confidence, found.decided_by, found.attempts) == ("low", words, 1)
    assert f"The words '{words}' describe a problem that a retry does not change" in found.meaning


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[agentcore-runtime] python3.12: can't open file '/var/task/serve.py': [Errno 13]", "can't open"),
        ("aws-purple-agent: Permission denied: '/opt/purple/serve.py'", "Permission denied"),
        ("aws purple: shape: Input should be a valid list", "should be a"),
        ("amazon: a purple rule could not be evaluated", "could not be evaluated"),
        (
            "Error: purple check during CreateMemory of AWS: Labels are not allowed for purple memories",
            "are not allowed",
        ),
        ("aws purple: no such purple", "no such"),
    ],
)
def test_an_unknown_aws_text_with_words_of_permanence_is_permanent(text: str, words: str) -> None:
    found = explain(text)
    assert_lasts(found, words)
    assert not found.conditional
    assert classify(text).decision is Decision.FAIL


def test_a_text_of_unknown_origin_gets_a_conditional_decision() -> None:
    found = explain("purple: Input should be a valid string")
    assert_lasts(found, "should be a")
    assert found.conditional
    assert found.meaning.startswith("Nothing in this text identifies its source. If it is from AWS: ")


@pytest.mark.parametrize(
    "words",
    ["timed out", "try again", "temporarily", "in progress", "overloaded", "connection", "reset", "not ready", "503"],
)
def test_words_of_time_next_to_them_leave_the_text_undecided(words: str) -> None:
    found = explain(f"aws purple thing not found, {words}")
    assert found.decision is not Decision.FAIL


@pytest.mark.parametrize(
    "text",
    ["aws purple: invalid character '<' in the answer", "aws purple: invalid JSON came back", "aws purple validated"],
)
def test_unreadable_answers_and_parts_of_words_decide_nothing(text: str) -> None:
    found = explain(text)
    assert (found.cause, found.decision, found.decided_by) == ("unknown", Decision.RETRY_LIMITED, "")


def test_texts_of_other_programs_are_not_attributed_to_aws() -> None:
    found = explain("psycopg purple: relation does not exist")
    assert (found.decision, found.confidence, found.conditional) == (Decision.RETRY_LIMITED, "none", False)
    assert found.other == "PostgreSQL"


def test_an_exception_with_such_a_text_is_retried() -> None:
    assert classify(RuntimeError("purple thing not found")).decision is Decision.RETRY_LIMITED


def test_the_command_says_which_words_decided() -> None:
    answer = CliRunner().invoke(main, ["explain", "--json", "aws purple: permission denied"])
    found = json.loads(answer.output)
    assert (found["cause"], found["decision"], found["decided_by"]) == ("unknown", "FAIL", "permission denied")
    short = CliRunner().invoke(main, ["explain", "--short", "aws purple: permission denied"])
    assert short.output.startswith("FAIL  unknown")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("1 validation error(s) found.\n- missing required field, ListPurpleInput.Arn.", "parameter-validation-failed"),
        ("BedrockException - Malformed request. Please check your parameter/values", "malformed-request-body"),
        ("An HTTP Client raised an unhandled exception: maximum recursion depth exceeded", "client-library-bug"),
    ],
)
def test_requests_that_were_invalid_before_they_were_sent_are_permanent(text: str, cause: str) -> None:
    found = explain(text)
    assert (found.cause, found.decision) == (cause, Decision.FAIL)


def test_a_resource_that_is_not_visible_yet_is_not_a_bug_of_terraform() -> None:
    text = 'Error: Provider produced inconsistent result after apply, provider "aws": was present, but now absent.'
    assert explain(text).decision is Decision.RETRY_LIMITED


@pytest.mark.parametrize("service", ["access-analyzer", "backup", "glue", "xray"])
def test_a_global_service_is_not_reported_as_missing_in_a_region(service: str) -> None:
    found = explain(f'Could not connect to the endpoint URL: "https://{service}.eu-west-1.amazonaws.com/"')
    assert found.cause == "connection-refused-or-reset"
