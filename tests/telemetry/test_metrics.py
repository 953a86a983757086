"""Metrics of calls, attempts, quotas and circuits, as a real OpenTelemetry SDK collects them."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import FRAMES, INTERNAL, MESSAGES, REPLY, THROTTLED, fault
from support.client_faces import MODEL, Asyncio, Blocking, at_once
from support.spans import OWN, Recorded, recorded
from support.wire import Wire, answer, stream

from aws_bedrock_inference import (
    BedrockError,
    Breaker,
    CircuitOpen,
    DeadLetter,
    DeadLetterQueue,
    Deadline,
    Pipeline,
    Quota,
    Retry,
    Route,
    Usage,
    context,
    resilient,
)
from aws_bedrock_inference.events import AttemptStarted, CallEnded, QuotaQueued
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.telemetry.names import Names, names
from aws_bedrock_inference.telemetry.observing import observe
from aws_bedrock_inference.telemetry.series import MOST, MOST_WORDS

if TYPE_CHECKING:
    from support.doubles import World

__all__ = ["recorded"]

OK = answer(REPLY)
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.request.model": MODEL,
    "cloud.region": "us-east-1",
}
CACHED = answer(REPLY | {"usage": {"inputTokens": 3, "outputTokens": 5, "cacheReadInputTokens": 40}})


@pytest.fixture(autouse=True)
def _alone(alone: None) -> None:
    """Every test here."""


def told(points: list[Any], **wanted: Any) -> list[tuple[dict[str, Any], float]]:
    """Return the labels that distinguish the points, without the call's own labels, and their values or counts."""
    found = []
    for point in points:
        labels = dict(point.attributes)
        if labels.get("gen_ai.request.model") == wanted.get("model", MODEL):
            rest = {name: value for name, value in labels.items() if CALL.get(name) != value}
            found.append((rest, point.value if hasattr(point, "value") else point.count))
    return found


def test_calls_and_attempts_are_counted_by_cause_and_decision(recorded: Recorded) -> None:
    face = Blocking()
    with Wire(THROTTLED, INTERNAL, OK, OK) as wire:
        client = face.open(wire.url)
        with context(team="checkout"):
            client.invoke("Why?")
        client.invoke("Why?")
    face.end()
    found = recorded.metrics()
    assert told(found["gen_ai.client.operation.duration"]) == [({f"{OWN}context.team": "checkout"}, 1), ({}, 1)]
    assert told(found["gen_ai.client.token.usage"]) == [
        ({f"{OWN}context.team": "checkout", "gen_ai.token.type": "input"}, 1),
        ({f"{OWN}context.team": "checkout", "gen_ai.token.type": "output"}, 1),
        ({"gen_ai.token.type": "input"}, 1),
        ({"gen_ai.token.type": "output"}, 1),
    ]
    failed = {f"{OWN}decision": "RETRY"}
    assert told(found[f"{OWN}attempts"]) == [
        (failed | {"error.type": "ThrottlingException", f"{OWN}cause": "throttled-requests-per-minute"}, 1),
        (failed | {"error.type": "InternalServerException", f"{OWN}cause": "internal-server-error"}, 1),
        ({}, 2),
    ]
    costs = told(found[f"{OWN}cost"])
    assert sorted(len(labels) for labels, _ in costs) == [0, 1]
    assert costs[0][1] == pytest.approx(3 * 6e-8 + 5 * 2.4e-7)  # Nova Lite's prices of a token
    assert [point.bucket_counts for point in found["gen_ai.client.operation.duration"]]
    assert found["gen_ai.client.operation.duration"][0].explicit_bounds[:3] == (0.01, 0.02, 0.04)
    assert found["gen_ai.client.token.usage"][0].explicit_bounds[-1] == 67108864


