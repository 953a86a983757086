"""Each policy alone: the test drives its flow step by step and asserts the effects that it yields."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import (
    INTERNAL,
    INVALID,
    NOT_READY,
    OK,
    THROTTLE,
    UNAVAILABLE,
    World,
    call,
    drive_by_hand,
    failed,
    scripted,
)

from aws_bedrock_inference.call import Route
from aws_bedrock_inference.events import CircuitChanged, RetryScheduled
from aws_bedrock_inference.fault import Fault, Kind
from aws_bedrock_inference.flow import Emit, Pipeline, Send, Sleep, send
from aws_bedrock_inference.policies import Breaker, Deadline, Quota, Retry, standard
from aws_bedrock_inference.rules.retry import Budget

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock


def events(effects: Any) -> Any:
    return [effect.event for effect in effects if isinstance(effect, Emit)]


PACED = replace(THROTTLE, paced=True)


class TestDeadline:
    def test_a_call_without_a_deadline_gets_one(self, world: World) -> None:
        [effect], _ = drive_by_hand(Deadline(30.0).around(send, world.clock)(call(arrived=5.0)))
        assert effect.call.deadline == 35.0

    def test_an_earlier_deadline_is_not_changed(self, world: World) -> None:
        [effect], _ = drive_by_hand(Deadline(30.0).around(send, world.clock)(call(deadline=7.0)))
        assert effect.call.deadline == 7.0

    def test_nothing_is_sent_after_the_deadline(self, world: World) -> None:
        world.now = 8.0
        effects, outcome = drive_by_hand(Deadline(30.0).around(send, world.clock)(call(deadline=7.0)))
        assert effects == []
        assert outcome.fault.code == "DeadlineTooClose"

    @pytest.mark.parametrize("seconds", [0, -1, float("nan")])
    def test_an_invalid_deadline_is_refused(self, seconds: float) -> None:
        with pytest.raises(ValueError, match="seconds above 0"):
            Deadline(seconds)


class TestRetry:
    def flow(self, world: World, outcomes: Any, **options: Any) -> Any:
        policy = Retry(chance=world.chance, **options)
        return policy.around(scripted(outcomes), world.clock)(call())

    def test_a_success_yields_no_effect(self, world: World) -> None:
        assert drive_by_hand(self.flow(world, [OK])) == ([], OK)

    def test_a_retry_emits_an_event_sleeps_and_sends_again(self, world: World) -> None:
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

    def test_the_outcome_has_the_reason_for_giving_up(self, world: World) -> None:
        _, outcome = drive_by_hand(self.flow(world, [failed(INVALID)]))
        assert outcome.gave_up == "the same request would fail again"

    def test_a_fault_paced_by_the_quota_is_retried_without_a_wait(self, world: World) -> None:
        effects, outcome = drive_by_hand(self.flow(world, [failed(THROTTLE, paced=True), OK]), [None])
        assert [type(effect) for effect in effects] == [Emit]
        assert outcome.attempts == 2

    def test_the_retry_budget_is_shared_and_refilled_by_successes(self, world: World) -> None:
        budget = Budget(28)
        drive_by_hand(self.flow(world, [failed(INTERNAL)] * 5, budget=budget), [None] * 6)
        assert budget.available == 0
        _, outcome = drive_by_hand(self.flow(world, [failed(INTERNAL)], budget=budget))
        assert outcome.gave_up == "the shared retry budget is exhausted"
        drive_by_hand(self.flow(world, [OK], budget=budget))
        assert budget.available == 1
        budget.give(13)
        drive_by_hand(self.flow(world, [failed(INTERNAL), OK], budget=budget), [None] * 2)
        assert budget.available == 14

    @pytest.mark.parametrize(
        ("outcomes", "more"), [([INTERNAL, PACED], 0), ([PACED, INTERNAL], 0), ([PACED], 1), ([PACED, PACED], 1)]
    )
    def test_a_throttle_paced_by_the_quota_changes_nothing_in_the_retry_budget(
        self, world: World, outcomes: Any, more: int
    ) -> None:
        budget = Budget(100)
        budget.take(50)
        policy = Retry(chance=world.chance, budget=budget)
        step = policy.around(scripted([*map(failed, outcomes), OK]), world.clock)
        drive_by_hand(step(call(deadline=900.0)), [None] * 4)
        assert budget.available == 50 + more

    def test_a_call_that_is_cancelled_in_the_queue_gets_back_no_retry_that_was_sent(self, world: World) -> None:
        budget = Budget(100)
        policy = Retry(chance=world.chance, budget=budget)
        flow: Any = policy.around(scripted([failed(INTERNAL), failed(PACED), OK]), world.clock)(call(deadline=900.0))
        effects = [flow.send(None) for _ in range(3)]
        flow.close()
        assert [type(effect) for effect in effects] == [Emit, Sleep, Emit]
        assert budget.available == 86

    @pytest.mark.parametrize("options", [{"attempts": 0}, {"jitter": "some"}])
    def test_invalid_options_are_refused(self, options: Any) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            Retry(**options)


class TestBreaker:
    def run(self, policy: Any, world: World, *outcomes: Any, route: Any = None) -> Any:
        results = []
        for outcome in outcomes:
            flow = policy.around(scripted([outcome]), world.clock)(call(**({"route": route} if route else {})))
            results.append(drive_by_hand(flow, [None] * 3))
        return results

    def test_failures_of_the_service_open_the_circuit_and_calls_are_refused(self, world: World) -> None:
        policy = Breaker(failures=3)
        results = self.run(policy, world, *[failed(UNAVAILABLE)] * 4)
        assert events(results[2][0]) == [CircuitChanged(call().route, "open")]
        refusal = results[3][1].fault
        assert (refusal.code, refusal.kind, refusal.retry_after) == ("CircuitOpen", Kind.REFUSED, 5.0)

    @pytest.mark.parametrize("fault", [INVALID, THROTTLE, NOT_READY])
    def test_invalid_input_throttles_and_cold_models_never_open_the_circuit(self, world: World, fault: Any) -> None:
        results = self.run(Breaker(failures=2), world, *[failed(fault)] * 20)
        assert all(outcome.fault == fault for _, outcome in results)

    def test_each_model_and_region_has_its_own_circuit(self, world: World) -> None:
        policy = Breaker(failures=1)
        self.run(policy, world, failed(UNAVAILABLE))
        assert self.run(policy, world, OK, route=Route("m", "eu-west-1"))[0][1] == OK
        assert self.run(policy, world, OK)[0][1].fault.code == "CircuitOpen"

    def test_successful_probes_close_the_circuit_even_if_one_fails(self, world: World) -> None:
        policy = Breaker(failures=1, recovery=10.0)
        self.run(policy, world, failed(UNAVAILABLE))
        world.now = 10.0
        results = self.run(policy, world, failed(UNAVAILABLE), OK, OK)
        told = [event.state for effects, _ in results for event in events(effects)]
        assert told == ["half-open", "half-open", "half-open", "closed"]
        assert self.run(policy, world, OK) == [([], OK)]

    def test_an_interrupted_probe_releases_its_slot(self, world: World) -> None:
        policy = Breaker(failures=1, recovery=10.0)
        self.run(policy, world, failed(UNAVAILABLE))
        world.now = 10.0
        flow = policy.around(send, world.clock)(call())
        next(flow)
        assert isinstance(flow.send(None), Send)
        with pytest.raises(KeyboardInterrupt):
            flow.throw(KeyboardInterrupt())
        assert self.run(policy, world, OK)[0][1] == OK

    def test_a_late_answer_from_before_the_opening_does_not_close_the_circuit(self, world: World) -> None:
        policy = Breaker(failures=1)
        late = policy.around(send, world.clock)(call())
        next(late)
        self.run(policy, world, failed(UNAVAILABLE))
        with pytest.raises(StopIteration):
            late.send(OK)
        assert self.run(policy, world, OK)[0][1].fault.code == "CircuitOpen"

    @pytest.mark.parametrize("options", [{"failures": 0}, {"ratio": 0}, {"window": 0}, {"recovery": -1}, {"probes": 0}])
    def test_invalid_options_are_refused(self, options: Any) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            Breaker(**options)


def test_the_policies_of_a_pipeline_nest_in_their_written_order(world: World) -> None:
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
        "Pipeline(Deadline(900), Complete(repeats=1), Resume('raise'), Retry(attempts=15, jitter='full'), "
        "Breaker(failures=5, window=10, recovery=5), Quota(rpm=5, tpm=None))"
    )


def test_a_refusal_by_the_circuit_is_waited_for_and_then_tried_again(world: World) -> None:
    policy = Pipeline(Retry(chance=world.chance), Breaker(failures=1, recovery=10.0))
    fault = Fault(
        code="ServiceUnavailableException", message="", unhealthy=True, hint=replace(UNAVAILABLE.hint, base=0.1)
    )
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
