"""Spans of calls and attempts, made by a real OpenTelemetry SDK, as trees that can be read."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from textwrap import dedent
from typing import Any

import pytest
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.trace import SpanKind
from support.answers import FRAMES, INTERNAL, MESSAGES, REPLY, THROTTLED, UNAVAILABLE, fault
from support.client_faces import MODEL
from support.doubles import session
from support.spans import OWN, Recorded, recorded
from support.wire import Wire, answer, event, exception, stream

from aws_bedrock_inference import (
    AsyncBedrockClient,
    BedrockError,
    Breaker,
    Deadline,
    Fallback,
    InvalidByService,
    Pipeline,
    Quota,
    Retry,
    Target,
    context,
    resilient,
    traces,
)
from aws_bedrock_inference.events import AttemptEnded, CallEnded
from aws_bedrock_inference.listeners import PROCESS
from aws_bedrock_inference.resilience.functions import attempts
from aws_bedrock_inference.telemetry.observing import observe

__all__ = ["recorded"]

OK = answer(REPLY)
OTHER = "amazon.nova-pro-v1:0"
SECRET = "AKIAIOSFODNN7PLANTED"
FIRST = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Because "}})
BROKEN = stream(
    event("messageStart", {"role": "assistant"}), FIRST, exception("internalServerException", {"message": SECRET})
)


@pytest.fixture(autouse=True)
def _alone(alone: None) -> None:
    """Every test here."""


def nothing_is_current() -> bool:
    return not contexts.get_current()


def tree(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_a_retried_call_has_a_span_for_each_attempt(face: Any, recorded: Recorded) -> None:
    with Wire(THROTTLED, INTERNAL, OK) as wire:
        client = face.open(wire.url)
        with recorded.tracers.get_tracer("app").start_as_current_span("request"), context(team="checkout"):
            face.get(client.invoke("Why?", tenant="acme"))
    assert recorded.tree() == tree(
        """
        request: UNSET
          chat amazon.nova-lite-v1:0: UNSET
            · throttle_received
            · retry_scheduled
            · retry_scheduled
            attempt 1 ThrottlingException throttled-requests-per-minute: ERROR
            attempt 2 InternalServerException internal-server-error: ERROR
            attempt 3: UNSET
        """
    )
    call = recorded.span(f"chat {MODEL}")
    assert call.kind is SpanKind.CLIENT
    assert dict(call.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.finish_reasons": ("end_turn",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 5,
        "server.address": "127.0.0.1",
        "server.port": wire.port,
        "cloud.region": "us-east-1",
        f"{OWN}operation": "converse",
        f"{OWN}pool": "on-demand",
        f"{OWN}priority": 1.0,
        f"{OWN}tenant": "acme",
        f"{OWN}context.team": "checkout",
        f"{OWN}attempts": 3,
    }
    first = next(span for span in recorded.spans if span.name == "attempt")
    assert dict(first.attributes or {}) == {
        "server.address": "127.0.0.1",
        "server.port": wire.port,
        "cloud.region": "us-east-1",
        "aws.request_id": "request-1",
        "http.response.status_code": 429,
        "error.type": "ThrottlingException",
        f"{OWN}attempt": 1,
        f"{OWN}model": MODEL,
        f"{OWN}cause": "throttled-requests-per-minute",
        f"{OWN}decision": "RETRY",
    }
    retry = call.events[1].attributes or {}
    assert (retry[f"{OWN}attempt"], retry[f"{OWN}cause"]) == (1, "throttled-requests-per-minute")
    assert nothing_is_current()


def test_a_failed_call_has_spans_with_its_error(face: Any, recorded: Recorded) -> None:
    refused = fault(400, "ValidationException", f"The prompt {SECRET} is wrong.")
    with Wire(refused) as wire, pytest.raises(InvalidByService):
        face.get(face.open(wire.url).invoke("Why?"))
    assert recorded.tree() == tree(
        """
        chat amazon.nova-lite-v1:0 ValidationException request-invalid: ERROR
          attempt 1 ValidationException request-invalid: ERROR
        """
    )
    assert {span.status.description for span in recorded.spans} == {"request-invalid"}


def test_a_call_with_a_fallback_has_spans_of_both_routes(face: Any, recorded: Recorded) -> None:
    dice: Any = {"chance": lambda: 0.0}
    with Wire(UNAVAILABLE) as ill, Wire(OK) as well:
        other = Target(OTHER, region_name="us-west-2", endpoint_url=well.url, quota=Quota(rpm=600_000))
        pipeline = Pipeline(Deadline(), Fallback(other), Retry(attempts=2, **dice), Breaker(), Quota(rpm=600_000))
        face.get(face.open(ill.url, pipeline=pipeline).invoke("Why?"))
    assert recorded.tree() == tree(
        """
        chat amazon.nova-lite-v1:0: UNSET
          · fell_back
          attempt 1 ServiceUnavailableException service-capacity: ERROR
          attempt 2: UNSET
        """
    )
    call = recorded.span(f"chat {MODEL}")
    assert (call.attributes or {})["gen_ai.response.model"] == OTHER
    assert (call.events[0].attributes or {})[f"{OWN}to"] == f"{OTHER} in us-west-2"
    last = [span.attributes or {} for span in recorded.spans if span.name == "attempt"][-1]
    assert (last["cloud.region"], last["server.port"]) == ("us-west-2", well.port)


def test_a_resumed_stream_has_spans_of_both_parts(face: Any, recorded: Recorded) -> None:
    with Wire(BROKEN, stream(*FRAMES)) as wire:
        list(face.items(face.open(wire.url).invoke_stream("Why?", on_interrupt="restart")))
    assert recorded.tree() == tree(
        """
        chat amazon.nova-lite-v1:0: UNSET
          · stream_resumed
          attempt 1 InternalServerException internal-server-error: ERROR
          attempt 2: UNSET
        """
    )
    call = recorded.span(f"chat {MODEL}")
    assert (call.attributes or {})["gen_ai.request.stream"] is True
    resumed = call.events[0].attributes or {}
    assert (resumed[f"{OWN}how"], resumed[f"{OWN}received"]) == ("restart", len("Because "))
    assert all(f"{OWN}first_content" in (span.attributes or {}) for span in recorded.spans if span.name == "attempt")


def test_a_stream_is_never_current(face: Any, recorded: Recorded) -> None:
    with Wire(stream(*FRAMES)) as wire:
        pieces = face.items(face.open(wire.url).invoke_stream("Why?"))
        for _ in pieces:
            assert nothing_is_current()
    assert nothing_is_current()
    assert len(recorded.spans) == 2


def test_an_abandoned_stream_ends_its_spans_without_an_error(face: Any, recorded: Recorded) -> None:
    with Wire(stream(*FRAMES)) as wire:
        events = face.get(face.open(wire.url).converse_stream(messages=MESSAGES))["stream"]
        next(face.items(events))
        face.leave(events)
    assert recorded.tree() == tree(
        """
        chat amazon.nova-lite-v1:0 abandoned: UNSET
          attempt 1 abandoned: UNSET
        """
    )


def test_spans_of_other_libraries_are_below_the_attempt(recorded: Recorded) -> None:
    def work() -> int:
        with recorded.tracers.get_tracer("database").start_as_current_span("query"):
            return 7

    assert resilient(work)() == 7
    assert nothing_is_current()
    assert recorded.tree() == tree(
        """
        work: UNSET
          attempt 1: UNSET
            query: UNSET
        """
    )


def test_an_interrupted_call_ends_its_spans(recorded: Recorded) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resilient(interrupted)()
    assert nothing_is_current()
    assert recorded.tree() == tree(
        """
        interrupted abandoned: UNSET
          attempt 1 abandoned: UNSET
        """
    )


def test_a_cancelled_task_ends_its_spans(recorded: Recorded) -> None:
    async def cancel(url: str) -> None:
        async with AsyncBedrockClient(MODEL, endpoint_url=url, session=session()) as client:
            asked = asyncio.ensure_future(client.invoke("Why?"))
            await asyncio.to_thread(arrived.wait)
            asked.cancel()
            await asyncio.wait([asked])

    arrived = threading.Event()

    class Noticing(Wire):
        def _perform(self, client: Any, act: Any) -> bool:
            arrived.set()
            return super()._perform(client, act)

    with Noticing(("stall", b"")) as wire:
        asyncio.run(cancel(wire.url))
    assert recorded.tree() == tree(
        """
        chat amazon.nova-lite-v1:0 abandoned: UNSET
          attempt 1 abandoned: UNSET
        """
    )


def test_calls_of_many_tasks_are_below_their_own_parents(recorded: Recorded) -> None:
    tracer = recorded.tracers.get_tracer("app")

    async def one(client: AsyncBedrockClient, number: int) -> None:
        with tracer.start_as_current_span(f"task {number}"):
            await client.invoke("Why?")

    async def several(url: str) -> None:
        async with AsyncBedrockClient(MODEL, endpoint_url=url, session=session()) as client:
            await asyncio.gather(*(one(client, number) for number in range(5)))

    with Wire(OK) as wire:
        asyncio.run(several(wire.url))
    trees = [f"task {number}: UNSET\n  chat {MODEL}: UNSET\n    attempt 1: UNSET\n" for number in range(5)]
    assert recorded.tree() == "".join(trees)


def test_a_loop_of_attempts_has_spans_too(recorded: Recorded) -> None:
    failing = [ConnectionError(SECRET)]
    for attempt in attempts(name="copy", sleep=lambda _: None):
        with attempt:
            assert nothing_is_current()
            if failing:
                raise failing.pop()
    lines = recorded.tree().splitlines()
    assert [lines[0], lines[-1]] == ["copy: UNSET", "  attempt 2: UNSET"]
    assert SECRET not in recorded.everything()


@pytest.mark.parametrize("streamed", [False, True])
def test_instrumented_boto3_has_no_second_span_and_no_second_metric(recorded: Recorded, *, streamed: bool) -> None:
    instrumentor = BotocoreInstrumentor()  # type: ignore[no-untyped-call]  # as it is published
    instrumentor.instrument(tracer_provider=recorded.tracers, meter_provider=recorded.meters)
    try:
        good = stream(*FRAMES) if streamed else OK
        with Wire(INTERNAL, good) as wire:
            client = resilient(session().client("bedrock-runtime", endpoint_url=wire.url), sleep=lambda _: None)
            if streamed:
                list(client.converse_stream(modelId=MODEL, messages=MESSAGES)["stream"])
            else:
                client.converse(modelId=MODEL, messages=MESSAGES)
    finally:
        instrumentor.uninstrument()
    assert recorded.tree().replace("    · exception\n", "").splitlines() == [
        "ConverseStream: UNSET" if streamed else "Converse: UNSET",
        "  · retry_scheduled",
        f"  chat {MODEL} InternalServerException: ERROR",
        f"  chat {MODEL}: UNSET",
    ]
    measured = recorded.metrics()
    durations = measured.get("gen_ai.client.operation.duration", [])  # botocore's own, if it is new enough
    assert not [point for point in durations if "gen_ai.provider.name" in point.attributes]
    assert sum(point.value for point in measured[f"{OWN}attempts"]) == 2


def test_creating_a_client_in_an_instrumented_program_creates_no_span(face: Any, recorded: Recorded) -> None:
    instrumentor = BotocoreInstrumentor()  # type: ignore[no-untyped-call]  # as it is published
    instrumentor.instrument(tracer_provider=recorded.tracers, meter_provider=recorded.meters)
    try:
        with Wire(OK) as wire:
            face.get(face.open(wire.url).invoke("Why?"))
    finally:
        instrumentor.uninstrument()
    assert recorded.tree() == f"chat {MODEL}: UNSET\n  attempt 1: UNSET\n"


def test_suppressed_instrumentation_creates_no_spans(recorded: Recorded) -> None:
    token = contexts.attach(contexts.set_value("suppress_instrumentation", True))  # noqa: FBT003 - as it is read
    try:
        assert resilient(lambda: 7)() == 7
    finally:
        contexts.detach(token)
    assert recorded.spans == []


def test_the_log_lines_of_a_call_and_a_stream_are_in_their_spans(face: Any, recorded: Recorded) -> None:
    found: list[Any] = []
    with Wire(OK, stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        client.listen(lambda event: found.append(traces.ids(event.call_id)), attempts=True)
        face.get(client.invoke("Why?"))
        list(face.items(client.invoke_stream("Why?")))
    calls = [span for span in recorded.spans if span.name.startswith("chat")]
    ids = [f"{span.context.span_id:016x}" for span in calls]
    assert [each.span_id for each in found[1:4]] == ids[:1] * 3  # at its very beginning, a call has none
    assert [each.span_id for each in found[5:8]] == ids[1:] * 3


def test_no_event_is_emitted_after_the_end_and_no_span_remains_current() -> None:
    made = Recorded()
    stop = observe(otel=made.otel)

    def stopping() -> int:
        stop()
        return 7

    assert resilient(stopping)() == 7
    assert nothing_is_current()
    assert len(made.spans) == 2
    assert resilient(lambda: 7)() == 7
    assert len(made.spans) == 2


def test_two_listeners_do_not_disturb_each_other(face: Any, recorded: Recorded) -> None:
    other = Recorded()
    stop = observe(otel=other.otel)
    with Wire(INTERNAL, OK) as wire:
        face.get(face.open(wire.url).invoke("Why?"))
    stop()
    assert nothing_is_current()
    assert [len(each.spans) for each in (recorded, other)] == [3, 3]
    other.close()


def test_a_measurement_that_fails_leaves_no_span_open(recorded: Recorded) -> None:
    def broken(event: Any) -> None:
        raise ZeroDivisionError

    other = Recorded()
    sink = other.otel.sink()
    sink._measured[CallEnded] = sink._measured[AttemptEnded] = broken
    stop = PROCESS.add(sink, attempts=True)
    assert resilient(lambda: 7)() == 7
    stop()
    sink.close()
    assert nothing_is_current()
    assert [len(each.spans) for each in (recorded, other)] == [2, 2]
    other.close()


def test_no_state_of_ended_calls_remains(face: Any, recorded: Recorded) -> None:
    sink = recorded.otel.sink()
    with Wire(OK, INTERNAL, OK, stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        client.listen(sink, attempts=True)
        for _ in range(2):
            face.get(client.invoke("Why?"))
        list(face.items(client.invoke_stream("Why?")))
        face.leave(client.invoke_stream("Why?"))
    assert len(sink._spans) == 0
    sink.close()


FORKED = """
import os, sys
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from aws_bedrock_inference import observe, resilient

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
observe(otel=True)
told = {}

