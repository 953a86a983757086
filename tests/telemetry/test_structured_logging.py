"""Structured logging in a program: set up once, sampled, reversible, and without any text of a prompt."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from support.answers import REPLY, THROTTLED, UNAVAILABLE, fault
from support.client_faces import at_once
from support.doubles import ROUTE, THROTTLE, session
from support.json_logs import Written
from support.wire import Wire, answer

from aws_bedrock_inference import (
    BedrockError,
    Quota,
    context,
    log_bedrock_error,
    observe,
    resilient,
    setup_structured_logging,
    traces,
)
from aws_bedrock_inference.events import CallEnded, RetryScheduled
from aws_bedrock_inference.log import LOGGER, log
from aws_bedrock_inference.telemetry.logs import JsonLines
from aws_bedrock_inference.telemetry.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("loggers")

PROMPT = "Summarise the letter of our customer Ann"
RETRY = RetryScheduled(ROUTE, THROTTLE, 1, 0.5)


def test_a_second_setup_adds_nothing() -> None:
    written = Written()
    logger = setup_structured_logging(stream=written)
    assert setup_structured_logging(logging.DEBUG, stream=written) is logger
    logger.debug("hi")
    log(CallEnded("converse", ROUTE, None, None, 1, 0.5))
    assert [(line["logger"], line["level"]) for line in written.lines()] == [
        ("bedrock_client", "DEBUG"),
        ("aws_bedrock_inference", "DEBUG"),
    ]


def test_lines_go_to_the_current_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    setup_structured_logging().info("hi")
    assert json.loads(capsys.readouterr().err)["message"] == "hi"


def test_a_program_without_stderr_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = setup_structured_logging()
    monkeypatch.setattr(sys, "stderr", None)
    logger.info("hi")
    logger.handlers[0].flush()


def test_json_is_written_only_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    log(RETRY)
    assert capsys.readouterr().err == ""


def test_observing_twice_writes_once_and_ends_with_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    level, handlers = LOGGER.level, LOGGER.handlers[:]
    first, second = observe(log="json"), observe(log="json")
    log(RETRY)
    first()
    first()
    log(RETRY)
    assert len(capsys.readouterr().err.splitlines()) == 2
    second()
    log(RETRY)
    assert capsys.readouterr().err == ""
    assert (LOGGER.level, LOGGER.handlers) == (level, handlers)


def test_stopping_observe_keeps_an_earlier_setup(capsys: pytest.CaptureFixture[str]) -> None:
    stop = observe(log="json")
    setup_structured_logging()
    stop()
    log(RETRY)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("wrong", [{"log": "xml"}, {"log": True}, {"alerts": "sns://topic"}])
def test_observe_refuses_unknown_options(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="observe"):
        observe(**wrong)


class Heard:
    """A sink that stores its events."""

    attempts = False

    def __init__(self) -> None:
        self.events: list[object] = []
        self.closed = 0

    def __call__(self, event: object) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed += 1

    def sink(self) -> Heard:
        return self


def test_a_sink_gets_the_events_of_every_client_until_it_is_stopped(face: Any) -> None:
    heard = Heard()
    stop, again = observe(alerts=heard), observe(alerts=heard)
    with Wire(answer(REPLY), answer(REPLY), answer(REPLY)) as wire:
        client = face.open(wire.url)
        face.get(client.invoke(PROMPT))
        stop()
        face.get(client.invoke(PROMPT))
        assert heard.closed == 0
        again()
        face.get(client.invoke(PROMPT))
    assert [type(event).__name__ for event in heard.events] == ["CallEnded", "CallEnded"]
    assert heard.closed == 1


def test_a_failed_start_of_observe_is_undone() -> None:
    class Broken:
        def sink(self) -> Any:
            raise OSError("no network")

    handlers = LOGGER.handlers[:]
    with pytest.raises(OSError, match="no network"):
        observe(log="json", alerts=Broken())
    assert LOGGER.handlers == handlers


def test_a_call_writes_the_expected_lines(face: Any) -> None:
    written = Written()
    setup_structured_logging(logging.DEBUG, stream=written)
    with Wire(UNAVAILABLE, answer(REPLY)) as wire, context(team="search"):
        face.get(face.open(wire.url).invoke(PROMPT))
    retry, ended = written.lines()
    assert {name: retry[name] for name in ("event", "level", "attempt", "code", "cause", "decision", "request_id")} == {
        "event": "RetryScheduled",
        "level": "WARNING",
        "attempt": 1,
        "code": "ServiceUnavailableException",
        "cause": "service-capacity",
        "decision": "RETRY",
        "request_id": "request-1",
    }
    assert {"wait", "error_type", "origin", "status"} <= {*retry}
    assert {
        name: ended[name] for name in ("event", "operation", "model", "region", "route", "attempts", "context")
    } == {
        "event": "CallEnded",
        "operation": "converse",
        "model": "amazon.nova-lite-v1:0",
        "region": "us-east-1",
        "route": "amazon.nova-lite-v1:0 in us-east-1",
        "attempts": 2,
        "context": {"team": "search"},
    }
    assert {"seconds", "input_tokens", "output_tokens", "cost"} <= {*ended}
    assert retry["context"] == {"team": "search"}


def test_a_line_has_the_trace_id_of_its_call() -> None:
    written = Written()
    setup_structured_logging(stream=written)
    stop = traces.provide(lambda call_id: traces.Ids("a" * 32, "b" * 16) if call_id == 7 else None)
    try:
        log(RetryScheduled(ROUTE, THROTTLE, 1, 0.5, call_id=7))
        log(RetryScheduled(ROUTE, THROTTLE, 1, 0.5, call_id=8))
    finally:
        stop()
    first, second = written.lines()
    assert (first["trace_id"], first["span_id"], first["call_id"]) == ("a" * 32, "b" * 16, 7)
    assert "trace_id" not in second


def test_an_active_span_is_found_without_importing_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    class Span:
        trace_id, span_id, is_valid = 1, 2, True

        def get_span_context(self) -> Span:
            return self

    class Trace:
        @staticmethod
        def get_current_span() -> Span:
            return Span()

    written = Written()
    logger = setup_structured_logging(stream=written)
    logger.info("before")
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", Trace)
    logger.info("with a span")
    before, within = written.lines()
    assert "trace_id" not in before
    assert (within["trace_id"], within["span_id"]) == (f"{1:032x}", f"{2:016x}")


class Timer:
    """A timer that fires when the test says so."""

    def __init__(self) -> None:
        self.started: list[tuple[float, Callable[[], object]]] = []
        self.daemon = False

    def __call__(self, seconds: float, function: Callable[[], object]) -> Any:
        self.started.append((round(seconds, 3), function))
        return self

    def start(self) -> None:
        assert self.daemon

    def cancel(self) -> None:
        self.started.clear()


def record(created: float, event: RetryScheduled = RETRY) -> logging.LogRecord:
    made = LOGGER.makeRecord(LOGGER.name, logging.WARNING, __file__, 1, "attempt %d failed", (event.attempt,), None)
    made.created = created
    made.bedrock = {"event": "RetryScheduled", "cause": event.fault.cause, "model": "m", "region": "r"}
    return made


def test_repeats_of_a_cause_are_counted_and_reported_in_time() -> None:
    written, timer = Written(), Timer()
    handler = JsonLines(written, repeats=Repeats(first=2, seconds=60), timer=timer)
    for second in range(10):
        handler.handle(record(100.0 + second))
    assert len(written.lines()) == 2
    [(seconds, fire)] = timer.started
    assert seconds == 58.0
    fire()
    line = written.lines()[-1]
    assert line["repeated"] == 8
    assert line["message"] == "attempt 1 failed (8 more of these within 60 s)"
    assert (line["event"], line["timestamp"][17:19]) == ("RetryScheduled", "49")  # of the last one
    handler.close()
    assert len(written.lines()) == 3


def test_another_line_triggers_the_report_of_due_repeats() -> None:
    written = Written()
    handler = JsonLines(written, repeats=Repeats(first=1, seconds=60), timer=Timer())
    for created in (0.0, 1.0, 2.0):
        handler.handle(record(created))
    plain = logging.makeLogRecord({"msg": "hi", "created": 70.0})
    handler.handle(plain)
    assert [line.get("repeated") for line in written.lines()] == [None, 2, None]
    handler.close()


def test_the_last_count_is_written_when_the_handler_closes() -> None:
    written, timer = Written(), Timer()
    handler = JsonLines(written, repeats=Repeats(first=1), timer=timer)
    handler.handle(record(0.0))
    handler.handle(record(1.0))
    handler.close()
    assert written.lines()[-1]["repeated"] == 1
    assert timer.started == []


def test_the_last_count_is_written_when_the_program_exits() -> None:
    program = (
        "from aws_bedrock_inference import observe\n"
        "from aws_bedrock_inference.call import Route\n"
        "from aws_bedrock_inference.events import RetryScheduled\n"
        "from aws_bedrock_inference.fault import Fault\n"
        "from aws_bedrock_inference.log import log\n"
        "observe(log='json')\n"
        "for _ in range(100): log(RetryScheduled(Route('m'), Fault(code='C', message='no'), 1, 0.5))\n"
    )
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert len(lines) == 6
    assert lines[-1]["repeated"] == 95


def test_without_threads_the_count_is_written_with_the_next_line() -> None:
    class NoThreads(Timer):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    written = Written()
    handler = JsonLines(written, repeats=Repeats(first=1, seconds=60), timer=NoThreads())
    for created in (0.0, 1.0, 61.0):
        handler.handle(record(created))
    assert [line.get("repeated") for line in written.lines()] == [None, 1, None]
    handler.close()


def test_a_forked_child_writes_no_counts_of_its_parent() -> None:
    written = Written()
    handler = JsonLines(written, repeats=Repeats(first=1), timer=Timer())
    handler.handle(record(0.0))
    handler.handle(record(1.0))
    handler.after_fork()
    handler.close()
    assert len(written.lines()) == 1


def test_different_causes_and_lines_of_programs_are_not_sampled_together() -> None:
    written = Written()
    handler = JsonLines(written, repeats=Repeats(first=1, seconds=inf), timer=Timer())
    handler.handle(record(0.0))
    other = record(1.0)
    other.bedrock["cause"] = "another"  # type: ignore[attr-defined]  # as above
    handler.handle(other)
    for _ in range(3):
        handler.handle(logging.makeLogRecord({"msg": "hi", "created": 2.0}))
    assert len(written.lines()) == 5
    handler.close()


def service_error(message: str) -> ClientError:
    metadata: Any = {"HTTPStatusCode": 429, "RequestId": "r-1"}
    return ClientError(
        {"Error": {"Code": "ThrottlingException", "Message": message}, "ResponseMetadata": metadata}, "Converse"
    )


def test_an_error_is_logged_with_the_keys_of_the_documents() -> None:
    written = Written()
    setup_structured_logging(stream=written)
    with context(team="search"):
        log_bedrock_error(service_error("Too many requests"), {"order": 5})
    [line] = written.lines()
    assert (line["message"], line["logger"], line["level"]) == ("Bedrock API error", "bedrock_client", "ERROR")
    assert (line["error_type"], line["service"], line["data"]) == ("throttling", "bedrock", {"order": 5})
    assert line["error_message"].endswith("calling the Converse operation: Too many requests")
    assert (line["decision"], line["request_id"], line["context"]) == ("RETRY", "r-1", {"team": "search"})


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        ("An error occurred (ValidationException) when calling the Converse operation: bad", "validation"),
        (ValueError("no AWS at all"), "unknown_error"),
        (Mute(), "unknown_error"),
        (None, "unknown_error"),
    ],
)
def test_any_error_can_be_logged(error: Any, error_type: str) -> None:
    written = Written()
    setup_structured_logging(stream=written)
    log_bedrock_error(error)
    assert written.lines()[0]["error_type"] == error_type


ECHO = fault(400, "ValidationException", f"Malformed input request: got '{PROMPT}'")


def test_no_prompt_no_answer_and_no_credentials_are_in_any_line(face: Any) -> None:
    written = Written()
    logger = setup_structured_logging(logging.DEBUG, stream=written)
    with Wire(THROTTLED, UNAVAILABLE, answer(REPLY), ECHO) as wire:
        client = face.open(wire.url, pipeline=at_once(Quota(rpm=600_000)))
        face.get(client.invoke(PROMPT, system=PROMPT))
        with pytest.raises(BedrockError) as raised:
            face.get(client.invoke(PROMPT))
        log_bedrock_error(raised.value)
        logger.error("it failed", exc_info=raised.value)
    text = written.getvalue()
    assert len(written.lines()) >= 6
    for word in ("Summarise", "customer Ann", "Rayleigh", "AKIDEXAMPLE"):
        assert word not in text


def test_text_that_a_server_sends_in_place_of_a_code_is_in_no_line(face: Any) -> None:
    written = Written()
    setup_structured_logging(logging.DEBUG, stream=written)
    odd = answer({"message": PROMPT}, status="400 X", x_amzn_ErrorType=PROMPT, x_amzn_RequestId=PROMPT)
    with Wire(odd) as wire, pytest.raises(BedrockError):
        face.get(face.open(wire.url).invoke(PROMPT))
    assert written.lines()[-1]["event"] == "CallEnded"
    assert "Summarise" not in written.getvalue()


def test_no_prompt_is_in_the_lines_of_a_wrapped_client() -> None:
    written = Written()
    logger = setup_structured_logging(logging.DEBUG, stream=written)
    with Wire(ECHO) as wire:
        client = resilient(session().client("bedrock-runtime", endpoint_url=wire.url))
        with pytest.raises(ClientError, match="Summarise") as raised:  # as boto3 raises it
            client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": PROMPT}]}])
        client.close()
    log_bedrock_error(raised.value)
    logger.error("it failed", exc_info=raised.value)
    assert [line["error_type"] for line in written.lines()] == ["validation"] * 3
    assert "Malformed input request" in written.getvalue()
    assert "Summarise" not in written.getvalue()
