"""Metrics in CloudWatch's embedded metric format: every line follows the rules of the guide."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]  # as it is published
import pytest
from support.answers import FRAMES, INTERNAL, REPLY, THROTTLED, fault
from support.client_faces import MODEL, Blocking
from support.wire import Wire, answer, stream

from aws_bedrock_inference import BedrockError, Route, Usage, context
from aws_bedrock_inference.events import AttemptStarted, CallEnded, CallStarted, DeadLetterKept, QuotaQueued
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.telemetry.emf import EmbeddedMetrics, embedded_metrics
from aws_bedrock_inference.telemetry.names import CLOUDWATCH

if TYPE_CHECKING:
    from support.doubles import World

OK = answer(REPLY)
ROUTE = Route(MODEL, "us-east-1")
SECRET = "AKIAIOSFODNN7PLANTED"

# The rules of the guide's page on the format, as of CLOUDWATCH["date"].
NAME = {"type": "string", "minLength": 1, "maxLength": CLOUDWATCH["longest_name"]}
UNITS = {"enum": ["Seconds", "Count", "None"]}
DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "additionalProperties": False,
    "properties": {
        "Namespace": NAME,
        "Dimensions": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "maxItems": CLOUDWATCH["most_dimensions"], "items": NAME},
        },
        "Metrics": {
            "type": "array",
            "maxItems": CLOUDWATCH["most_metrics"],
            "items": {"type": "object", "required": ["Name"], "properties": {"Name": NAME, "Unit": UNITS}},
        },
    },
}
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {"type": "array", "minItems": 1, "items": DIRECTIVE},
            },
        }
    },
}


@pytest.fixture(autouse=True)
def _alone(alone: None) -> None:
    """Every test here."""


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    return []


def checked(line: str) -> dict[str, Any]:
    """Return a line's values, if CloudWatch would take it."""
    assert "\n" not in line
    assert len(line) < 256_000
    read: dict[str, Any] = json.loads(line)
    jsonschema.validate(read, SCHEMA)
    for directive in read["_aws"]["CloudWatchMetrics"]:
        for metric in directive["Metrics"]:
            assert isinstance(read[metric["Name"]], (int, float))
            assert metric["Unit"] == CLOUDWATCH["metrics"][metric["Name"]]["unit"]
        for name in (each for dimensions in directive["Dimensions"] for each in dimensions):
            value = read[name]
            assert value.isascii()
            assert value.strip()
            assert len(value) <= CLOUDWATCH["longest_value"]
    return read


def test_each_call_is_a_line_on_stdout(face: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stop = embedded_metrics()
    with Wire(THROTTLED, INTERNAL, OK, stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        face.get(client.invoke("Why?"))
        list(face.items(client.invoke_stream("Why?")))
    stop()
    first, second = [checked(line) for line in capsys.readouterr().out.splitlines()]
    wanted = {"Calls": 1, "Failures": 0, "Attempts": 3, "Throttles": 1, "InputTokens": 3, "OutputTokens": 5}
    assert wanted.items() <= first.items()
    assert (first["ModelId"], first["Operation"], first["Region"]) == (MODEL, "converse", "us-east-1")
    assert first["Cost"] == pytest.approx(1.38e-6)
    assert "FirstContent" in second
    assert second["Duration"] >= second["FirstContent"]
    [directive] = first["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [[], ["ModelId"]]


def test_a_failure_is_counted_by_its_cause_without_secrets(face: Any, lines: list[dict[str, Any]]) -> None:
    stop = embedded_metrics(namespace="shop/bedrock", write=lambda line: lines.append(checked(line)))
    with Wire(fault(400, "ValidationException", SECRET)) as wire, pytest.raises(BedrockError):
        face.get(face.open(wire.url).invoke(SECRET))
    stop()
    [line] = lines
    assert (line["Failures"], line["Cause"]) == (1, "request-invalid")
    assert [each["Dimensions"] for each in line["_aws"]["CloudWatchMetrics"]] == [[[], ["ModelId"]], [["Cause"]]]
    assert line["_aws"]["CloudWatchMetrics"][1]["Namespace"] == "shop/bedrock"
    assert SECRET not in repr(line)


def test_a_name_of_the_context_can_be_a_dimension(lines: list[dict[str, Any]]) -> None:
    stop = embedded_metrics(by=["team"], write=lambda line: lines.append(checked(line)))
    face = Blocking()
    with Wire(OK) as wire:
        client = face.open(wire.url)
        with context(team="checkout", order=7):
            client.invoke("Why?")
    face.end()
    stop()
    [line] = lines
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [[], ["ModelId"], ["team"]]
    assert (line["team"], line["Context"]) == ("checkout", {"team": "checkout", "order": 7})


def test_waits_and_dead_letters_belong_to_their_call(world: World, lines: list[dict[str, Any]]) -> None:
    sink = EmbeddedMetrics("x", (), lambda line: lines.append(checked(line)), clock=world.clock, wall=lambda: 1.5e9)
    failed = Fault(code="ValidationException", message=SECRET, cause="request-invalid")
    for number in (1, 2):
        sink(CallStarted("converse", ROUTE, call_id=number))
    sink(QuotaQueued(ROUTE, 100, 0, call_id=1))
    world.sleep(2.5)
    sink(AttemptStarted("converse", ROUTE, 1, 1))
    sink(DeadLetterKept(ROUTE, failed, "letter-1", call_id=1))
    for number in (1, 2):
        sink(CallEnded("converse", ROUTE, failed if number == 1 else None, Usage(1, 2), 1, 3.0, call_id=number))
    first, second = lines
    assert (first["QuotaWait"], first["DeadLetters"], first["_aws"]["Timestamp"]) == (2.5, 1, 1_500_000_000_000)
    assert not {"QuotaWait", "DeadLetters"} & second.keys()
    assert (sink._open, sink._queued) == ({}, {})


def test_odd_model_ids_and_too_many_of_them_are_bounded(lines: list[dict[str, Any]]) -> None:
    sink = EmbeddedMetrics("x", (), lambda line: lines.append(checked(line)))
    for model in ("modèle", " ", "m" * 5000, *(f"model-{number}" for number in range(300))):
        sink(CallEnded("converse", Route(model, ""), None, None, 1, 0.1))
    assert len({line["ModelId"] for line in lines}) <= 101


@pytest.mark.parametrize(
    "wrong", [{"by": "team"}, {"by": [7]}, {"by": ["not a name"]}, {"namespace": ""}, {"namespace": "n" * 300}]
)
def test_invalid_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"by=|namespace="):
        embedded_metrics(**wrong)
