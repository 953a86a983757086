"""Fallback over real sockets: two services, one client, and what its caller gets."""

from __future__ import annotations

import gc
import json
import logging
import pickle
import weakref
from typing import Any

import boto3
import pytest
from support.answers import FRAMES, INTERNAL, MESSAGES, REPLY, THROTTLED_FRAME, UNAVAILABLE, fault
from support.doubles import session
from support.wire import Wire, answer, stream

from aws_bedrock_inference import (
    BedrockClient,
    Breaker,
    Cache,
    Deadline,
    Fallback,
    InvalidRequest,
    NotFound,
    Overloaded,
    Pipeline,
    Quota,
    Resume,
    Retry,
    StreamBroken,
    Target,
    Unreachable,
    standard,
)
from aws_bedrock_inference.events import CallEnded, FellBack

MODEL, OTHER = "amazon.nova-lite-v1:0", "amazon.nova-pro-v1:0"
NOBODY = "http://127.0.0.1:9"  # the port of the discard service, on which no server listens
GONE = fault(404, "ResourceNotFoundException", "This model version has reached the end of its life.")


def using(fallback: Fallback, *others: Any) -> Pipeline:
    dice: Any = {"chance": lambda: 0.0}
    return Pipeline(Deadline(), *others, Resume(**dice), fallback, Retry(**dice), Breaker(), Quota(rpm=600_000))


def west(wire: Wire, model: str = MODEL, **options: Any) -> Target:
    return Target(model, region_name="us-west-2", endpoint_url=wire.url, quota=Quota(rpm=600_000), **options)


def left_early(face: Any, pieces: Any) -> None:
    assert next(face.items(pieces)) == "Because "
    face.leave(pieces)


def paths(wire: Wire) -> list[str]:
    return [received.target.split("/")[2].replace("%3A", ":") for received in wire.received]


@pytest.mark.parametrize("streamed", [False, True])
def test_another_region_answers_and_the_reply_names_it(
    face: Any, caplog: pytest.LogCaptureFixture, *, streamed: bool
) -> None:
    good = stream(*FRAMES) if streamed else answer(REPLY)
    with Wire(UNAVAILABLE) as ill, Wire(good) as well, caplog.at_level(logging.WARNING):
        client = face.open(ill.url, pipeline=using(Fallback(west(well))))
        heard: list[Any] = []
        client.listen(heard.append)
        reply = face.get(client.invoke("Why?", stream=streamed))
        assert reply.text == "Because of Rayleigh."
        assert (reply.route.model, reply.route.region) == (MODEL, "us-west-2")
        [left] = reply.trail
        assert (left.route.region, left.fault.code, left.attempts) == ("us-east-1", "ServiceUnavailableException", 1)
        assert reply.attempts == len(ill.received) + len(well.received) == 2
        assert "us-west-2" in well.received[0].headers["authorization"]
    [moved] = [each for each in heard if isinstance(each, FellBack)]
    assert (moved.to.region, moved.total) == ("us-west-2", 1)
    [ended] = [each for each in heard if isinstance(each, CallEnded)]
    assert (ended.fault, ended.attempts) == (None, 2)
    assert any("continues on amazon.nova-lite-v1:0 in us-west-2" in record.getMessage() for record in caplog.records)


def test_another_model_at_the_same_endpoint_answers(face: Any) -> None:
    with Wire(GONE, answer(REPLY)) as wire:
        client = face.open(wire.url, pipeline=using(Fallback(OTHER)))
        reply = face.get(client.invoke("Why?"))
        assert paths(wire) == [MODEL, OTHER]
        assert wire.connections == 1
        assert reply.route.model == OTHER