def forking():
    reading, writing = os.pipe()
    child = os.fork()
    told["child"], told["writing"], told["reading"] = child, writing, reading
    return child

resilient(forking)()
names = [span.name for span in exporter.get_finished_spans()]
if not told["child"]:
    resilient(lambda: 1)()
    names = [span.name for span in exporter.get_finished_spans()]
    os.write(told["writing"], repr((names, bool(context.get_current()))).encode())
    os._exit(0)
os.close(told["writing"])
print(os.read(told["reading"], 1000).decode())
os.waitpid(told["child"], 0)
print((names, bool(context.get_current())))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks")
def test_a_forked_child_does_not_end_spans_of_its_parent() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603 - our own
    child, parent = done.stdout.splitlines()
    assert child == "(['attempt', '<lambda>'], False)"
    assert parent == "(['attempt', 'forking'], False)"


def test_a_missing_package_is_reported_with_what_to_install() -> None:
    script = (
        "import sys\nsys.modules['opentelemetry'] = None\n"
        "import aws_bedrock_inference as package\n"
        "try:\n    package.observe(otel=True)\nexcept ImportError as error:\n    print(error)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603 - our own
    assert done.stdout.strip() == (
        "observe(otel=True) needs the package opentelemetry-api: pip install 'aws-bedrock-inference[otel]'"
    )


def test_planted_secrets_and_prompts_are_in_no_span_and_no_metric(face: Any, recorded: Recorded) -> None:
    refused = fault(400, "ValidationException", f"Malformed input near {SECRET}")
    odd = answer({}, status="418 X", x_amzn_ErrorType=f"Odd {SECRET}", x_amzn_RequestId=f"of {SECRET}")
    with Wire(fault(503, "ServiceUnavailableException", SECRET), OK, refused, odd, BROKEN, stream(*FRAMES)) as wire:
        client = face.open(f"http://user:{SECRET}@127.0.0.1:{wire.port}")
        face.get(client.invoke(SECRET, system=SECRET))
        for _ in range(2):
            with pytest.raises(BedrockError):
                face.get(client.invoke(SECRET))
        list(face.items(client.invoke_stream(SECRET, on_interrupt="restart")))
    assert len(recorded.spans) >= 8
    assert SECRET not in recorded.everything()
    assert trace.get_current_span().get_span_context().is_valid is False
