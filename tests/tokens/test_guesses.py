"""The log reports once for each model that a value is a guess."""

from __future__ import annotations

import logging

import pytest
from support.doubles import session

from aws_bedrock_inference import BedrockClient
from aws_bedrock_inference.knowledge.models import UNKNOWN_MODEL
from aws_bedrock_inference.tokens import guesses
from aws_bedrock_inference.tokens.guesses import log_guesses
from aws_bedrock_inference.tokens.max_tokens_warning import Warned


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "aws_bedrock_inference")
    return caplog


def test_a_guessed_burndown_is_logged_once_as_a_warning(log: pytest.LogCaptureFixture) -> None:
    logged = Warned()
    for _ in range(3):
        log_guesses("anthropic.claude-sonnet-6", logged=logged)
    (record,) = log.records
    assert record.levelno == logging.WARNING
    assert "counts 15 times" in record.getMessage()
    assert "reserves 128,000" in record.getMessage()


def test_a_guessed_maximum_alone_is_logged_at_level_info(log: pytest.LogCaptureFixture) -> None:
    log_guesses("meta.llama3-1-70b-instruct-v1:0", logged=Warned())
    (record,) = log.records
    assert record.levelno == logging.INFO
    assert "times against" not in record.getMessage()


@pytest.mark.parametrize("model", ["anthropic.claude-opus-5-5", "amazon.nova-lite-v1:0", UNKNOWN_MODEL])
def test_values_with_a_source_are_not_logged(log: pytest.LogCaptureFixture, model: str) -> None:
    log_guesses(model, logged=Warned())
    assert not log.records


def test_a_client_logs_the_guesses_for_its_model(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guesses.log_guesses, "__kwdefaults__", {"logged": Warned()})
    for _ in range(2):
        BedrockClient("global.anthropic.claude-haiku-7", session=session()).close()
    assert ["claude-haiku-7" in record.getMessage() for record in log.records] == [True]