def test_a_stream_moves_before_its_first_content_and_its_reply_names_the_route(face: Any) -> None:
    with Wire(stream(FRAMES[0], THROTTLED_FRAME)) as ill, Wire(stream(*FRAMES)) as well:
        client = face.open(ill.url, pipeline=using(Fallback(west(well))))
        pieces = client.invoke_stream("Why?")
        assert "".join(face.items(pieces)) == "Because of Rayleigh."
        assert pieces.reply.route.region == "us-west-2"
        assert len(pieces.reply.trail) == 1


def test_a_stream_with_content_does_not_move_and_breaks(face: Any) -> None:
    with Wire(stream(*FRAMES[:3], THROTTLED_FRAME)) as ill, Wire(stream(*FRAMES)) as well:
        client = face.open(ill.url, pipeline=using(Fallback(west(well))))
        with pytest.raises(StreamBroken):
            list(face.items(client.invoke_stream("Why?")))
        assert well.received == []


def test_a_broken_stream_is_resumed_on_another_route_if_its_own_is_unhealthy(face: Any) -> None:
    with Wire(stream(*FRAMES[:3], THROTTLED_FRAME), UNAVAILABLE) as ill, Wire(stream(*FRAMES)) as well:
        client = face.open(ill.url, pipeline=using(Fallback(west(well))))
        pieces = client.invoke_stream("Why?", on_interrupt="restart")
        list(face.items(pieces))
        assert pieces.reply.text == "Because of Rayleigh."
        assert pieces.reply.route.region == "us-west-2"
        assert len(pieces.reply.seams) == 1


def test_an_abandoned_stream_counts_as_a_success_of_its_route(face: Any) -> None:
    good = stream(*FRAMES)
    with Wire(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, good) as ill, Wire(good) as well:
        fallback = Fallback(west(well))
        client = face.open(ill.url, pipeline=using(fallback))
        left_early(face, client.invoke_stream("Why?"))
        home, other = fallback._health.values()
        while not home.resting:
            left_early(face, client.invoke_stream("Why?"))
        left_early(face, client.invoke_stream("Why?", pin="chat-1"))
        assert fallback.pins.get("chat-1") == 1
        home._probe_at = 0.0  # eight seconds later
        left_early(face, client.invoke_stream("Why?"))
        assert (home.resting, other.share) == (False, 1.0)


@pytest.mark.parametrize("native", [False, True])
def test_the_tier_of_a_target_is_sent_in_the_field_of_its_operation(face: Any, *, native: bool) -> None:
    with Wire(UNAVAILABLE) as ill, Wire(answer(REPLY)) as well:
        client = face.open(ill.url, pipeline=using(Fallback(west(well, tier="priority"))))
        if native:
            face.get(client.invoke_model(modelId=MODEL, body=json.dumps({"messages": MESSAGES})))
        else:
            face.get(client.converse(modelId=MODEL, messages=MESSAGES))
        [received] = well.received
        tier = received.headers.get("x-amzn-bedrock-service-tier") or json.loads(received.body)["serviceTier"]["type"]
        assert tier == "priority"


def test_calls_of_the_methods_named_after_boto3s_move_too(face: Any) -> None:
    with Wire(INTERNAL) as ill, Wire(answer(REPLY)) as well:
        client = face.open(ill.url, pipeline=using(Fallback(west(well))))
        assert face.get(client.converse(messages=MESSAGES))["output"] == REPLY["output"]
    with Wire(INTERNAL) as ill, Wire(answer({"generation": "Because."})) as well:
        client = face.open(ill.url, pipeline=using(Fallback(west(well))))
        body = face.get(client.invoke_model(body=json.dumps({"prompt": "Why?"})))["body"]
        assert json.loads(body.read()) == {"generation": "Because."}


def test_a_body_of_another_form_is_not_sent_to_a_model_that_cannot_read_it(face: Any) -> None:
    with Wire(UNAVAILABLE) as wire:
        client = face.open(wire.url, pipeline=using(Fallback("anthropic.claude-3-haiku-20240307-v1:0", attempts=3)))
        with pytest.raises(Overloaded) as caught:
            face.get(client.invoke_model(body=json.dumps({"inputText": "Why?"})))
        assert set(paths(wire)) == {MODEL}
        assert "accepts bodies in" in str(caught.value)


