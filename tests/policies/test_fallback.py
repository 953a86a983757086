"""Fallback in virtual time: the route that a call takes, why it leaves the route, and what its caller gets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import INTERNAL, INVALID, OK, READ_TIMEOUT, REFUSED_CONNECTION, THROTTLE, UNAVAILABLE, call

from aws_bedrock_inference.bounds import hashed
from aws_bedrock_inference.call import Call, Outcome, Route, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.events import FellBack, RouteHealthChanged
from aws_bedrock_inference.fault import Decision, Fault, Kind
from aws_bedrock_inference.flow import Pipeline, send
from aws_bedrock_inference.foundation.listing import EVERYWHERE
from aws_bedrock_inference.foundation.residency import stays
from aws_bedrock_inference.knowledge.classify import answered, unanswered
from aws_bedrock_inference.knowledge.models import target
from aws_bedrock_inference.listeners import Listeners
from aws_bedrock_inference.policies import Breaker, Deadline, Fallback, Quota, Retry, Target

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = "anthropic.claude-a-v1:0", "amazon.nova-b-v1:0", "mistral.c-v1:0"
GONE = answered("ResourceNotFoundException", "This model version has reached the end of its life.", status=404)
TIER_REFUSED = answered("ValidationException", "The flex service tier is not supported for this model.", status=400)
NOT_ALLOWED = answered("AccessDeniedException", "User is not authorized to perform: bedrock:InvokeModel", status=403)
BAD_CERTIFICATE = unanswered(None, code="SSLError", message="certificate verify failed: self-signed certificate")
NO_CREDENTIALS = unanswered(None, code="NoCredentialsError", message="Unable to locate credentials")
FILTERED = Outcome({"output": {}, "stopReason": "guardrail_intervened"}, usage=OK.usage)


@dataclass(frozen=True)
class Here:
    """A place without a network."""

    region: str = "us-east-1"
    url: str = "http://127.0.0.1:1"
    account: str = "111122223333"
    principal: str = "me"
    whose: str = ""
    session: Any = None
    beside: dict[Any, Any] = field(default_factory=dict, compare=False)

    def elsewhere(self, *, session: Any, region_name: str | None, endpoint_url: str | None) -> Here:
        return replace(self, region=region_name or self.region, principal=session or self.principal, beside={})


@dataclass
class World:
    """A service in virtual time: `answer` decides how each call ends, and `sent` has the sent calls with their
    times."""

    answer: Callable[[Call, float], Outcome]
    seconds: float = 1.0
    sent: list[tuple[float, Call]] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        listeners = Listeners()
        listeners.add(self.events.append)
        self.driver = VirtualDriver(self._send, listeners=listeners)

    def _send(self, sent: Call, now: float) -> tuple[float, Outcome]:
        self.sent.append((now, sent))
        return self.seconds, self.answer(sent, now)

    def run(self, policy: Fallback, *calls: Call, retry: Retry | None = None) -> list[Outcome]:
        retry = retry if retry is not None else Retry(chance=lambda: 0.5)
        pipeline = Pipeline(Deadline(), policy, retry, Breaker(), Quota())
        step = pipeline.around(send, self.driver.clock)
        tasks = [self.driver.spawn(step(each)) for each in calls]
        self.driver.run()
        assert [task.error for task in tasks] == [None] * len(tasks)
        return [task.result for task in tasks]

    def models(self) -> list[str]:
        return [sent.route.model for _, sent in self.sent]


def ask(**fields: Any) -> Call:
    route = Route(A, "us-east-1", "111122223333", base=A)
    return call(route=route, place=fields.pop("place", Here()), **fields)


def failing(**faults: Fault) -> Callable[[Call, float], Outcome]:
    """Return an answer function with which these models (a, b, c) fail."""
    by_model = {{"a": A, "b": B, "c": C}[name]: fault for name, fault in faults.items()}

    def answer(sent: Call, _: float) -> Outcome:
        fault = by_model.get(sent.route.model)
        return OK if fault is None else Outcome(fault=fault)

    return answer


def where(outcome: Outcome) -> str:
    """The model of the route that answered."""
    assert outcome.made.route is not None
    return outcome.made.route.model


class TestMoving:
    def test_an_answer_of_the_first_route_is_returned_as_it_is(self) -> None:
        world = World(failing())
        [outcome] = world.run(Fallback(B), ask())
        assert outcome == OK
        assert world.models() == [A]

    @pytest.mark.parametrize("fault", [UNAVAILABLE, READ_TIMEOUT, REFUSED_CONNECTION])
    def test_a_fault_that_shows_an_outage_moves_the_call_immediately(self, fault: Fault) -> None:
        world = World(failing(a=fault))
        [outcome] = world.run(Fallback(B), ask())
        assert world.models() == [A, B]
        assert (where(outcome), outcome.attempts) == (B, 2)

    @pytest.mark.parametrize("fault", [INTERNAL, THROTTLE])
    def test_a_stray_fault_on_a_healthy_route_gets_a_second_attempt_there(self, fault: Fault) -> None:
        world = World(failing(a=fault))
        [outcome] = world.run(Fallback(B), ask())
        assert outcome.fault is None
        assert world.models() == [A, A, B]
        assert (where(outcome), [hop.route.model for hop in outcome.made.trail]) == (B, [A])
        assert outcome.attempts == 3

    @pytest.mark.parametrize(
        ("fault", "length"),
        [(UNAVAILABLE, 20), (INTERNAL, 20), (REFUSED_CONNECTION, 3)],
        ids=["503", "500", "refused"],
    )
    def test_an_outage_of_all_routes_is_survived_as_without_a_fallback(self, fault: Fault, length: int) -> None:
        world = World(lambda _, now: Outcome(fault=fault) if now < length else OK, seconds=0.01)
        [outcome] = world.run(Fallback(B), ask())
        assert outcome.fault is None
        assert len(world.sent) <= 12

    def test_a_single_fault_does_not_move_a_call_from_the_requested_model(self) -> None:
        world = World(lambda _, now: OK if now else Outcome(fault=INTERNAL))
        [outcome] = world.run(Fallback(B), ask())
        assert world.models() == [A, A]
        assert (outcome.made.trail, outcome.attempts) == ((), 2)

    def test_a_retired_model_moves_the_call_immediately_and_closes_the_route(self) -> None:
        world = World(failing(a=GONE))
        policy = Fallback(B)
        world.run(policy, ask())
        world.run(policy, ask())
        assert world.models() == [A, B, B]

    @pytest.mark.parametrize("fault", [INVALID, NO_CREDENTIALS])
    def test_a_fault_of_the_caller_moves_nothing(self, fault: Fault) -> None:
        world = World(failing(a=fault))
        [outcome] = world.run(Fallback(B), ask())
        assert outcome.fault is fault
        assert set(world.models()) == {A}

    def test_an_exhausted_day_moves_the_call_to_another_region_only(self) -> None:
        spent = answered("ThrottlingException", "Too many tokens per day, please wait before trying again.", status=429)

        def answer(sent: Call, _: float) -> Outcome:
            return OK if sent.route.region == "us-west-2" else Outcome(fault=spent)

        world = World(answer)
        [outcome] = world.run(Fallback(B, Target(A, region_name="us-west-2")), ask())
        assert [(sent.route.model, sent.route.region) for _, sent in world.sent][-1] == (A, "us-west-2")
        assert B not in world.models()
        assert outcome.fault is None

    def test_the_routes_are_called_in_order(self) -> None:
        world = World(failing(a=UNAVAILABLE, b=INVALID))
        [outcome] = world.run(Fallback(B, C), ask())
        assert world.models() == [A, B, C]
        assert [hop.route.model for hop in outcome.made.trail] == [A, B]

    def test_a_fallback_that_cannot_work_is_no_worse_than_none(self) -> None:
        world = World(
            lambda sent, now: (
                OK
                if sent.route.model == A and now > 1
                else Outcome(fault={A: UNAVAILABLE}.get(sent.route.model, INVALID))
            )
        )
        [outcome] = world.run(Fallback(B), ask())
        assert outcome.fault is None
        assert world.models() == [A, B, A]

    def test_time_reserved_for_the_next_route_is_released_if_no_other_route_answers(self) -> None:
        world = World(failing(b=INVALID))
        quota = Quota(rpm=1)
        step = Pipeline(Fallback(B, reserve=0.5), Retry(), quota).around(send, world.driver.clock)
        tasks = [world.driver.spawn(step(ask(deadline=deadline))) for deadline in (1e9, 80.0)]
        world.driver.run()
        assert [task.result.fault for task in tasks] == [None, None]
        assert world.models() == [A, B, A]

    def test_a_request_error_that_on_moves_closes_no_route(self) -> None:
        world = World(lambda sent, _: Outcome(fault=INVALID) if sent.deadline < 50 and sent.route.model == A else OK)
        policy = Fallback(B, on={"*": "model"}, reserve=0)
        world.run(policy, ask(deadline=40.0))
        world.run(policy, ask(deadline=90.0))
        assert world.models() == [A, B, A]

    def test_the_failure_is_that_of_the_requested_model_and_names_the_others(self) -> None:
        world = World(failing(a=UNAVAILABLE, b=INTERNAL))
        [outcome] = world.run(Fallback(B), ask())
        assert outcome.fault is UNAVAILABLE
        assert {hop.route.model for hop in outcome.made.trail} == {A, B}
        assert B in outcome.gave_up

    def test_the_option_on_overrides_the_route_for_a_cause(self) -> None:
        world = World(failing(a=UNAVAILABLE))
        world.run(Fallback(B, Target(A, region_name="us-west-2"), on={"service-*": "region"}), ask())
        assert B not in world.models()
        world = World(failing(a=UNAVAILABLE))
        [outcome] = world.run(Fallback(B, on={"service-capacity": "nowhere"}), ask())
        assert (outcome.fault, set(world.models())) == (UNAVAILABLE, {A})

    @pytest.mark.parametrize("fault", [THROTTLE, UNAVAILABLE, INTERNAL])
    def test_a_fault_that_on_does_not_move_is_retried_on_its_route(self, fault: Fault) -> None:
        world = World(lambda _, now: Outcome(fault=fault) if now < 4 else OK)
        [outcome] = world.run(Fallback(B, on={"*": "nowhere"}), ask(deadline=60.0))
        assert outcome.fault is None
        assert set(world.models()) == {A}

    def test_a_filtered_answer_moves_to_another_model_if_the_option_on_says_so(self) -> None:
        world = World(lambda sent, _: FILTERED if sent.route.model == A else OK)
        [as_it_is] = world.run(Fallback(B), ask())
        assert as_it_is == FILTERED
        [moved] = world.run(Fallback(B, on={"filtered": "model"}), ask())
        assert where(moved) == B
        assert [moved.usage, moved.made.trail[0].usage] == [Usage(10, 20)] * 2  # both were paid

    def test_an_answer_that_all_models_filter_is_returned(self) -> None:
        world = World(lambda *_: FILTERED)
        [outcome] = world.run(Fallback(B, on={"filtered": "model"}), ask())
        assert outcome.fault is None
        assert outcome.value["stopReason"] == "guardrail_intervened"


class TestLimits:
    def test_all_routes_together_send_at_most_the_allowed_attempts(self) -> None:
        for most in (1, 2, 3, 4, 6, 9):
            world = World(failing(a=UNAVAILABLE, b=INTERNAL, c=UNAVAILABLE))
            world.run(Fallback(B, C, attempts=most), ask())
            assert len(world.sent) <= most

    def test_a_route_leaves_a_part_of_the_time_for_the_next(self) -> None:
        world = World(failing(a=READ_TIMEOUT))
        world.run(Fallback(B, reserve=0.25), ask(deadline=100.0))
        (_, first), *_, (_, last) = world.sent
        assert (first.deadline, last.deadline) == (75.0, 100.0)

    def test_a_stream_keeps_its_own_deadline_and_shortens_the_wait_for_content(self) -> None:
        world = World(failing())
        stream = ask(deadline=100.0)._replace(operation="converse_stream")
        world.run(Fallback(B), stream)
        [(_, sent)] = world.sent
        assert (sent.deadline, sent.timeout.first_content) == (100.0, 75.0)

    def test_throttles_on_the_last_route_wait_for_quota_as_without_a_fallback(self) -> None:
        world = World(lambda _, now: Outcome(fault=THROTTLE) if now < 30 else OK)
        [outcome] = world.run(Fallback(B, attempts=4), ask())
        assert outcome.fault is None

    def test_if_all_routes_are_throttled_the_call_waits_on_the_requested_route(self) -> None:
        world = World(lambda sent, now: Outcome(fault=THROTTLE) if sent.route.model == B or now < 3 else OK)
        [outcome] = world.run(Fallback(B), ask(deadline=60.0))
        assert outcome.fault is None
        assert world.models() == [A, A, B, A]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"reserve": 1.0}, "reserve"),
            ({"reserve": -0.1}, "reserve"),
            ({"attempts": 0}, "attempts"),
            ({"on": {"filtered": "planet"}}, "planet"),
            ({"on": {"filtered": ("any", "model")}}, "any"),
            ({"within": ""}, "within"),
        ],
    )
    def test_invalid_options_are_refused(self, options: Any, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            Fallback(B, **options)

    def test_invalid_targets_are_refused(self) -> None:
        for wrong in (
            Fallback,
            lambda: Fallback(""),
            lambda: Fallback(7),  # type: ignore[arg-type]
            lambda: Target(B, region_name="moon"),
        ):
            with pytest.raises(ValueError, match=r"pass"):
                wrong()


class TestTargets:
    def test_a_target_equal_to_the_requested_route_gets_no_additional_calls(self) -> None:
        world = World(failing(a=UNAVAILABLE))
        policy = Fallback(A, B)
        outcomes = [world.run(policy, ask())[0] for _ in range(40)]
        assert all(outcome.fault is None for outcome in outcomes)
        assert world.models().count(A) == 8

    @pytest.mark.parametrize("fault", [UNAVAILABLE, TIER_REFUSED])
    @pytest.mark.parametrize(("operation", "sent"), [("converse", {"type": "default"}), ("invoke_model", "default")])
    def test_another_tier_of_the_same_model_is_another_route(self, fault: Fault, operation: str, sent: Any) -> None:
        flex = {"serviceTier": {"type": "flex"} if operation == "converse" else "flex"}
        world = World(lambda sent, _: Outcome(fault=fault) if "flex" in str(sent.params) else OK)
        [outcome] = world.run(Fallback(Target(A, tier="default")), ask()._replace(operation=operation, params=flex))
        assert outcome.fault is None
        assert world.sent[-1][1].params["serviceTier"] == sent

    @pytest.mark.parametrize("fault", [NO_CREDENTIALS, BAD_CERTIFICATE, NOT_ALLOWED])
    def test_a_target_that_refuses_every_call_becomes_unhealthy(self, fault: Fault) -> None:
        world = World(failing(a=UNAVAILABLE, b=fault))
        policy = Fallback(B, C)
        for _ in range(40):
            [outcome] = world.run(policy, ask())
            assert outcome.fault is None
        assert world.models().count(B) < 12

    def test_a_look_up_that_ran_out_of_time_is_not_remembered_for_the_next_call(self) -> None:
        profile = "us.amazon.nova-lite-v1:0"
        route = Route(profile, "us-east-1", "111122223333", "amazon.nova-lite-v1:0", "geographic")
        policy = Fallback("us.amazon.nova-pro-v1:0", within="us-*")
        policy.places._regions = lambda *_: ("us-east-1", "us-west-2")  # type: ignore[method-assign]
        asked = Call("converse", {"modelId": profile, **TEXT}, route, place=Here())
        world = World(failing())
        journey = Pipeline(policy).around(send, world.driver.clock)
        late = world.driver.spawn(journey(asked.until(0.0)))
        world.driver.run()
        early = world.driver.spawn(journey(asked.until(60.0)))
        world.driver.run()
        assert (late.result.fault.code, early.result.fault) == ("DeadlineTooClose", None)

    @pytest.mark.parametrize("kind", ["application-inference-profile", "prompt", "prompt-router"])
    def test_an_arn_with_unknown_regions_is_refused_if_within_is_set(self, kind: str) -> None:
        arn = f"arn:aws:bedrock:eu-west-1:111122223333:{kind}/abc"
        world = World(failing())
        policy = Fallback("amazon.nova-lite-v1:0", within="eu-*")
        policy.places._regions = lambda route, place: LISTED.get(route.model, ())  # type: ignore[method-assign]
        route = Route(arn, "eu-west-1", "111122223333", "unknown-model")
        world.run(policy, call(route=route, place=Here("eu-west-1")))
        assert world.models() == ["amazon.nova-lite-v1:0"]

    def test_unknown_regions_of_a_target_are_looked_up_at_most_once_a_minute(self) -> None:
        looked: list[float] = []

        class Lost(Here):
            def elsewhere(self, **_: Any) -> Here:
                looked.append(world.driver.now)
                raise LookupError("no such profile")

        world = World(failing(a=INTERNAL))
        policy = Fallback(Target(B, region_name="us-west-2"))
        home = Lost()
        while world.driver.now < 100:
            world.run(policy, ask(place=home))
        assert len(looked) == 2


class TestPins:
    def test_a_pinned_conversation_stays_on_the_route_that_answered(self) -> None:
        world = World(lambda sent, now: Outcome(fault=UNAVAILABLE) if sent.route.model == A and now < 5 else OK)
        policy = Fallback(B)
        for _ in range(4):
            world.run(policy, ask(pin="chat-1"))
        assert world.models() == [A, B, B, B, B]
        world.driver.now = 60.0
        world.run(policy, ask(pin="chat-2"), ask(pin="chat-2"), ask(pin="chat-2"))
        assert A in world.models()[5:]

    def test_a_pinned_conversation_moves_if_its_route_becomes_unhealthy(self) -> None:
        ill: set[str] = set()
        world = World(lambda sent, _: Outcome(fault=UNAVAILABLE) if sent.route.model in ill else OK)
        policy = Fallback(B)
        world.run(policy, ask(pin="chat"))
        ill.add(A)
        world.run(policy, *(ask() for _ in range(4)))
        world.sent.clear()
        world.run(policy, ask(pin="chat"))
        ill.clear()
        world.run(policy, ask(pin="chat"))
        assert world.models() == [B, B]


class TestHealth:
    def test_an_outage_of_a_minute_costs_no_call_and_few_requests(self) -> None:
        def answer(sent: Call, now: float) -> Outcome:
            return Outcome(fault=UNAVAILABLE) if sent.route.model == A and 60 <= now < 120 else OK

        world = World(answer, seconds=0.5)
        policy = Fallback(B)
        pipeline = Pipeline(Deadline(), policy, Retry(chance=lambda: 0.5), Breaker(), Quota())
        step = pipeline.around(send, world.driver.clock)
        tasks = [world.driver.spawn(step(ask(arrived=number / 20)), after=number / 20) for number in range(20 * 180)]
        world.driver.run()
        assert all(task.result.fault is None for task in tasks)
        failed = [when for when, sent in world.sent if sent.route.model == A and 60 <= when < 120]
        in_flight = 10  # half a second at 20 a second
        begun = [when for when in failed if when < 62]
        probes = [when for when in failed if when >= 62]
        assert len(begun) <= in_flight + 3
        assert len(failed) <= in_flight + 3 + 8
        assert len(probes) <= 8
        assert all(later - sooner <= 10 for sooner, later in zip(probes, [*probes[1:], 120.0], strict=True))
        back = min(when for when, sent in world.sent if sent.route.model == A and when >= 120)
        assert back <= 130
        assert sum(sent.route.model == A for when, sent in world.sent if when >= 135) > 0.95 * 20 * 45
        assert [type(each).__name__ for each in world.events if isinstance(each, RouteHealthChanged)] == [
            "RouteHealthChanged"
        ] * 2

    def test_a_region_with_a_fifth_of_late_answers_keeps_most_calls(self) -> None:
        number = 0

        def answer(sent: Call, _: float) -> Outcome:
            nonlocal number
            number += sent.route.model == A
            late = unanswered(None, code="FirstContentTimeout", message="late")
            return Outcome(fault=late) if sent.route.model == A and number % 5 == 0 else OK

        world = World(answer)
        policy = Fallback(B)
        for _ in range(400):
            world.run(policy, ask())
        part = sum(model == A for model in world.models()) / len(world.sent)
        assert 0.5 < part < 0.95

    def test_if_all_routes_are_unhealthy_the_healthiest_is_called(self) -> None:
        world = World(failing(a=UNAVAILABLE, b=INTERNAL))
        policy = Fallback(B)
        for _ in range(4):
            world.run(policy, ask())
        world.sent.clear()
        world.answer = failing()
        [outcome] = world.run(policy, ask())
        assert outcome.fault is None

    def test_each_move_emits_an_event_with_the_number_of_requests(self) -> None:
        world = World(failing(a=UNAVAILABLE))
        world.run(Fallback(B), ask())
        [moved] = [each for each in world.events if isinstance(each, FellBack)]
        assert (moved.route.model, moved.to.model, moved.attempts, moved.total) == (A, B, 1, 1)


def test_throttles_that_the_quota_paces_do_not_count_as_attempts() -> None:
    outcomes = iter([THROTTLE] * 15 + [INTERNAL])

    def answer(*_: Any) -> Outcome:
        fault = next(outcomes, None)
        return OK if fault is None else Outcome(fault=fault)

    world = World(answer)
    [outcome] = world.run(Fallback(B), ask())
    assert outcome.fault is None
    assert len(world.sent) == 17


FAULTS = [UNAVAILABLE, INTERNAL, THROTTLE, READ_TIMEOUT, INVALID, GONE, NO_CREDENTIALS]


@given(st.lists(st.sampled_from([None, *FAULTS]), min_size=1, max_size=40), st.integers(1, 8), st.integers(1, 3))
def test_the_number_of_requests_never_exceeds_the_attempts_and_is_reported(
    script: list[Fault | None], most: int, others: int
) -> None:
    outcomes = iter(script)

    def answer(*_: Any) -> Outcome:
        fault = next(outcomes, None)
        return OK if fault is None else Outcome(fault=fault)

    world = World(answer)
    [outcome] = world.run(Fallback(*[B, C, "cohere.d-v1:0"][:others], attempts=most), ask())
    unpaced = [fault for fault in script[: len(world.sent)] if fault is not THROTTLE]
    assert len(unpaced) <= most + 1
    assert outcome.attempts == len(world.sent)
    if outcome.fault is not None and outcome.fault.decision is not Decision.FAIL:
        assert outcome.fault.kind is not Kind.REFUSED or not world.sent


IMAGE = {"messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": b"x"}}}]}]}
TEXT = {"messages": [{"role": "user", "content": [{"text": "Why?"}]}]}
STORED = {**TEXT, "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}}
MODELS = [A, B, "amazon.nova-micro-v1:0", "eu.amazon.nova-lite-v1:0", "global.amazon.nova-lite-v1:0"]
REGIONS = ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1"]
LISTED = {
    "eu.amazon.nova-lite-v1:0": ("eu-west-1", "eu-central-1"),
    "global.amazon.nova-lite-v1:0": (EVERYWHERE,),
    "us.amazon.nova-lite-v1:0": ("us-east-1", "us-west-2"),
}


@given(
    st.lists(
        st.builds(Target, st.sampled_from(MODELS), region_name=st.sampled_from([None, *REGIONS])),
        min_size=1,
        max_size=5,
        unique=True,
    ),
    st.sampled_from(["eu-*", "us-*", "eu-west-1", "*"]),
    st.sampled_from([*MODELS, "us.amazon.nova-lite-v1:0"]),
    st.sampled_from(REGIONS),
    st.sampled_from([IMAGE, TEXT, STORED]),
    st.lists(st.sampled_from([None, *FAULTS]), max_size=30),
)
def test_no_fault_moves_a_call_to_a_forbidden_route(  # noqa: PLR0917 - one for each strategy
    targets: list[Target], within: str, model: str, region: str, params: Any, script: list[Fault | None]
) -> None:
    outcomes = iter(script)

    def answer(*_: Any) -> Outcome:
        fault = next(outcomes, None)
        return OK if fault is None else Outcome(fault=fault)

    policy = Fallback(*targets, within=within)
    policy.places._regions = lambda route, place: LISTED.get(route.model, ())  # type: ignore[method-assign]
    world = World(answer)
    split = target(model)
    asked = Route(model, region, "111122223333", split.base, split.pool, endpoint=hashed(Here.url), principal="me")
    for _ in range(3):
        world.run(policy, Call("converse", {"modelId": model, **params}, asked, place=Here(region), pin="one"))
    for _, sent in world.sent:
        regions = LISTED.get(
            sent.route.model, () if sent.route.pool in ("geographic", "global") else (sent.route.region,)
        )
        assert stays(regions, (within,))
        if params is IMAGE and sent.route.base != asked.base:
            assert sent.route.base != "amazon.nova-micro-v1:0"
        if params is STORED:
            assert sent.route.region == region
        assert sent.place is not None
        assert sent.place.region == sent.route.region
