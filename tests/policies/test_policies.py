"""Each policy alone: its flow is driven by hand, and the effects it yields are what is asserted."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import (
    INTERNAL,
    INVALID,
    NOT_READY,
    OK,
    READ_TIMEOUT,
    REFUSED_CONNECTION,
    THROTTLE,
    UNAVAILABLE,
    World,
    call,
    drive_by_hand,
    failed,
    scripted,
)

from aws_bedrock_inference.call import Outcome, Route, Usage
from aws_bedrock_inference.events import CircuitChanged, QuotaQueued, RetryScheduled, Throttled
from aws_bedrock_inference.fault import Fault, Kind
from aws_bedrock_inference.flow import Emit, Pipeline, Send, Sleep, Wait, send
from aws_bedrock_inference.policies import Breaker, Deadline, Quota, Retry, standard
from aws_bedrock_inference.rules.retry import Budget

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock


def events(effects: Any) -> Any:
    return [effect.event for effect in effects if isinstance(effect, Emit)]


class TestDeadline:
    def test_gives_a_deadline_to_a_call_that_has_none(self, world: World) -> None:
        [effect], _ = drive_by_hand(Deadline(30.0).around(send, world.clock)(call(arrived=5.0)))
        assert effect.call.deadline == 35.0

    def test_leaves_an_earlier_deadline_alone(self, world: World) -> None:
        [effect], _ = drive_by_hand(Deadline(30.0).around(send, world.clock)(call(deadline=7.0)))
        assert effect.call.deadline == 7.0

    def test_sends_nothing_after_the_deadline(self, world: World) -> None:
        world.now = 8.0
        effects, outcome = drive_by_hand(Deadline(30.0).around(send, world.clock)(call(deadline=7.0)))
        assert effects == []
        assert outcome.fault.code == "DeadlineTooClose"

    @pytest.mark.parametrize("seconds", [0, -1, float("nan")])
    def test_refuses_a_deadline_that_is_none(self, seconds: float) -> None:
        with pytest.raises(ValueError, match="seconds above 0"):
            Deadline(seconds)


class TestRetry:
    def flow(self, world: World, outcomes: Any, **options: Any) -> Any:
        policy = Retry(chance=world.chance, **options)
        return policy.around(scripted(outcomes), world.clock)(call())

    def test_a_success_needs_no_effect_at_all(self, world: World) -> None:
        assert drive_by_hand(self.flow(world, [OK])) == ([], OK)

    def test_tells_then_sleeps_then_tries_again(self, world: World) -> None:
        effects, outcome = drive_by_hand(self.flow(world, [failed(INTERNAL), failed(UNAVAILABLE), OK]), [None] * 4)
        assert [type(effect) for effect in effects] == [Emit, Sleep, Emit, Sleep]
        assert [effect.seconds for effect in effects if isinstance(effect, Sleep)] == [0.025, 0.5]
        assert events(effects) == [
            RetryScheduled(call().route, INTERNAL, 1, 0.025),
            RetryScheduled(call().route, UNAVAILABLE, 2, 0.5),
        ]
        assert outcome.value == OK.value
        assert [(attempt.fault, attempt.wait) for attempt in outcome.earlier] == [(INTERNAL, 0.025), (UNAVAILABLE, 0.5)]
        assert outcome.attempts == 3

    def test_says_why_it_gave_up(self, world: World) -> None:
        _, outcome = drive_by_hand(self.flow(world, [failed(INVALID)]))
        assert outcome.gave_up == "the same request would fail again"

    def test_a_paced_fault_is_tried_again_without_a_wait(self, world: World) -> None:
        effects, outcome = drive_by_hand(self.flow(world, [failed(THROTTLE, paced=True), OK]), [None])
        assert [type(effect) for effect in effects] == [Emit]
        assert outcome.attempts == 2

    def test_the_budget_is_shared_and_refilled_by_success(self, world: World) -> None:
        budget = Budget(28)
        drive_by_hand(self.flow(world, [failed(INTERNAL)] * 5, budget=budget), [None] * 6)
        assert budget.available == 0
        _, outcome = drive_by_hand(self.flow(world, [failed(INTERNAL)], budget=budget))
        assert outcome.gave_up == "the shared retry budget is spent"
        drive_by_hand(self.flow(world, [OK], budget=budget))
        assert budget.available == 1
        budget.give(13)
        drive_by_hand(self.flow(world, [failed(INTERNAL), OK], budget=budget), [None] * 2)
        assert budget.available == 14

    @pytest.mark.parametrize("options", [{"attempts": 0}, {"jitter": "some"}])
    def test_refuses_options_that_mean_nothing(self, options: Any) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            Retry(**options)


class TestBreaker:
    def run(self, policy: Any, world: World, *outcomes: Any, route: Any = None) -> Any:
        results = []
        for outcome in outcomes:
            flow = policy.around(scripted([outcome]), world.clock)(call(**({"route": route} if route else {})))
            results.append(drive_by_hand(flow, [None] * 3))
        return results

    def test_opens_after_failures_of_the_service_and_refuses(self, world: World) -> None:
        policy = Breaker(failures=3)
        results = self.run(policy, world, *[failed(UNAVAILABLE)] * 4)
        assert events(results[2][0]) == [CircuitChanged(call().route, "open")]
        refusal = results[3][1].fault
        assert (refusal.code, refusal.kind, refusal.retry_after) == ("CircuitOpen", Kind.REFUSED, 5.0)

    @pytest.mark.parametrize("fault", [INVALID, THROTTLE, NOT_READY])
    def test_bad_input_throttles_and_cold_models_never_open_it(self, world: World, fault: Any) -> None:
        results = self.run(Breaker(failures=2), world, *[failed(fault)] * 20)
        assert all(outcome.fault == fault for _, outcome in results)

    def test_another_model_or_region_is_another_circuit(self, world: World) -> None:
        policy = Breaker(failures=1)
        self.run(policy, world, failed(UNAVAILABLE))
        assert self.run(policy, world, OK, route=Route("m", "eu-west-1"))[0][1] == OK
        assert self.run(policy, world, OK)[0][1].fault.code == "CircuitOpen"

    def test_probes_close_it_though_one_of_them_fails(self, world: World) -> None:
        policy = Breaker(failures=1, recovery=10.0)
        self.run(policy, world, failed(UNAVAILABLE))
        world.now = 10.0
        results = self.run(policy, world, failed(UNAVAILABLE), OK, OK)
        told = [event.state for effects, _ in results for event in events(effects)]
        assert told == ["half-open", "half-open", "half-open", "closed"]
        assert self.run(policy, world, OK) == [([], OK)]

    def test_an_interrupted_probe_frees_its_place(self, world: World) -> None:
        policy = Breaker(failures=1, recovery=10.0)
        self.run(policy, world, failed(UNAVAILABLE))
        world.now = 10.0
        flow = policy.around(send, world.clock)(call())
        next(flow)
        assert isinstance(flow.send(None), Send)
        with pytest.raises(KeyboardInterrupt):
            flow.throw(KeyboardInterrupt())
        assert self.run(policy, world, OK)[0][1] == OK

    def test_a_late_answer_to_an_older_generation_does_not_close_it(self, world: World) -> None:
        policy = Breaker(failures=1)
        late = policy.around(send, world.clock)(call())
        next(late)
        self.run(policy, world, failed(UNAVAILABLE))
        with pytest.raises(StopIteration):
            late.send(OK)
        assert self.run(policy, world, OK)[0][1].fault.code == "CircuitOpen"

    @pytest.mark.parametrize("options", [{"failures": 0}, {"ratio": 0}, {"window": 0}, {"recovery": -1}, {"probes": 0}])
    def test_refuses_options_that_mean_nothing(self, options: Any) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            Breaker(**options)


class TestQuota:
    def start(self, policy: Any, world: World, **fields: Any) -> Any:
        flow = policy.around(send, world.clock)(call(**fields))
        return flow, next(flow)

    def end(self, flow: Any, outcome: Any, replies: Any = ()) -> Any:
        try:
            flow.send(outcome)
            for reply in replies:
                flow.send(reply)
        except StopIteration as stop:
            return stop.value
        return None

    def tokens(self, policy: Any, world: World) -> Any:
        """What could go now: probed with a call that is cancelled again."""
        book = policy.ledger(call().route, world.now)
        return book._tokens.level, book._requests.level

    def test_settles_with_real_usage_times_burndown(self, world: World) -> None:
        policy = Quota(rpm=600, tpm=60_000)
        flow, _ = self.start(policy, world, tokens=1000, output=3000, burndown=5.0)
        assert self.tokens(policy, world) == (1000, 49)
        assert (
            self.end(flow, Outcome(usage=Usage(900, 200, cache_read_tokens=5000, cache_write_tokens=100))) is not None
        )
        assert self.tokens(policy, world) == (5000 - 900 - 100 - 200 * 5, 49)

    @pytest.mark.parametrize(
        ("fault", "left"),
        [
            (UNAVAILABLE, (5000, 49)),
            (INVALID, (5000, 49)),
            (READ_TIMEOUT, (3000, 49)),
            (REFUSED_CONNECTION, (5000, 50)),
            (THROTTLE, (0, 49)),
        ],
        ids=lambda value: getattr(value, "code", ""),
    )
    def test_gives_back_what_a_failure_did_not_use(self, world: World, fault: Any, left: Any) -> None:
        policy = Quota(rpm=600, tpm=60_000)
        flow, _ = self.start(policy, world, tokens=1000, output=1000)
        self.end(flow, failed(fault), [None])
        assert self.tokens(policy, world) == left

    def test_a_broken_stream_is_charged_by_what_it_had_shown(self, world: World) -> None:
        policy = Quota(rpm=600, tpm=60_000)
        flow, _ = self.start(policy, world, tokens=1000, output=3000)
        self.end(flow, Outcome(fault=UNAVAILABLE, usage=Usage(1000, 50), emitted=3))
        assert self.tokens(policy, world) == (5000 - 1050, 49)

    def test_an_interrupted_call_is_charged_in_full_since_the_service_may_go_on(self, world: World) -> None:
        policy = Quota(rpm=600, tpm=60_000)
        flow, _ = self.start(policy, world, tokens=1000, output=1000)
        with pytest.raises(KeyboardInterrupt):
            flow.throw(KeyboardInterrupt())
        assert self.tokens(policy, world) == (3000, 49)

    def test_waits_its_turn_and_is_woken(self, world: World) -> None:
        policy = Quota(rpm=60, burst=1.0)
        self.start(policy, world)
        flow, effect = self.start(policy, world, arrived=1.0)
        assert effect.event == QuotaQueued(call().route, 200, 0)
        effect = flow.send(None)
        assert isinstance(effect, Wait)
        assert effect.until == pytest.approx(1.0)
        world.now = 1.0
        assert isinstance(flow.send(None), Send)

    def test_a_call_cancelled_in_the_queue_leaves_it(self, world: World) -> None:
        policy = Quota(rpm=60, burst=1.0)
        self.start(policy, world)
        impatient, _ = self.start(policy, world)
        assert isinstance(impatient.send(None), Wait)
        patient, _ = self.start(policy, world)
        assert patient.send(None).until == inf
        with pytest.raises(KeyboardInterrupt):
            impatient.throw(KeyboardInterrupt())
        assert patient.send(None).until == pytest.approx(1.0)

    def test_a_deadline_that_cannot_be_met_is_refused_at_once(self, world: World) -> None:
        policy = Quota(rpm=60, burst=1.0)
        self.start(policy, world)
        effects, outcome = drive_by_hand(policy.around(send, world.clock)(call(deadline=0.9)))
        assert effects == []
        assert outcome.fault.code == "DeadlineTooClose"

    def test_a_deadline_that_passes_in_the_queue_ends_the_wait(self, world: World) -> None:
        policy = Quota(tpm=6000, burst=60.0)
        under_way = self.start(policy, world, tokens=6000, output=0)
        flow, _ = self.start(policy, world, tokens=100, output=0, deadline=0.5)
        assert flow.send(None).until == 0.5
        world.now = 0.5
        assert self.end(flow, None).fault.code == "DeadlineTooClose"
        assert under_way

    def test_a_call_larger_than_a_minute_is_refused_with_what_to_do(self, world: World) -> None:
        effects, outcome = drive_by_hand(Quota(tpm=1000).around(send, world.clock)(call(tokens=200, output=64_000)))
        assert effects == []
        assert outcome.fault.code == "QuotaExhausted"
        assert "64,200" in outcome.fault.message
        assert "max_tokens" in outcome.fault.advice

    def test_a_throttle_is_told_and_marked_as_paced_when_the_quota_is_known(self, world: World) -> None:
        for policy, paced in ((Quota(tpm=60_000), True), (Quota(rpm=60), False), (Quota(), False)):
            flow, _ = self.start(policy, world)
            assert flow.send(failed(THROTTLE)).event == Throttled(call().route, "tokens", 200)
            assert self.end(flow, None).fault.paced is paced

    def test_one_object_is_one_quota_for_all_who_share_it(self, world: World) -> None:
        policy = Quota(rpm=60, burst=1.0)
        assert isinstance(self.start(policy, world)[1], Send)
        assert isinstance(self.start(policy, world)[1], Emit)
        assert isinstance(self.start(Quota(rpm=60, burst=1.0), world)[1], Send)

    def test_pools_of_one_model_are_two_quotas(self, world: World) -> None:
        policy = Quota(rpm=60, burst=1.0)
        assert isinstance(self.start(policy, world, route=Route("us.m", "us-east-1", "", "m", "geographic"))[1], Send)
        assert isinstance(self.start(policy, world, route=Route("global.m", "us-east-1", "", "m", "global"))[1], Send)
        assert isinstance(self.start(policy, world, route=Route("us.m", "us-east-1", "", "m", "geographic"))[1], Emit)

    @pytest.mark.parametrize("options", [{"rpm": 0}, {"tpm": -1}, {"burst": inf}])
    def test_refuses_options_that_mean_nothing(self, options: Any) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            Quota(**options)


def test_a_pipeline_nests_as_it_reads(world: World) -> None:
    order = []

    class Mark:
        def __init__(self, name: str) -> None:
            self.name = name

        def around(self, step: Any, clock: Clock) -> Any:
            def flow(call: Any) -> Any:
                order.append(self.name)
                return (yield from step(call))

            return flow

    drive_by_hand(Pipeline(Mark("outer"), Mark("inner")).around(send, world.clock)(call()))
    assert order == ["outer", "inner"]


def test_the_standard_pipeline_reads_as_documented() -> None:
    assert repr(standard(Quota(rpm=5))) == (
        "Pipeline(Deadline(900), Retry(attempts=15, jitter='full'), Breaker(failures=5, window=10, recovery=5), "
        "Quota(rpm=5, tpm=None))"
    )


def test_a_refusal_by_the_circuit_is_waited_for_and_then_tried_again(world: World) -> None:
    policy = Pipeline(Retry(chance=world.chance), Breaker(failures=1, recovery=10.0))
    fault = Fault("ServiceUnavailableException", "", unhealthy=True, hint=replace(UNAVAILABLE.hint, base=0.1))
    fault = replace(fault, decision=UNAVAILABLE.decision)
    flow = policy.around(scripted([failed(fault), OK]), world.clock)(call())
    effects = [next(flow)]
    try:
        while True:
            if isinstance(effects[-1], Sleep):
                world.sleep(effects[-1].seconds)
            effects.append(flow.send(None))
    except StopIteration as end:
        outcome = end.value
    assert world.sleeps == pytest.approx([0.05, 9.95])
    assert [attempt.fault.code for attempt in outcome.earlier] == ["ServiceUnavailableException", "CircuitOpen"]
    assert outcome.value == OK.value