def test_if_all_routes_fail_the_exception_is_that_of_the_requested_model_with_the_trail(face: Any) -> None:
    with Wire(UNAVAILABLE) as ill, Wire(INTERNAL) as worse:
        client = face.open(ill.url, pipeline=using(Fallback(west(worse), attempts=4)))
        with pytest.raises(Overloaded) as caught:
            face.get(client.invoke("Why?"))
        assert {hop.route.region for hop in caught.value.trail} == {"us-east-1", "us-west-2"}
        assert "us-west-2" in str(caught.value)
        assert caught.value.attempts == len(ill.received) + len(worse.received) <= 12


def test_the_tier_of_a_target_is_not_sent_to_other_routes(face: Any) -> None:
    with Wire(UNAVAILABLE) as ill, Wire(answer(REPLY)) as well:
        client = face.open(ill.url, pipeline=using(Fallback(west(well, tier="flex"))))
        face.get(client.invoke("Why?"))
        assert "serviceTier" not in json.loads(ill.received[0].body)
        assert json.loads(well.received[0].body)["serviceTier"] == {"type": "flex"}


def test_an_unreachable_target_is_skipped_and_logged_once(face: Any, caplog: pytest.LogCaptureFixture) -> None:
    with Wire(UNAVAILABLE, answer(REPLY)) as wire:
        elsewhere = Target(MODEL, region_name="us-west-2", session=boto3.Session(profile_name=None))
        elsewhere.session._session.set_config_variable("profile", "nowhere")
        client = face.open(wire.url, pipeline=using(Fallback(elsewhere, OTHER)))
        assert [face.get(client.invoke("Why?")).route.model for _ in range(2)] == [OTHER, OTHER]
    said = [record.getMessage() for record in caplog.records if "skips" in record.getMessage()]
    assert len(said) == 1
    assert f"{MODEL} in us-west-2: ProfileNotFound" in said[0]


def test_an_answer_of_another_route_is_not_cached(face: Any) -> None:
    with Wire(UNAVAILABLE) as ill, Wire(answer(REPLY)) as well:
        client = face.open(ill.url, pipeline=using(Fallback(west(well)), Cache()))
        for _ in range(2):
            assert face.get(client.invoke("Why?")).cached is None
        assert len(well.received) == 2


def test_an_empty_pin_is_refused(face: Any) -> None:
    with Wire(answer(REPLY)) as wire:
        client = face.open(wire.url, pipeline=using(Fallback(OTHER)))
        with pytest.raises(ValueError, match=r"pin=.*chat-42"):
            face.get(client.invoke("Why?", pin=""))


def test_a_profile_with_unknown_regions_is_refused_if_within_is_set() -> None:
    with Wire(fault(403, "AccessDeniedException", "no")) as wire:
        pipeline = standard(fallback=Fallback("global." + OTHER, within="us-*"))
        client = BedrockClient("us." + MODEL, endpoint_url=wire.url, session=session(), pipeline=pipeline)
        with client, pytest.raises(InvalidRequest, match="can be answered in unknown Regions"):
            client.invoke("Why?")
        assert not any("/model/" in received.target for received in wire.received)


def test_closing_a_client_closes_the_connections_of_all_routes(face: Any) -> None:
    with Wire(UNAVAILABLE) as ill, Wire(answer(REPLY)) as well:
        client = face.open(ill.url, pipeline=using(Fallback(west(well))))
        face.get(client.invoke("Why?"))
        face.get(client.aclose() if hasattr(client, "aclose") else client.close())
        assert well.gone.wait(10)


