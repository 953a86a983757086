"""Programs that misuse telemetry: secrets in the wrong place, contexts left out of order, blocks left early."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import INTERNAL, REPLY, fault
from support.doubles import session
from support.json_logs import read
from support.spans import Recorded, recorded
from support.wire import Wire, answer

from aws_bedrock_inference import (
    BedrockClient,
    BedrockError,
    Pipeline,
    Retry,
    context,
    observe,
    resilient,
    setup_structured_logging,
)
from aws_bedrock_inference.contexts import current
from aws_bedrock_inference.listeners import PROCESS
from aws_bedrock_inference.resilience.functions import attempts
from aws_bedrock_inference.telemetry.alerts import Alerts
from aws_bedrock_inference.telemetry.emf import embedded_metrics
from aws_bedrock_inference.telemetry.otel import OpenTelemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["recorded"]

KEY = "AKIAIOSFODNN7PLANTED"
PASSWORD = "hunter2secret"
PROMPT = "my prompt about the sky"
MODEL = "amazon.nova-lite-v1:0"
PROFILE = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{KEY}"


@pytest.fixture(autouse=True)
def _alone(alone: None) -> None:
    """Every test here."""


def client_of(wire: Wire, model: str = MODEL) -> BedrockClient:
    return BedrockClient(model, session=session(), endpoint_url=wire.url, pipeline=Pipeline(Retry(attempts=2)))


def listeners() -> int:
    return len(PROCESS._added) + len(PROCESS._watching)


def test_secrets_in_a_context_a_tenant_or_a_model_are_in_no_span_metric_or_line(
    recorded: Recorded, loggers: tuple[logging.Logger, ...]
) -> None:
    lines, written = list[str](), io.StringIO()
    stop = embedded_metrics(by=["team"], write=lines.append)
    setup_structured_logging("DEBUG", stream=written)
    with (
        Wire(INTERNAL, INTERNAL) as wire,
        client_of(wire, PROFILE) as client,
        context(team=KEY, url=f"https://user:{PASSWORD}@host/"),
        pytest.raises(BedrockError),
    ):
        client.invoke("Why?", tenant=KEY)
    stop()
    everything = recorded.everything() + "".join(lines) + written.getvalue()
    assert len(lines) == 1
    assert "AKIAI***" in written.getvalue()
    assert KEY not in everything
    assert PASSWORD not in everything


def test_a_secret_used_as_a_name_is_masked(loggers: tuple[logging.Logger, ...]) -> None:
    written = io.StringIO()
    setup_structured_logging(stream=written).info("x", extra={"data": {KEY: 1, "inner": [{KEY: 2}]}})
    assert KEY not in written.getvalue()


def test_a_prompt_in_place_of_an_error_code_is_in_no_exception(loggers: tuple[logging.Logger, ...]) -> None:
    written = io.StringIO()
    logger = setup_structured_logging(stream=written)
    with (
        Wire(fault(400, f"Refused {PROMPT}", "no")) as wire,
        client_of(wire) as client,
        pytest.raises(BedrockError) as raised,
    ):
        client.invoke(PROMPT)
    assert PROMPT not in str(raised.value)
    logger.error("failed", exc_info=raised.value)
    assert PROMPT not in written.getvalue()


def test_a_context_that_ends_before_its_inner_one_leaves_nothing() -> None:
    def reads() -> Generator[None, None, None]:
        with context(team="reader", turn=1):
            yield

    reader = reads()
    next(reader)
    with context(user=2, turn=2):
        reader.close()
        assert dict(current()) == {"user": 2, "turn": 2}
    assert current() == ()


def test_different_alert_listeners_are_added_and_equal_ones_only_once() -> None:
    before = listeners()

    def page(_: object) -> None: ...

    stops = [observe(alerts=Alerts("log")), observe(alerts=Alerts(page))]  # the first is no longer held by anybody
    assert listeners() == before + 2
    stops += [observe(alerts=Alerts("log")), observe(alerts=Alerts(page))]
    assert listeners() == before + 2
    stops.append(observe(alerts=Alerts("log", service="shop")))
    assert listeners() == before + 3
    for stop in stops:
        stop()
    assert listeners() == before


def test_custom_providers_are_observed_once_however_they_are_passed() -> None:
    before = listeners()
    stops = [observe(otel=True), observe(otel=OpenTelemetry())]
    assert listeners() == before + 1
    for stop in stops:
        stop()
    with pytest.raises(ValueError, match="pass True, or an OpenTelemetry"):
        observe(otel=[1])
    assert listeners() == before


@pytest.mark.parametrize("set_up", [setup_structured_logging, lambda: observe(log="json")])
def test_logging_that_was_configured_before_does_not_silence_the_lines(
    set_up: Callable[[], Any],
    loggers: tuple[logging.Logger, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disabled = [logging.getLogger(f"aws_bedrock_inference{child}") for child in ("", ".alerts", ".listeners")]
    for logger in disabled:
        monkeypatch.setattr(logger, "disabled", True)  # as logging.config does with loggers that it does not list
    stop = set_up()
    with Wire(INTERNAL, INTERNAL) as wire, client_of(wire) as client, pytest.raises(BedrockError):
        client.invoke("Why?")
    if set_up is not setup_structured_logging:
        stop()
    assert [line["event"] for line in read(capsys.readouterr().err)] == ["RetryScheduled", "CallEnded"]
    assert not any(logger.disabled for logger in disabled)


def test_a_handler_that_raises_breaks_no_call(loggers: tuple[logging.Logger, ...]) -> None:
    class Raises(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record.name)

    logger = logging.getLogger("aws_bedrock_inference")
    handler = Raises()
    logger.addHandler(handler)
    with Wire(INTERNAL, answer(REPLY)) as wire, client_of(wire) as client:
        assert client.invoke("Why?").attempts == 2
    logger.removeHandler(handler)


def test_a_name_of_a_context_cannot_replace_a_metric() -> None:
    with pytest.raises(ValueError, match="Calls"):
        embedded_metrics(by=["team", "Calls"])


def test_a_block_left_by_return_or_break_counts_as_a_success(recorded: Recorded) -> None:
    def returns() -> int:
        for attempt in attempts():
            with attempt:
                return 1
        return 0

    assert returns() == 1
    for attempt in attempts():
        with attempt:
            break
    told = [(span.name, span.status.status_code.name, dict(span.attributes or {})) for span in recorded.spans]
    assert [(name, status) for name, status, _ in told] == [("attempt", "UNSET"), ("block", "UNSET")] * 2
    assert not any("aws_bedrock_inference.cause" in attributes for _, _, attributes in told)


def test_a_block_that_the_program_interrupts_ends_without_an_error(recorded: Recorded) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    span = recorded.span("block")
    assert span.status.status_code.name == "UNSET"
    assert span.attributes is not None
    assert span.attributes["aws_bedrock_inference.cause"] == "abandoned"


def interrupted() -> None:
    for attempt in attempts():
        with attempt:
            raise KeyboardInterrupt


def test_an_observer_stopped_during_a_call_ends_its_spans_once(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    stop = observe(otel=recorded.otel)

    @resilient
    def stops() -> None:
        stop()
        recorded_stop()

    recorded_stop = observe(otel=OpenTelemetry(tracer_provider=recorded.tracers))
    stops()
    assert "ended span" not in caplog.text
    assert json.loads(recorded.spans[0].to_json())["name"] in {"attempt", "stops"}