def test_a_failed_call_has_its_error_and_an_abandoned_one_has_none(face: Any, recorded: Recorded) -> None:
    with Wire(fault(400, "ValidationException", "It is wrong."), stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        with pytest.raises(BedrockError):
            face.get(client.invoke("Why?"))
        events = face.get(client.converse_stream(messages=MESSAGES))["stream"]
        next(face.items(events))
        face.leave(events)
    found = told(recorded.metrics()["gen_ai.client.operation.duration"])
    assert [(labels.get("error.type"), labels[f"{OWN}cause"]) for labels, _ in found] == [
        ("ValidationException", "request-invalid"),
        (None, "abandoned"),
    ]


def test_an_environment_variable_chooses_the_new_names(face: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http, gen_ai_latest_experimental")
    made = Recorded()
    stop = observe(otel=made.otel)
    with Wire(CACHED, fault(400, "ValidationException", "It is wrong.")) as wire:
        client = face.open(wire.url)
        face.get(client.invoke("Why?"))
        with pytest.raises(BedrockError):
            face.get(client.invoke("Why?"))
    stop()
    found = made.metrics()
    assert sum(count for _, count in told(found["gen_ai.client.inference.duration"])) == 2
    unknown = {"gen_ai.token.modality": "unknown"}
    assert told(found["gen_ai.client.inference.usage.input_tokens"]) == [(unknown, 43)]
    assert told(found["gen_ai.client.inference.usage.output_tokens"]) == [(unknown, 5)]
    assert told(found["gen_ai.client.inference.usage.cache_read.input_tokens"]) == [(unknown, 40)]
    assert not {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"} & found.keys()
    assert (made.spans[1].attributes or {})["gen_ai.usage.input_tokens"] == 43
    made.close()


@pytest.mark.parametrize(
    ("value", "new"),
    [("", False), ("http", False), ("gen_ai_latest_experimental", True), ("a,gen_ai_latest_experimental", True)],
)
def test_the_value_may_be_one_of_a_comma_separated_list(value: str, *, new: bool) -> None:
    assert names({"OTEL_SEMCONV_STABILITY_OPT_IN": value}).new is new


def test_a_stream_has_the_time_to_its_first_content(face: Any, recorded: Recorded) -> None:
    with Wire(stream(*FRAMES)) as wire:
        list(face.items(face.open(wire.url).invoke_stream("Why?")))
    [point] = recorded.metrics()[f"{OWN}first_content"]
    assert point.count == 1
    assert point.sum < 60


def test_an_unreadable_price_table_makes_costs_unknown(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BEDROCK_PRICES", str(tmp_path / "nowhere.toml"))
    listener = recorded.otel.sink()
    listener(CallEnded("converse", Route(MODEL, "us-east-1", base=MODEL), None, Usage(7, 8), 1, 0.5))
    assert [count for _, count in told(recorded.metrics()[f"{OWN}cost.unknown"])] == [1]
    assert not caplog.records
    listener.close()


def test_embeddings_have_their_own_operation(recorded: Recorded) -> None:
    listener = recorded.otel.sink()
    route = Route("amazon.titan-embed-text-v2:0", "us-east-1", base="amazon.titan-embed-text-v2:0")
    listener(CallEnded("invoke_model", route, None, Usage(7), 1, 0.5))
    [point] = recorded.metrics()["gen_ai.client.operation.duration"]
    assert point.attributes["gen_ai.operation.name"] == "embeddings"
    listener.close()


def test_other_services_and_functions_have_their_own_metric(recorded: Recorded) -> None:
    def work() -> int:
        return 7

    resilient(work)()
    [point] = recorded.metrics()[f"{OWN}call.duration"]
    assert point.attributes[f"{OWN}operation"] == "work"
    assert point.attributes[f"{OWN}target"].endswith("work")


def test_the_wait_for_quota_ends_with_the_attempt(recorded: Recorded, world: World) -> None:
    listener = recorded.otel.sink(clock=world.clock)
    route = Route(MODEL, "us-east-1")
    listener(QuotaQueued(route, 100, 3, call_id=7))
    world.sleep(2.5)
    listener(AttemptStarted("converse", route, 1, 7))
    [point] = recorded.metrics()[f"{OWN}quota.wait"]
    assert (point.count, point.sum) == (1, 2.5)
    listener.close()


def test_quotas_in_use_are_gauges(face: Any, recorded: Recorded) -> None:
    model = {Blocking: "amazon.nova-micro-v1:0", Asyncio: "amazon.nova-2-lite-v1:0"}[type(face)]  # each a quota alone
    quota = Quota(rpm=600_000, tpm=9_000_000, tpd=1_000_000)
    with Wire(OK) as wire:
        client = face.open(wire.url, pipeline=at_once(quota))
        face.get(client.invoke("Why?", modelId=model, max_tokens=100))
    found = recorded.metrics()

    def by_dimension(name: str) -> dict[str, float]:
        points = [point for point in found[name] if point.attributes["gen_ai.request.model"] == model]
        return {point.attributes[f"{OWN}quota.dimension"]: point.value for point in points}

    assert by_dimension(f"{OWN}quota.used") == {"requests": 1.0, "tokens": 8.0, "tokens-per-day": 8.0}
    assert by_dimension(f"{OWN}quota.limit") == {"requests": 600_000, "tokens": 9_000_000, "tokens-per-day": 1_000_000}
    assert told(found[f"{OWN}quota.queue"], model=model)[0][1] == 0


def test_an_unused_quota_is_not_a_gauge(recorded: Recorded) -> None:
    quota = Quota(rpm=60)
    quota.ledger(Route("of-one-test", "us-east-1"), 0.0)
    assert told(recorded.metrics()[f"{OWN}quota.limit"], model="of-one-test")[0][1] == 60
    del quota
    gc.collect()
    assert not told(recorded.metrics().get(f"{OWN}quota.limit", []), model="of-one-test")


def test_an_open_circuit_is_a_gauge(face: Any, recorded: Recorded) -> None:
    model = "amazon.nova-premier-v1:0"
    dice: Any = {"chance": lambda: 0.0}
    pipeline = Pipeline(Deadline(), Retry(attempts=1, **dice), Breaker(failures=1, recovery=600), Quota(rpm=600_000))
    with Wire(INTERNAL) as wire:
        client = face.open(wire.url, pipeline=pipeline)
        for _ in range(2):
            with pytest.raises((BedrockError, CircuitOpen)):
                face.get(client.invoke("Why?", modelId=model))
    assert [value for _, value in told(recorded.metrics()[f"{OWN}circuit.state"], model=model)] == [2]


def test_dead_letters_and_fallbacks_are_counted(face: Any, recorded: Recorded, tmp_path: Any) -> None:
    queue = DeadLetterQueue(f"sqlite:///{tmp_path}/letters.db")
    pipeline = Pipeline(DeadLetter(queue), *at_once().policies)
    with Wire(fault(400, "ValidationException", "It is wrong.")) as wire:
        client = face.open(wire.url, pipeline=pipeline)
        with pytest.raises(BedrockError):
            face.get(client.invoke("Why?"))
    queue.close()
    [(labels, count)] = told(recorded.metrics()[f"{OWN}dead_letters"])
    assert (labels[f"{OWN}cause"], count) == ("request-invalid", 1)


def test_the_number_of_label_values_is_bounded(recorded: Recorded) -> None:
    listener = recorded.otel.sink()
    for number in range(MOST + 100):
        route = Route(f"model-{number}", "us-east-1")
        failed = Fault(code=f"Odd{number}", message="", cause=f"cause-{number % 7}")
        listener(CallEnded("converse", route, failed, None, 1, 0.1, context=(("user", number),)))
    found = recorded.metrics()["gen_ai.client.operation.duration"]
    assert len({point.attributes.get("gen_ai.request.model") for point in found}) <= MOST_WORDS + 2
    assert len({point.attributes.get("error.type") for point in found}) <= MOST_WORDS + 2
    assert len({point.attributes.get(f"{OWN}context.user") for point in found}) <= 52
    assert sum(point.count for point in found) == MOST + 100
    later = Route("model-7", "eu-west-1")
    listener(CallEnded("converse", later, None, Usage(1, 2), 1, 0.1))
    assert [
        labels["cloud.region"] for labels, _ in told(recorded.metrics()["gen_ai.client.token.usage"], model="model-7")
    ]
    listener.close()


def test_a_second_observe_continues_the_counts(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    stop = observe(otel=recorded.otel)
    stop()
    stop = observe(otel=recorded.otel)
    resilient(lambda: 7)()
    stop()
    attempts = recorded.metrics()[f"{OWN}attempts"]
    assert sum(point.value for point in attempts) == 1
    assert not caplog.records


def test_each_convention_has_its_own_names_and_shares_those_of_the_package() -> None:
    old, new = ({metric.name for metric in Names(new=new).metrics.values()} for new in (False, True))
    assert old - new == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    assert all(name.startswith(OWN) for name in old & new)
    assert all(name.startswith("gen_ai.client.") for name in new - old)
