"""The quota policy: waits, charges for each way a call can end, and refusals before sending."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
from support.doubles import (
    INVALID,
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

from aws_bedrock_inference.call import PRIORITIES, Outcome, Route, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.events import QuotaQueued, ThrottleReceived
from aws_bedrock_inference.fault import Category
from aws_bedrock_inference.flow import Emit, Pipeline, Send, Sleep, Wait, send
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.policies import Deadline, Quota, Retry
from aws_bedrock_inference.rules.quota.queue import LOOK
from aws_bedrock_inference.service_quotas.table import Found, Limits

DAY_SPENT = answered("ThrottlingException", "Too many tokens per day, please wait before trying again.", status=429)
TOO_MANY = answered("ThrottlingException", "Too many requests, please wait before trying again.", status=429)
UNNAMED = answered("ThrottlingException", "Slow down", status=429)
ONE_AT_ONCE = 12  # requests a minute: five seconds' worth is one call


def start(policy: Any, world: World, **fields: Any) -> Any:
    flow = policy.around(send, world.clock)(call(**fields))
    return flow, next(flow)


def with_listed(policy: Quota, limits: Limits) -> Quota:
    """Return the policy as if Service Quotas had listed `limits`."""
    table: Any = SimpleNamespace(region="us-east-1", limits=lambda *_: limits)
    policy._table = table
    return policy


def end(flow: Any, outcome: Any, replies: Any = ()) -> Any:
    try:
        flow.send(outcome)
        for reply in replies:
            flow.send(reply)
    except StopIteration as stop:
        return stop.value
    return None


class Charged:
    """Return what a policy of 60,000 tokens and 600 requests a minute has charged since its creation."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.policy = Quota(rpm=600, tpm=60_000)
        self.before = self.free()

    def free(self) -> Any:
        book = self.policy.ledger(call().route, self.world.now)
        return book.available(self.world.now), book.window.requests.free

    @property
    def since(self) -> Any:
        (tokens, requests), (tokens_now, requests_now) = self.before, self.free()
        return tokens - tokens_now, requests - requests_now


class TestCharges:
    def test_a_reservation_is_settled_with_usage_times_burndown(self, world: World) -> None:
        charged = Charged(world)
        flow, _ = start(charged.policy, world, tokens=1000, output=2000, burndown=5.0)
        assert charged.since == (3000, 1)
        end(flow, Outcome(usage=Usage(900, 200, cache_read_tokens=5000, cache_write_tokens=100)))
        assert charged.since == (900 + 100 + 200 * 5, 1)

    @pytest.mark.parametrize(
        ("fault", "charge"),
        [
            (UNAVAILABLE, (0, 1)),
            (INVALID, (0, 1)),
            (READ_TIMEOUT, (2000, 1)),
            (REFUSED_CONNECTION, (0, 0)),
        ],
        ids=lambda value: getattr(value, "code", ""),
    )
    def test_a_failed_call_releases_unused_tokens(self, world: World, fault: Any, charge: Any) -> None:
        charged = Charged(world)
        flow, _ = start(charged.policy, world, tokens=1000, output=1000)
        end(flow, failed(fault))
        assert charged.since == charge

    def test_a_throttle_charges_the_request_and_no_tokens(self, world: World) -> None:
        charged = Charged(world)
        flow, _ = start(charged.policy, world, tokens=1000, output=1000)
        end(flow, failed(THROTTLE), [None])
        assert charged.since == (0, 1)

    def test_a_broken_stream_is_charged_for_its_received_content(self, world: World) -> None:
        charged = Charged(world)
        flow, _ = start(charged.policy, world, tokens=1000, output=2000)
        end(flow, Outcome(fault=UNAVAILABLE, usage=Usage(1000, 50), emitted=3))
        assert charged.since == (1050, 1)

    def test_an_interrupted_call_is_charged_in_full_because_the_service_may_continue(self, world: World) -> None:
        charged = Charged(world)
        flow, _ = start(charged.policy, world, tokens=1000, output=1000)
        with pytest.raises(KeyboardInterrupt):
            flow.throw(KeyboardInterrupt())
        assert charged.since == (2000, 1)

    def test_an_unmetered_operation_reserves_nothing(self, world: World) -> None:
        charged = Charged(world)
        free = call()._replace(estimate=replace(call().estimate, metered=False))
        [effect], _ = drive_by_hand(charged.policy.around(send, world.clock)(free))
        assert isinstance(effect, Send)
        assert charged.since == (0, 0)


