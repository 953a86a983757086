"""One quota pool has one ledger, whichever ARN is used to call its model."""

from __future__ import annotations

import copy
import pickle
import threading
import warnings
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import FRAMES, REPLY, fault
from support.client_faces import Asyncio, Blocking
from support.doubles import World
from support.wire import Wire, answer, stream

from aws_bedrock_inference import ModelArn, Quota, Route, resilient
from aws_bedrock_inference.knowledge.models import UNKNOWN_MODEL, Target, model_facts, target, target_of_models
from aws_bedrock_inference.service_quotas import profiles
from aws_bedrock_inference.service_quotas.profiles import AGAIN, Profiles, UnknownModelWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-lite-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/"
REPLY_TO = [{"role": "user", "content": [{"text": "Why?"}]}]
OTHERS = "arn:aws:bedrock:us-east-1:123456789012:"


@pytest.fixture(params=[Blocking, Asyncio])
def face(request: pytest.FixtureRequest, alone: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Each client, in a process that has not looked anything up yet."""
    monkeypatch.setattr(profiles, "PROCESS", Profiles(patience=60.0))
    made = request.param()
    yield made
    made.end()


def profile(*places: str, model: str = CLAUDE) -> bytes:
    """Return GetInferenceProfile's answer for a profile that routes to `model` in these Regions."""
    arns = [{"modelArn": f"arn:aws:bedrock:{place}::foundation-model/{model}"} for place in places]
    return answer({"inferenceProfileName": "n", "models": arns, "status": "ACTIVE", "type": "APPLICATION"})


def used(quota: Quota, model_id: str) -> float:
    """Return the tokens that the last minute charged to the pool of `model_id`."""
    base, pool = target(model_id)
    now = monotonic()
    return quota.ledger(Route(model_id, "us-east-1", base=base, pool=pool), now).snapshot(now).used["tokens"]


def looked_up(wire: Wire) -> list[str]:
    return [each.target for each in wire.received if each.target.startswith("/inference-profiles/")]


def test_two_profiles_of_a_model_and_the_model_itself_are_one_quota_with_its_burndown(face: Any) -> None:
    quota = Quota(tpm=1_000_000)
    acts = [profile("us-east-1", "us-west-2"), answer(REPLY), profile("us-east-1", "us-west-2"), answer(REPLY)]
    with Wire(*acts, answer(REPLY)) as wire:
        client = face.open(wire.url, quota=quota)
        for model_id in (ARN + "a", ARN + "b", f"us.{CLAUDE}", ARN + "a"):
            face.get(client.converse(modelId=model_id, messages=REPLY_TO, inferenceConfig={"maxTokens": 9}))
        assert used(quota, f"us.{CLAUDE}") == 4 * (3 + 5 * 5)
        assert len(looked_up(wire)) == 2


@pytest.mark.parametrize(
    ("places", "pool"),
    [
        (("us-east-1",), CLAUDE),
        (("us-east-1", "us-east-2", "us-west-2"), f"us.{CLAUDE}"),
        (("us-west-2",), f"us.{CLAUDE}"),
        (("us-east-1", ""), f"global.{CLAUDE}"),
    ],
)
def test_a_profile_uses_the_quota_pool_of_its_source(face: Any, places: tuple[str, ...], pool: str) -> None:
    quota = Quota(tpm=1_000_000)
    with Wire(profile(*places), answer(REPLY)) as wire:
        client = face.open(wire.url, quota=quota)
        face.get(client.converse(modelId=ARN + "a", messages=REPLY_TO, inferenceConfig={"maxTokens": 9}))
        assert used(quota, pool) == 28


def test_streams_look_up_profiles_too(face: Any) -> None:
    quota = Quota(tpm=1_000_000)
    with Wire(profile("us-east-1"), stream(*FRAMES)) as wire:
        client = face.open(wire.url, quota=quota)
        opened = face.get(
            client.converse_stream(modelId=ARN + "a", messages=REPLY_TO, inferenceConfig={"maxTokens": 9})
        )
        assert list(face.items(opened["stream"]))
        assert used(quota, CLAUDE) == 28


@pytest.mark.parametrize(
    "refusal",
    [
        fault(403, "AccessDeniedException"),
        fault(404, "ResourceNotFoundException"),
        fault(429, "ThrottlingException"),
        answer(b"<html>"),
        answer({}),
        answer({"models": []}),
        profile("us-east-1", model=CLAUDE),
    ],
    ids=["denied", "missing", "throttled", "garbage", "empty", "no-models", "answered"],
)
def test_a_failed_look_up_fails_no_call_and_warns_once(face: Any, refusal: bytes) -> None:
    quota = Quota(tpm=1_000_000)
    with Wire(refusal, answer(REPLY)) as wire, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = face.open(wire.url, quota=quota)
        for _ in range(3):
            face.get(client.converse(modelId=ARN + "a", messages=REPLY_TO, inferenceConfig={"maxTokens": 9}))
    unknown = [each for each in caught if issubclass(each.category, UnknownModelWarning)]
    if refusal == profile("us-east-1"):
        assert not unknown
        return
    assert len(unknown) == 1
    assert "Allow bedrock:GetInferenceProfile, or specify the model: ModelArn(arn, model=" in str(unknown[0].message)
    assert unknown[0].filename == __file__ or isinstance(face, Asyncio)


def test_unknown_profiles_share_one_quota_with_the_highest_burndown(face: Any) -> None:
    quota = Quota(tpm=1_000_000)
    with Wire(fault(403, "AccessDeniedException"), answer(REPLY), fault(403, "X"), answer(REPLY)) as wire:
        client = face.open(wire.url, quota=quota)
        for name in "ab":
            with pytest.warns(UnknownModelWarning):
                face.get(client.converse(modelId=ARN + name, messages=REPLY_TO, inferenceConfig={"maxTokens": 9}))
        assert used(quota, ARN + "c") == 2 * (3 + 15 * 5)
    assert model_facts(UNKNOWN_MODEL).burndown == 15


def test_naming_the_model_makes_a_look_up_unnecessary(face: Any) -> None:
    quota = Quota(tpm=1_000_000)
    with Wire(answer(REPLY)) as wire:
        named = ModelArn(ARN + "a", model=f"us.{CLAUDE}")
        client = face.open(wire.url, quota=quota)
        face.get(client.converse(modelId=named, messages=REPLY_TO, inferenceConfig={"maxTokens": 9}))
        face.get(client.converse(modelId=ARN + "a", messages=REPLY_TO, inferenceConfig={"maxTokens": 9}))
        assert used(quota, f"us.{CLAUDE}") == 2 * 28
        assert [each.method for each in wire.received] == ["POST", "POST"]


@pytest.mark.parametrize("kind", ["prompt/P:1", "prompt-router/r", "default-prompt-router/anthropic.claude:1"])
def test_an_arn_that_cannot_be_looked_up_gives_a_warning(face: Any, kind: str) -> None:
    with Wire(answer(REPLY)) as wire:
        client = face.open(wire.url, quota=Quota(tpm=1_000_000))
        with pytest.warns(UnknownModelWarning):
            face.get(client.converse(modelId=OTHERS + kind, messages=REPLY_TO, inferenceConfig={"maxTokens": 9}))
        assert not looked_up(wire)


@pytest.mark.parametrize(
    ("model_id", "base", "pool"),
    [
        (OTHERS + "provisioned-model/abc", None, "provisioned"),
        (OTHERS + f"custom-model/{NOVA}:300k/abc", None, "provisioned"),
        (OTHERS + "custom-model-deployment/abc", None, "on-demand"),
        (OTHERS + "imported-model/abc", None, "on-demand"),
        ("arn:aws:sagemaker:us-east-1:123456789012:endpoint/e", None, "provisioned"),
        ("arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile/us-gov." + CLAUDE, CLAUDE, "geographic"),
        (OTHERS + "inference-profile/global." + CLAUDE, CLAUDE, "global"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0:200k", None, "on-demand"),
        (ARN + "x", UNKNOWN_MODEL, "on-demand"),
        ("apac." + NOVA, NOVA, "geographic"),
        ("jp." + CLAUDE, CLAUDE, "geographic"),
        ("mea." + CLAUDE, CLAUDE, "geographic"),
        (CLAUDE + ":200k", CLAUDE, "on-demand"),
        ("openai.gpt-5.6-sol", "openai.gpt-5.6-sol", "on-demand"),
        ("meta.llama4-scout-17b-instruct-v1:0", "meta.llama4-scout-17b-instruct-v1:0", "on-demand"),
    ],
)
def test_every_form_of_a_model_id_has_its_quota_pool(model_id: str, base: str | None, pool: str) -> None:
    if base is None:
        base = model_id if "foundation" not in model_id else "anthropic.claude-3-haiku-20240307-v1:0"
    assert target(model_id) == (base, pool)


def test_a_profile_of_several_models_has_no_quota_pool() -> None:
    arns = [f"arn:aws:bedrock:us-east-1::foundation-model/{model}" for model in (CLAUDE, NOVA)]
    assert target_of_models("us-east-1", arns) is None
    assert target_of_models("us-east-1", []) is None


def test_a_model_arn_can_be_pickled_and_copied() -> None:
    named = ModelArn(ARN + "a", model=f"us.{CLAUDE}")
    assert named == ARN + "a"
    for twin in (pickle.loads(pickle.dumps(named)), copy.deepcopy(named)):  # noqa: S301 - made here
        assert twin == named
        assert target(twin) == (CLAUDE, "geographic")


@pytest.mark.parametrize(("arn", "model"), [("a", CLAUDE), (ARN + "a", ""), (ARN + "a", " "), (ARN + "a", ARN + "b")])
def test_a_model_arn_that_names_nothing_is_refused(arn: str, model: str) -> None:
    with pytest.raises(ValueError, match="ModelArn"):
        ModelArn(arn, model=model)


class TestLookUps:
    """The look-ups themselves, with a clock that moves only when the test advances it."""

    def test_simultaneous_look_ups_of_one_arn_share_one_request(self) -> None:
        asked: list[str] = []
        release = threading.Event()

        def ask(arn: str) -> Target:
            asked.append(arn)
            release.wait(60)
            return Target(CLAUDE, "global")

        known = Profiles(patience=60.0)
        questions = [known.find(ARN, ask) for _ in range(8)]
        release.set()
        assert all(question is not None and question.run() for question in questions)
        assert known.known(ARN) == (CLAUDE, "global")
        assert asked == [ARN]

    def test_a_look_up_delays_a_call_only_briefly_and_a_late_answer_is_still_used(self) -> None:
        world, release = World(), threading.Event()

        def ask(_: str) -> Target:
            release.wait(60)
            return Target(CLAUDE, "global")

        known = Profiles(clock=world.clock, patience=3.0)
        question = known.find(ARN, ask)
        world.now = 3.0
        assert known.find(ARN, ask) is None
        assert known.known(ARN) is None
        release.set()
        assert question is not None
        assert question.run()
        assert known.known(ARN) == (CLAUDE, "global")

    def test_the_wait_for_a_look_up_ends_at_the_deadline_of_the_call(self) -> None:
        world, never = World(), threading.Event()
        known = Profiles(clock=world.clock, patience=60.0)
        assert known.find(ARN, lambda _: Target(NOVA, "global") if never.wait(60) else None, 0.0) is None
        never.set()

    def test_a_failure_is_remembered_and_tried_again_later_in_the_background(self) -> None:
        world, asked = World(), []

        def denied(arn: str) -> Target:
            asked.append(arn)
            raise PermissionError

        known = Profiles(clock=world.clock, patience=60.0)
        question = known.find(ARN, denied)
        assert question is None or question.run()
        assert known.find(ARN, denied) is None
        world.now = AGAIN
        assert known.find(ARN, lambda _: Target(CLAUDE, "global")) is None
        for thread in threading.enumerate():
            if thread.name == "inference-profile":
                thread.join(60)
        assert known.known(ARN) == (CLAUDE, "global")
        assert asked == [ARN]

    def test_a_forked_child_makes_its_own_look_ups(self) -> None:
        never = threading.Event()
        known = Profiles(patience=60.0)
        known.find(ARN, lambda _: Target(CLAUDE, "global") if never.wait(60) else None)
        known.after_fork()
        question = known.find(ARN, lambda _: Target(NOVA, "global"))
        assert question is None or question.run()
        assert known.known(ARN) == (NOVA, "global")
        never.set()


def test_a_wrapped_boto3_client_counts_profiles_as_one_quota(oracle: Any) -> None:
    quota = Quota(rpm=1000)
    with Wire(answer(REPLY)) as wire:
        client = resilient(oracle(wire.url), quota=quota)
        for model_id in (ARN + "a", ARN + "b", ModelArn(ARN + "c", model=CLAUDE), CLAUDE):
            client.converse(modelId=model_id, messages=REPLY_TO)
    now = monotonic()
    for base, number in ((UNKNOWN_MODEL, 2), (CLAUDE, 2)):
        ledger = quota.ledger(Route("x", "us-east-1", base=base), now)
        assert ledger.snapshot(now).used["requests"] == number
