"""The cost limit: it is never exceeded by calls in flight, and no money stays unused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import (
    INTERNAL,
    READ_TIMEOUT,
    REFUSED_CONNECTION,
    THROTTLE,
    World,
    call,
    drive_by_hand,
    failed,
    scripted,
)

from aws_bedrock_inference import Breaker, MaxCost, Pipeline, Quota, Retry, standard
from aws_bedrock_inference.call import Estimate, Outcome, Route, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.fault import Category, Decision
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.policies.refusals import circuit_open
from aws_bedrock_inference.pricing.rates import DOLLAR
from aws_bedrock_inference.pricing.spend import Spend

# 3 and 15 dollars for a million tokens: 1,000 in and 200 out are 0.6 cents, with 100 out they are 0.45 cents.
ROUTE = Route("global.anthropic.claude-sonnet-4-6", "us-east-1", base="anthropic.claude-sonnet-4-6", pool="global")
MOST = 0.006
USED = Outcome(value={}, usage=Usage(1_000, 100))
COST = 0.0045
UNKNOWN = Route("made-by.nobody", "us-east-1", base="made-by.nobody")


def asked(**fields: Any) -> Any:
    return call(tokens=1_000, output=200, **{"route": ROUTE, **fields})


def once(policy: MaxCost, outcome: Outcome, **fields: Any) -> Any:
    return drive_by_hand(policy.around(scripted([outcome]), World().clock)(asked(**fields)))[1]


def test_calls_are_refused_once_their_cost_has_reached_the_limit() -> None:
    policy = MaxCost(2 * COST)
    assert [once(policy, USED).fault for _ in range(2)] == [None, None]
    assert (policy.spent, policy.exhausted) == (2 * COST, True)
    fault = once(policy, USED).fault
    assert (fault.code, fault.cause, fault.decision) == ("BudgetExhausted", "budget-exhausted", Decision.FAIL)
    assert fault.category is Category.PERMANENT
    assert fault.message == "the cost limit of $0.009000 is reached: calls have cost $0.009000"


def test_an_unknown_price_refuses_the_call() -> None:
    policy = MaxCost(1)
    assert once(policy, USED, route=UNKNOWN).fault.code == "PriceUnknown"
    flex = asked()._replace(params={"serviceTier": {"type": "flex"}})
    _, outcome = drive_by_hand(policy.around(scripted([USED]), World().clock)(flex))
    assert "the price of global.anthropic.claude-sonnet-4-6 in us-east-1 is unknown" in outcome.fault.message
    assert policy.spent == 0


def test_counting_tokens_is_free() -> None:
    policy = MaxCost(1)
    counting = asked(route=UNKNOWN)._replace(estimate=Estimate(metered=False))
    assert drive_by_hand(policy.around(scripted([USED]), World().clock)(counting))[1] is USED


def test_an_embedding_costs_only_its_input() -> None:
    policy, model = MaxCost(1), "amazon.titan-embed-text-v2:0"
    used = Outcome(value={}, usage=Usage(1_000))
    assert once(policy, used, route=Route(model, "us-east-1", base=model)) is used
    assert policy.spent == 0.00002


@pytest.mark.parametrize(
    ("outcome", "cost"),
    [
        (USED, COST),
        (failed(THROTTLE), 0),
        (failed(INTERNAL), 0),
        (failed(REFUSED_CONNECTION), 0),
        (Outcome(fault=circuit_open("m", 1.0)), 0),
        (failed(READ_TIMEOUT), MOST),  # AWS may have answered; the result is unknown
        (Outcome(value={}), MOST),  # an answer that reports no usage
        (failed(READ_TIMEOUT)._replace(usage=Usage(1_000, 20)), 0.0033),  # a stream that broke
        # an answer whose cache writes have no known price at this tier counts as it might have cost
        (USED._replace(usage=Usage(10, 10, 0, 10, 0, 10), value={"serviceTier": {"type": "flex"}}), MOST),
    ],
)
def test_the_possible_cost_of_a_failed_attempt_counts(outcome: Outcome, cost: float) -> None:
    policy = MaxCost(1)
    once(policy, outcome)
    assert policy.spent == pytest.approx(cost, rel=1e-12)


def crowd(policy: MaxCost, number: int, output: int, seconds: float = 1.0, **fields: Any) -> tuple[list[Any], int]:
    """Send `number` calls together; return their outcomes and the highest number in flight."""
    flying, most = [0], [0]

    def step(made: Any) -> Any:
        flying[0] += 1
        most[0] = max(most[0], flying[0])
        outcome = yield from send(made)
        flying[0] -= 1
        return outcome

    driver = VirtualDriver(lambda *_: (seconds, USED._replace(usage=Usage(1_000, output))))
    around = policy.around(step, driver.clock)
    tasks = [driver.spawn(around(asked(**fields))) for _ in range(number)]
    driver.run()
    assert all(task.done and task.error is None for task in tasks)
    return [task.result for task in tasks], most[0]


def test_of_many_simultaneous_calls_only_those_within_the_limit_are_sent() -> None:
    policy = MaxCost(10 * MOST)
    outcomes, most = crowd(policy, 100, output=200)
    assert sum(outcome.fault is None for outcome in outcomes) == 10
    assert {outcome.fault.code for outcome in outcomes if outcome.fault} == {"BudgetExhausted"}
    assert most <= 10
    assert policy.spent == pytest.approx(10 * MOST)


def test_unused_reservations_are_available_to_later_calls() -> None:
    policy = MaxCost(0.06)
    outcomes, _ = crowd(policy, 100, output=0)  # 0.3 cents each
    assert sum(outcome.fault is None for outcome in outcomes) == 20
    assert policy.spent == pytest.approx(0.06)


def test_a_distant_limit_delays_no_call() -> None:
    outcomes, most = crowd(MaxCost(100), 500, output=200)
    assert most == 500
    assert all(outcome.fault is None for outcome in outcomes)


def test_a_call_that_may_exceed_the_remaining_budget_is_sent_alone() -> None:
    outcomes, most = crowd(MaxCost(MOST / 2), 5, output=0)
    assert most == 1
    assert [outcome.fault is None for outcome in outcomes] == [True, False, False, False, False]


def test_a_call_waits_at_most_until_its_deadline() -> None:
    outcomes, _ = crowd(MaxCost(MOST), 2, output=200, seconds=60.0, deadline=10.0)
    assert outcomes[0].fault is None
    assert outcomes[1].fault.code == "DeadlineTooClose"
    assert outcomes[1].fault.message == "calls in flight may use up the rest of the limit of MaxCost"


def test_a_call_cancelled_in_the_queue_costs_nothing_and_one_in_flight_its_possible_cost() -> None:
    policy = MaxCost(1.5 * MOST)
    driver = VirtualDriver(lambda *_: (60.0, USED))
    around = policy.around(send, driver.clock)
    flying, waiting, third = (driver.spawn(around(asked())) for _ in range(3))
    driver.run(until=1.0)
    driver.interrupt(waiting, KeyboardInterrupt())
    assert policy.spent == 0
    driver.interrupt(flying, KeyboardInterrupt())
    assert policy.spent == MOST
    driver.run()
    assert third.result is USED
    assert policy.exhausted


def test_each_attempt_of_a_retried_call_counts() -> None:
    outcomes = iter([failed(READ_TIMEOUT), USED])
    driver = VirtualDriver(lambda *_: (1.0, next(outcomes)))
    policy = MaxCost(1)
    step = Pipeline(Retry(chance=lambda: 0.0), policy, Breaker(), Quota(rpm=600)).around(send, driver.clock)
    task = driver.spawn(step(asked()))
    driver.run()
    assert task.result.attempts == 2
    assert policy.spent == pytest.approx(MOST + COST)


@given(st.data(), st.integers(1, 500))
def test_only_one_call_or_an_unexpected_cost_can_exceed_the_limit(data: st.DataObject, limit: int) -> None:
    calls = data.draw(st.lists(st.tuples(st.integers(1, 100), st.floats(0, 1)), min_size=1, max_size=40))
    spend = Spend(limit)
    cost = {spend.enter(most): most * part for most, part in calls}
    surplus, dearest = 0.0, max(most for most, _ in calls)
    flying = [hold for hold in cost if hold.admitted]
    while flying:
        hold = flying.pop(data.draw(st.integers(0, len(flying) - 1)))
        surplus += max(0.0, cost[hold] - hold.expected / DOLLAR)
        spend.leave(hold, cost[hold])
        admitted = [each for each in cost if each.admitted and each in spend._in_flight and each not in flying]
        flying += admitted
        if admitted:
            assert spend.spent < limit
            assert len(flying) == 1 or spend.spent * DOLLAR + sum(each.expected for each in flying) <= limit * DOLLAR
    assert all(hold.admitted is not None for hold in cost)  # nobody waits for ever
    assert spend.spent <= limit + surplus + dearest + 1e-9


def test_the_cost_spent_before_counts() -> None:
    policy = MaxCost(40, spent=40)
    assert policy.exhausted
    assert once(policy, USED).fault.code == "BudgetExhausted"
    assert MaxCost(40, spent=39.99).exhausted is False


def test_the_recommended_pipeline_places_max_cost_inside_the_retries() -> None:
    policy = MaxCost(40)
    names = [type(each).__name__ for each in standard(max_cost=policy).policies]
    assert names == ["Deadline", "Complete", "Resume", "Retry", "MaxCost", "Breaker", "Quota"]
    assert policy in standard(max_cost=policy).policies
    assert repr(standard(max_cost=40).policies[4]) == repr(policy) == "MaxCost(40)"


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "40", True, None])
def test_an_invalid_limit_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="pass a number of US dollars"):
        MaxCost(wrong)
    if wrong != 0:
        with pytest.raises(ValueError, match="spent="):
            MaxCost(1, spent=wrong)


def test_a_forked_child_does_not_count_calls_in_flight_of_its_parent() -> None:
    spend = Spend(10.0)
    spend.enter(9.0)
    spend.after_fork()
    assert spend.enter(9.0).admitted


def test_a_call_of_a_closed_event_loop_blocks_no_other() -> None:
    spend = Spend(10.0)
    first, gone, third = spend.enter(9.0), spend.enter(9.0), spend.enter(9.0)
    assert (gone.admitted, third.admitted) == (None, None)

    def closed() -> None:
        raise RuntimeError("Event loop is closed")

    gone.attach(closed)
    woken: list[bool] = []
    third.attach(lambda: woken.append(True))
    spend.leave(first, 0.5)
    assert third.admitted
    assert woken == [True]