class TestWaits:
    def test_a_queued_call_waits_its_turn_and_is_woken(self, world: World) -> None:
        policy = Quota(rpm=ONE_AT_ONCE)
        start(policy, world)
        flow, effect = start(policy, world, arrived=1.0)
        assert effect.event == QuotaQueued(call().route, 200, 0)
        effect = flow.send(None)
        assert isinstance(effect, Wait)
        assert 3.0 <= effect.until <= 6.0
        world.now = effect.until
        assert isinstance(flow.send(None), Send)

    def test_a_call_cancelled_in_the_queue_leaves_it(self, world: World) -> None:
        policy = Quota(rpm=ONE_AT_ONCE)
        start(policy, world)
        impatient, _ = start(policy, world)
        turn = impatient.send(None).until
        patient, told = start(policy, world)
        assert told.event.ahead == 1
        assert patient.send(None).until == LOOK
        with pytest.raises(KeyboardInterrupt):
            impatient.throw(KeyboardInterrupt())
        assert patient.send(None).until == turn

    def test_a_higher_priority_passes_earlier_calls(self, world: World) -> None:
        policy = Quota(rpm=ONE_AT_ONCE)
        start(policy, world)
        batch, _ = start(policy, world, priority=PRIORITIES["batch"])
        turn = batch.send(None).until
        urgent, told = start(policy, world, arrived=1.0, priority=PRIORITIES["interactive"])
        assert told.event.ahead == 0
        assert urgent.send(None).until == turn
        world.now = turn
        assert isinstance(batch.send(None), Wait)
        assert isinstance(urgent.send(None), Send)

    def test_one_quota_object_is_shared_by_all_its_users(self, world: World) -> None:
        policy = Quota(rpm=ONE_AT_ONCE)
        assert isinstance(start(policy, world)[1], Send)
        assert isinstance(start(policy, world)[1], Emit)
        assert isinstance(start(Quota(rpm=ONE_AT_ONCE), world)[1], Send)

    def test_two_pools_of_one_model_are_two_quotas(self, world: World) -> None:
        policy = Quota(rpm=ONE_AT_ONCE)
        assert isinstance(start(policy, world, route=Route("us.m", "us-east-1", "", "m", "geographic"))[1], Send)
        assert isinstance(start(policy, world, route=Route("global.m", "us-east-1", "", "m", "global"))[1], Send)
        assert isinstance(start(policy, world, route=Route("us.m", "us-east-1", "", "m", "geographic"))[1], Emit)

    def test_the_number_of_calls_in_flight_is_bounded(self, world: World) -> None:
        policy = Quota(concurrency=1)
        first, effect = start(policy, world)
        assert isinstance(effect, Send)
        second, _ = start(policy, world)
        assert second.send(None).until == LOOK
        end(first, OK)
        assert isinstance(second.send(None), Send)