def test_a_fallback_that_outlives_its_clients_releases_their_sessions() -> None:
    with Wire(UNAVAILABLE) as ill, Wire(answer(REPLY)) as well:
        pipeline = using(Fallback(west(well), within="us-*"))
        own = boto3.Session("AKIDOFATENANT", "secret", region_name="us-east-1")
        gone = weakref.ref(own)
        with BedrockClient(MODEL, endpoint_url=ill.url, session=own, pipeline=pipeline) as client:
            assert client.invoke("Why?").route.region == "us-west-2"
        del client, own
        gc.collect()
        assert gone() is None


def test_successive_clients_share_the_health_of_a_route_but_not_across_endpoints() -> None:
    with Wire(UNAVAILABLE) as ill, Wire(answer(REPLY)) as well:
        fallback = Fallback(west(well))
        for url, calls in ((ill.url, 12), (well.url, 1)):
            for number in range(calls):
                own = boto3.Session(f"AKID{number}", "secret", region_name="us-east-1")
                with BedrockClient(MODEL, endpoint_url=url, session=own, pipeline=using(fallback)) as client:
                    reply = client.invoke("Why?")
        assert len(ill.received) == 4
        assert reply.route.region == "us-east-1"


def test_the_exception_names_the_route_of_its_fault(face: Any) -> None:
    with Wire(GONE, INTERNAL) as wire:
        client = face.open(wire.url, pipeline=using(Fallback(OTHER, on={"*": "nowhere", "model-*": "model"})))
        with pytest.raises(NotFound) as first:
            face.get(client.invoke("Why?"))
        assert first.value.route.model == MODEL
    with Wire(stream(*FRAMES[:3], THROTTLED_FRAME)) as well, Wire(UNAVAILABLE) as ill:
        client = face.open(ill.url, pipeline=using(Fallback(west(well))))
        with pytest.raises(StreamBroken) as caught:
            list(face.items(client.invoke_stream("Why?")))
        assert caught.value.route.region == "us-west-2"


def test_an_exception_with_a_trail_can_be_pickled(face: Any) -> None:
    client = face.open(NOBODY, pipeline=using(Fallback(OTHER, attempts=3)))
    with pytest.raises(Unreachable) as caught:
        face.get(client.invoke("Why?"))
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert [str(hop) for hop in copy.trail] == [str(hop) for hop in caught.value.trail]
    assert len(copy.trail) > 1
    assert not any(hop.fault.error for hop in copy.trail)


def test_a_long_trail_is_shortened_in_the_message(face: Any) -> None:
    with Wire(UNAVAILABLE, answer(REPLY)) as wire:
        client = face.open(wire.url, pipeline=using(Fallback(OTHER)))
        trail = face.get(client.invoke("Why?")).trail
    assert repr(trail) == f"(Hop({MODEL} in us-east-1: ServiceUnavailableException (service-capacity), attempts=1),)"


@pytest.mark.parametrize(
    ("options", "attempts", "why"),
    [
        ({"attempts": 2}, 10, "the fallback's limit of 2 attempts is reached"),
        ({}, 2, "no attempts are left"),
    ],
)
def test_if_no_target_was_called_the_exception_says_why_the_own_route_gave_up(
    face: Any, options: Any, attempts: int, why: str
) -> None:
    retry = Retry(attempts=attempts, chance=lambda: 0.0)
    pipeline = Pipeline(Deadline(), Fallback(MODEL, chance=lambda: 0.0, **options), retry, Quota(rpm=600_000))
    with Wire(UNAVAILABLE) as ill:
        client = face.open(ill.url, pipeline=pipeline)
        with pytest.raises(Overloaded, match=f"gave up: {why}") as caught:
            face.get(client.invoke("Why?"))
        assert caught.value.attempts == len(ill.received)


def test_the_exception_says_if_no_target_may_be_called(face: Any) -> None:
    with Wire(INTERNAL, GONE) as ill:
        client = face.open(ill.url, pipeline=using(Fallback(MODEL)))
        with pytest.raises(NotFound, match="gave up: no other route could answer the call"):
            face.get(client.invoke("Why?"))
