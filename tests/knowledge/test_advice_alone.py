"""Advice mentions a command only if the command is shown."""

from __future__ import annotations

import re
from typing import Any

import pytest
from click.testing import CliRunner

from aws_bedrock_inference.cli.explain import explain as command
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.classify import answered, classify, unanswered
from aws_bedrock_inference.knowledge.commands import Asked, filled
from aws_bedrock_inference.knowledge.entries import Remedy, Step
from aws_bedrock_inference.knowledge.explain import explain

OF_A_COMMAND = re.compile(r"\b(?:the|this) commands?\b", re.IGNORECASE)
REMEDIES = [(cause.slug, step.remedy) for cause in catalogue().causes.values() for step in cause.advice]


def test_no_advice_of_the_catalogue_mentions_a_missing_command() -> None:
    """All causes, whichever of their remedies an exception has."""
    assert sum(remedy.alone != remedy.do for _, remedy in REMEDIES) > 50
    for slug, remedy in REMEDIES:
        assert not OF_A_COMMAND.search(remedy.alone), slug
        assert remedy.alone.endswith((".", "?")), slug
        assert len(remedy.alone.split()) >= 3, slug
        assert remedy.alone.count("(") == remedy.alone.count(")"), slug
        assert remedy.run or remedy.alone == remedy.do, slug


def test_no_advice_of_a_fault_mentions_a_missing_command() -> None:
    for entry in catalogue().entries:
        for each in entry.meanings():
            assert not OF_A_COMMAND.search(each.template.advice), each.cause.slug


@pytest.mark.parametrize(
    ("do", "alone"),
    [
        ("Sign in again. The command shows who you are.", "Sign in again."),
        ("Sign in again. The command shows who you are; it needs no rights. Then call.", "Sign in again. Then call."),
        ("Verify example.com. The command is for a.example.com; give yours.", "Verify example.com."),
        ("Build it anew. In the command, put your version in place of 3.12, or none.", "Build it anew."),
        ("Look for a hot key: the command turns insights on, which costs a little.", "Look for a hot key."),
        (
            "Change to on-demand, as the command does (this changes the bill).",
            "Change to on-demand (this changes the bill).",
        ),
        ("Wait for the end (the command shows when); then repeat.", "Wait for the end; then repeat."),
        ("Read the page (example.com; the command needs a plan).", "Read the page (example.com)."),
        ("Check its command and its port.", "Check its command and its port."),
    ],
)
def test_a_sentence_about_a_command_is_omitted_without_the_command(do: str, alone: str) -> None:
    assert Remedy(do, "aws sts get-caller-identity").alone == alone


@pytest.mark.parametrize(
    "fault",
    [
        answered("ThrottlingException", "Too many tokens per day, please wait before trying again.", status=429),
        unanswered(None, code="NoCredentialsError", message="Unable to locate credentials"),
        classify("ThrottlingException: Too many requests, please wait before trying again."),
        classify("An error occurred (ExpiredTokenException) when calling the Converse operation: expired"),
        classify("AccessDeniedException", service="sqs"),
    ],
)
def test_the_message_of_an_exception_contains_no_command(fault: Any) -> None:
    assert fault.advice
    assert not OF_A_COMMAND.search(fault.advice)


def test_explain_shows_advice_and_command_without_repetition() -> None:
    fault = unanswered(None, code="NoCredentialsError", message="Unable to locate credentials")
    remedies = explain(fault).remedies
    assert OF_A_COMMAND.search(remedies[0].do)
    assert remedies[0].run
    assert len({remedy.alone for remedy in remedies}) == len(remedies)


def test_a_command_that_is_removed_takes_its_sentence_with_it() -> None:
    step = Step(Remedy("Install the layer. The command installs it.", "pip install boto3"))
    asked = Asked("node_modules/@aws-sdk/client-lambda failed at index.js:3")
    assert filled([step], asked) == (Remedy("Install the layer."),)


def test_the_one_line_explanation_has_no_command() -> None:
    shown = CliRunner().invoke(command, ["NoCredentialsError", "--short"]).output
    assert "credentials-missing" in shown
    assert not OF_A_COMMAND.search(shown)


def test_the_region_is_read_from_what_boto3_reads() -> None:
    """boto3 reads AWS_DEFAULT_REGION alone; AWS_REGION is for the other SDKs."""
    told = [remedy.do for _, remedy in REMEDIES if "AWS_REGION" in remedy.do]
    assert len(told) >= 4
    assert [do for do in told if "AWS_DEFAULT_REGION (boto3)" not in do] == []
    dns = classify("Could not connect to the endpoint URL: nodename nor servname provided, or not known")
    assert "AWS_DEFAULT_REGION (boto3)" in dns.advice