class TestRefusals:
    def refused(self, policy: Any, world: World, **fields: Any) -> Any:
        effects, outcome = drive_by_hand(policy.around(send, world.clock)(call(**fields)))
        assert effects == []
        assert not outcome.fault.reached
        return outcome.fault

    def test_a_call_that_cannot_meet_its_deadline_is_refused_immediately(self, world: World) -> None:
        policy = Quota(rpm=ONE_AT_ONCE)
        start(policy, world)
        fault = self.refused(policy, world, deadline=0.9)
        assert fault.code == "DeadlineTooClose"
        assert fault.retry_after == pytest.approx(5)  # when the quota has room for it

    def test_a_call_behind_a_long_queue_is_refused_immediately(self, world: World) -> None:
        policy = Quota(rpm=60)
        waiting = [start(policy, world) for _ in range(105)]
        assert self.refused(policy, world, deadline=90.0).code == "DeadlineTooClose"
        assert isinstance(start(policy, world, deadline=130.0)[1], Emit)
        assert isinstance(start(policy, world, deadline=90.0, priority=PRIORITIES["interactive"])[1], Emit)
        assert waiting

    def test_a_deadline_that_expires_in_the_queue_ends_the_wait(self, world: World) -> None:
        policy = Quota(tpm=6000)
        under_way = start(policy, world, tokens=6000, output=0)
        flow, _ = start(policy, world, tokens=100, output=0, deadline=0.5)
        assert flow.send(None).until == 0.5
        world.now = 0.5
        assert end(flow, None).fault.code == "DeadlineTooClose"
        assert under_way

    def test_a_call_larger_than_the_quota_per_minute_is_refused_with_a_remedy(self, world: World) -> None:
        fault = self.refused(Quota(tpm=1000), world, tokens=200, output=64_000)
        assert fault.code == "QuotaExhausted"
        assert "64,200" in fault.message
        assert "max_tokens" in fault.advice

    def test_a_call_against_a_quota_of_zero_is_refused_with_a_remedy(self, world: World) -> None:
        held = Limits(rpm=0.0, known={"rpm": Found("L-1", "requests", applied=0.0, default=100.0)})
        fault = self.refused(with_listed(Quota(), held), world)
        assert (fault.code, fault.cause, fault.category) == ("QuotaExhausted", "quota-zero", Category.PERMANENT)
        assert 'AWS has set the quota "requests" to 0' in fault.message
        assert "waiting does not help" in fault.message
        assert fault.advice

    def test_a_listed_limit_that_has_risen_admits_larger_calls(self, world: World) -> None:
        policy = with_listed(Quota(), Limits(tpm=6000.0))
        assert "6,000 per minute" in self.refused(policy, world, tokens=6500, output=0).message
        policy.ledger(call().route, 0.0).window.tokens.estimator.adopt(9000.0)
        policy.ledger(call().route, 0.0).available(0.5)
        assert isinstance(start(policy, world, tokens=6500, output=0)[1], Send | Emit)

    def test_a_configured_limit_replaces_only_the_listed_limit_of_its_dimension(self, world: World) -> None:
        policy = with_listed(Quota(rpm=100), Limits(rpm=50.0, tpm=6000.0))
        start(policy, world)
        [(_, _, taken)] = policy.pools()
        assert taken.estimates == {"requests": 100.0, "tokens": 6000.0}
        assert taken.reasons == {"requests": "as configured", "tokens": "as listed by Service Quotas"}

    @pytest.mark.parametrize(("options", "refused"), [({"rpm": 60}, True), ({"tpm": 60_000}, False)])
    def test_a_configured_limit_replaces_a_listed_quota_of_zero(
        self, world: World, options: Any, *, refused: bool
    ) -> None:
        held = Limits(tpm=0.0, known={"tpm": Found("L-1", "tokens", applied=0.0, default=100.0)})
        _, outcome = drive_by_hand(with_listed(Quota(**options), held).around(scripted([OK]), world.clock)(call()))
        assert (outcome.fault is not None) is refused

    def test_a_full_queue_refuses_calls_of_the_same_or_lower_priority(self, world: World) -> None:
        policy = Quota(rpm=ONE_AT_ONCE, waiting=2)
        waiting = [start(policy, world) for _ in range(3)]
        fault = self.refused(policy, world)
        assert (fault.code, fault.cause, fault.category) == ("QueueFull", "queue-full", Category.TRANSIENT)
        assert "2 calls already wait" in fault.message
        assert fault.retry_after == pytest.approx(15)
        assert self.refused(policy, world, priority=PRIORITIES["batch"]).code == "QueueFull"
        assert isinstance(start(policy, world, priority=PRIORITIES["interactive"])[1], Emit)
        assert waiting

    def test_a_refused_call_does_not_block_the_queue(self, world: World) -> None:
        policy = Quota(rpm=ONE_AT_ONCE, waiting=1)
        start(policy, world)
        flow, _ = start(policy, world)
        for _ in range(5):
            self.refused(policy, world)
        world.now = flow.send(None).until
        assert isinstance(flow.send(None), Send)
        assert policy.waiting(call().route) == 0

    @pytest.mark.parametrize(
        "options",
        [{"rpm": 0}, {"tpm": -1}, {"tpd": inf}, {"concurrency": 0}, {"waiting": 0}, {"shares": {"batch": 1.0}}],
        ids=lambda options: next(iter(options)),
    )
    def test_invalid_options_are_refused(self, options: Any) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            Quota(**options)

    def test_a_share_for_an_unknown_priority_is_refused(self) -> None:
        with pytest.raises(ValueError, match="priority='interactiv'"):
            Quota(shares={"interactiv": 0.5})


