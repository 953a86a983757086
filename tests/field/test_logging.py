"""The package's log: its lines, their levels, and what they never contain."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pytest
from support.answers import REPLY, THROTTLED, UNAVAILABLE, fault
from support.client_faces import at_once
from support.doubles import READ_TIMEOUT, ROUTE, World, call
from support.wire import Wire, answer

from aws_bedrock_inference import BedrockError, Breaker, Deadline, Pipeline, Quota, Retry, resilient
from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.events import CircuitChanged, RetryScheduled, StoreChanged, ThrottleReceived
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.knowledge.classify import unanswered
from aws_bedrock_inference.listeners import Listeners
from aws_bedrock_inference.log import LOGGER, log
from aws_bedrock_inference.policies import refusals

SECRET = "the prompt that nobody may read"


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == LOGGER.name]


def test_each_retry_and_the_success_after_it_are_one_log_line(
    client_face: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger=LOGGER.name)
    with Wire(UNAVAILABLE, answer(REPLY)) as wire:
        client_face.get(client_face.open(wire.url).invoke(SECRET))
    said = lines(caplog)
    assert [level for level, _ in said] == ["WARNING", "DEBUG"]
    assert "attempt 1 failed with ServiceUnavailableException (" in said[0][1]
    assert "request id request-1" in said[0][1]
    assert "converse on amazon.nova-lite-v1:0 in us-east-1 succeeded after 2 attempt(s)" in said[1][1]


def test_a_failure_is_one_log_line(client_face: Any, caplog: pytest.LogCaptureFixture) -> None:
    refused = fault(400, "ValidationException", f"The text {SECRET} is not valid")
    with Wire(refused) as wire, pytest.raises(BedrockError):
        client_face.get(client_face.open(wire.url).invoke(SECRET))
    [(level, line)] = lines(caplog)
    assert level == "WARNING"
    assert "failed after 1 attempt(s)" in line
    assert "ValidationException" in line


def test_throttles_are_logged_at_level_info(client_face: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER.name)
    with Wire(THROTTLED, answer(REPLY)) as wire:
        client_face.get(client_face.open(wire.url, pipeline=at_once(Quota(rpm=600_000))).invoke(SECRET))
    assert [(level, "throttled by" in line) for level, line in lines(caplog)] == [("INFO", True), ("WARNING", False)]


def test_the_log_contains_nothing_of_the_request(client_face: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=LOGGER.name)
    echo = fault(500, "InternalServerException", SECRET)
    with Wire(echo, answer(REPLY)) as wire:
        client_face.get(client_face.open(wire.url).invoke(SECRET, system=SECRET))
    text = "\n".join(line for _, line in lines(caplog))
    for word in (SECRET, "Rayleigh", "AKIDEXAMPLE", "secret"):
        assert word not in text


def test_wrapped_functions_are_logged_by_default(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    failures = [ConnectionResetError(104, "Connection reset by peer")]

    @resilient(clock=world.clock, sleep=world.sleep)
    def ask() -> None:
        if failures:
            raise failures.pop()

    ask()
    [(level, line)] = lines(caplog)
    assert level == "WARNING"
    assert "attempt 1 failed with ConnectionError (connection-refused-or-reset, network)" in line


def test_an_attempt_that_was_refused_locally_is_logged_as_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    log(RetryScheduled(ROUTE, refusals.circuit_open(str(ROUTE), 3.0), 1, 3.0))
    [(_, line)] = lines(caplog)
    assert "attempt 1 was not sent: CircuitOpen (circuit-open, caller); the next one follows in 3.00 s" in line


def test_the_log_reports_the_circuit_and_the_store() -> None:
    seen: list[tuple[str, str]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.levelname, record.getMessage()))

    handler = Handler()
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        for state in ("open", "half-open", "closed"):
            log(CircuitChanged(ROUTE, state))
        log(StoreChanged("a|b", available=False, message="redis://user:password@host: no answer"))
        log(StoreChanged("a|b", available=True, message=""))
        log(ThrottleReceived(route=ROUTE, limit=None, reserved=5))
        log("an event of one's own")
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(logging.NOTSET)
    assert [level for level, _ in seen] == ["WARNING", "INFO", "INFO", "WARNING", "INFO", "INFO"]
    assert all("password" not in line for _, line in seen)


def test_a_retry_after_a_timeout_logs_its_possible_cost(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[float] = []

    def service(_: object, now: float) -> tuple[float, Outcome]:
        sent.append(now)
        return 70.0, Outcome(fault=READ_TIMEOUT) if len(sent) == 1 else Outcome({}, usage=Usage(1, 1))

    driver = VirtualDriver(service, listeners=Listeners(log))
    pipeline = Pipeline(Deadline(), Retry(), Breaker(), Quota())
    task = driver.spawn(pipeline.around(send, driver.clock)(call(tokens=1000, output=4096)))
    driver.run()
    assert "may have been charged 5,096 tokens" in lines(caplog)[0][1]
    assert [attempt.tokens for attempt in task.result.earlier] == [5096]
    assert "may have been charged 5,096 tokens" in str(task.result.earlier[0])


@pytest.mark.parametrize("code", ["IdleTimeout", "ReadTimeoutError", "AttemptTimeout"])
def test_a_silent_generation_is_paid_for_at_most_twice(code: str) -> None:
    silent = unanswered(None, code=code, message="no data")
    sent: list[float] = []

    def service(_: object, now: float) -> tuple[float, Outcome]:
        sent.append(now)
        return 60.0, Outcome(fault=silent)

    driver = VirtualDriver(service)
    driver.spawn(Pipeline(Deadline(), Retry()).around(send, driver.clock)(call()))
    driver.run()
    assert len(sent) == 2


def test_a_program_without_logging_prints_nothing() -> None:
    program = (
        "from aws_bedrock_inference.log import log\n"
        "from aws_bedrock_inference.events import CircuitChanged\n"
        "log(CircuitChanged('x', 'open'))\n"
    )
    said = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert (said.stdout, said.stderr) == ("", "")


def test_a_successful_call_creates_no_event_without_a_listener(
    client_face: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER.name)
    with Wire(answer(REPLY)) as wire:
        client = client_face.open(wire.url)
        client._listeners.call_ended = None  # would be called
        client_face.get(client.invoke("hi"))
    assert lines(caplog) == []