class TestWaiting:
    def test_the_number_of_waiting_calls_is_reported_per_route_and_in_total(self, world: World) -> None:
        policy = Quota(rpm=ONE_AT_ONCE)
        other = Route("other.model-v1:0", "us-east-1", base="other.model-v1:0")
        assert policy.waiting() == policy.waiting(call().route) == 0
        flows = [start(policy, world)[0] for _ in range(4)]
        assert (policy.waiting(), policy.waiting(call().route), policy.waiting(other)) == (3, 3, 0)
        flows[-1].close()
        assert policy.waiting() == 2


class TestThrottles:
    @pytest.mark.parametrize("options", [{"tpm": 60_000}, {"rpm": 60}, {}], ids=str)
    def test_a_throttle_is_marked_as_paced_with_any_options(self, world: World, options: Any) -> None:
        flow, _ = start(Quota(**options), world)
        flow.send(failed(THROTTLE))
        assert end(flow, None).fault.paced

    def test_the_event_of_a_throttle_has_the_state_of_the_ledger(self, world: World) -> None:
        policy = Quota(rpm=600, tpm=12_000)
        policy.ledger(call().route, world.now).watch()
        urgent, _ = start(policy, world, tokens=200, output=100, priority=PRIORITIES["interactive"])
        end(urgent, Outcome(usage=Usage(150, 50)))
        flow, _ = start(policy, world, tokens=200, output=200)
        others = [start(policy, world, tokens=200, output=200) for _ in range(3)]
        effect = flow.send(failed(UNNAMED))
        assert effect.event == ThrottleReceived(
            route=call().route,
            limit=None,
            reserved=400,
            cause="tokens",
            outstanding=effect.event.outstanding,
            used=effect.event.used,
            estimate=effect.event.estimate,
            waiting={1.0: effect.event.waiting[1.0]},
            consumers={0.0: 200},
            advice=effect.event.advice,
        )
        assert effect.event.outstanding % 400 == 0
        assert effect.event.used == 200 + effect.event.outstanding
        assert effect.event.outstanding // 400 + effect.event.waiting[1.0] == len(others)
        assert effect.event.estimate == 12_000

    @pytest.mark.parametrize(
        ("fault", "tokens", "advice"),
        [
            (
                answered("ThrottlingException", "Too many requests, please wait.", status=429),
                100,
                "fewer, larger calls",
            ),
            (DAY_SPENT, 100, "daily token quota for all models is exhausted"),
            (THROTTLE, 3000, "lower max_tokens"),
        ],
        ids=["requests", "day", "tokens"],
    )
    def test_the_event_of_a_throttle_contains_advice(self, world: World, fault: Any, tokens: int, advice: str) -> None:
        policy = Quota(rpm=600, tpm=60_000)
        under_way = start(policy, world, tokens=100, output=tokens)
        flow, _ = start(policy, world, tokens=100)
        assert advice in flow.send(failed(fault)).event.advice
        assert under_way

    def test_the_explanation_has_each_limit_and_its_reason(self, world: World) -> None:
        policy = Quota(tpm=60_000)
        assert policy.explain(world.now) == ""
        under_way = [start(policy, world, tokens=500, output=500)]
        text = policy.explain(world.now)
        assert "anthropic.claude-test-v1:0" in text
        assert "tokens: 60,000 a minute (as configured); 1,000 used in the last minute" in text
        assert "1 calls in flight, 0 waiting: the callers determine the rate" in text
        unknown = Quota()
        under_way.append(start(unknown, world))
        assert "1,200 a minute (nothing is known yet)" in unknown.explain(world.now)

    def test_the_explanation_of_a_shared_quota_distinguishes_the_limit_from_the_share(self, world: World) -> None:
        policy = Quota(tpm=60_000)
        start(policy, world, tokens=500, output=500)
        [(_, pool, _)] = policy.pools()
        pool.ledger.lease(0.25, {}, world.now)
        assert (
            "tokens: 60,000 a minute (as configured); this process can use 15,000 of them (25.0%);"
            in policy.explain(world.now)
        )

    def test_the_explanation_of_a_member_without_a_share_says_so(self, world: World) -> None:
        policy = Quota(tpm=60_000)
        start(policy, world, tokens=500, output=500)
        [(_, pool, _)] = policy.pools()
        pool.ledger.lease(0.0, {}, world.now)
        assert "  this process has no share of the shared quota now" in policy.explain(world.now).splitlines()

    def test_the_explanation_names_the_configured_limit_if_the_estimate_is_lower(self, world: World) -> None:
        policy = Quota(tpm=60_000)
        start(policy, world, tokens=500, output=500)
        [(_, pool, _)] = policy.pools()
        pool.ledger.lease(1.0, {"tokens": 40_000.0}, world.now)
        text = policy.explain(world.now)
        assert "tokens: 40,000 a minute (another member of the shared quota found it; 60,000 is configured);" in text

    def test_an_exhausted_day_gets_few_attempts(self) -> None:
        """Of calls that would all be refused until midnight, one goes every quarter of an hour."""
        sent: list[float] = []

        def service(one: Any, now: float) -> Any:
            sent.append(now)
            return 0.1, OK if now > 3600 else failed(DAY_SPENT)

        driver = VirtualDriver(service)
        step = Pipeline(Deadline(7200.0), Retry(chance=lambda: 0.5), Quota(tpm=60_000)).around(send, driver.clock)
        tasks = [driver.spawn(step(call(arrived=float(index))), after=float(index)) for index in range(20)]
        driver.run()
        early = [now for now in sent if now <= 3600]
        assert early == pytest.approx([0.0, 900.1, 1800.2, 2700.3], abs=5)
        assert sum(task.result.fault is None for task in tasks) == 20 - len(early)

    def test_the_stated_wait_of_an_exhausted_day_includes_all_waiting_calls(self, world: World) -> None:
        """The throttled call has left the queue, so each waiting call is before it."""
        policy = Quota(rpm=1)
        flow, _ = start(policy, world)
        waiting = [start(policy, world, arrived=1.0) for _ in range(20)]
        assert all(isinstance(effect.event, QuotaQueued) for _, effect in waiting)
        outcome = end(flow, failed(DAY_SPENT), [None])
        assert outcome.fault.stated_wait == pytest.approx(21 * 60.0, abs=1)

    def test_a_call_that_ends_before_the_next_probe_of_an_exhausted_day_is_refused(self, world: World) -> None:
        policy = Quota(tpm=60_000)
        flow, _ = start(policy, world)
        outcome = end(flow, failed(DAY_SPENT), [None])
        assert not outcome.fault.paced
        effects, outcome = drive_by_hand(policy.around(send, world.clock)(call(deadline=60.0)))
        assert effects == []
        assert (outcome.fault.code, outcome.fault.cause) == ("QuotaExhausted", "daily-quota-exhausted")
        assert "900 s" in outcome.fault.message

    def test_the_configured_tokens_per_day_are_not_exceeded(self) -> None:
        driver = VirtualDriver(lambda one, now: (1.0, Outcome(usage=Usage(100, 100))))
        step = Quota(tpd=1000).around(send, driver.clock)
        tasks = [driver.spawn(step(call(arrived=0.0, deadline=30.0)), after=index * 2.0) for index in range(8)]
        driver.run()
        codes = [task.result.fault and task.result.fault.code for task in tasks]
        assert codes == [None] * 5 + ["QuotaExhausted"] * 3


def test_a_lack_of_capacity_lowers_the_concurrency_until_it_recovers() -> None:
    """The service accepts 10 calls in flight for a minute, then 40: 503s stay few, and returned capacity is used."""
    in_flight = 0
    counts = {"early": 0, "late": 0, "short": 0}
    driver: Any = None

    def step(one: Any) -> Any:
        nonlocal in_flight
        if in_flight >= (10 if driver.now < 60 else 40):
            counts["short"] += 1
            yield Sleep(0.01)
            return failed(UNAVAILABLE)
        in_flight += 1
        yield Sleep(0.5)
        in_flight -= 1
        counts["early" if driver.now < 60 else "late"] += 1
        return Outcome(usage=Usage(100, 100))

    driver = VirtualDriver(lambda one, now: (0.0, OK))
    policy = Quota(tpm=600_000)
    admitted = policy.around(step, driver.clock)

    def client() -> Any:
        while driver.now < 120:
            outcome = yield from admitted(call(arrived=driver.now))
            if outcome.fault is not None:
                yield Sleep(0.2)

    for _ in range(40):
        driver.spawn(client())
    driver.run()
    assert counts["early"] > 0.7 * 10 * 2 * 60
    assert counts["late"] > 2 * counts["early"]
    assert counts["short"] < 0.2 * (counts["early"] + counts["late"])
    assert policy.ledger(call().route, driver.now).snapshot(driver.now).estimates["tokens"] == 600_000
