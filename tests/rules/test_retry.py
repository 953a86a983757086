from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest
from support.doubles import INTERNAL, INVALID, NOT_READY, READ_TIMEOUT, THROTTLE, failed

from aws_bedrock_inference.call import Attempt
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.rules.backoff import full
from aws_bedrock_inference.rules.retry import Again, Budget, Stop, decide


def verdict(
    fault: Any,
    *,
    attempts: int = 1,
    emitted: int = 0,
    now: float = 0.0,
    deadline: float = inf,
    most: Any = 15,
    budget: Any = None,
    others: Any = (),
) -> Any:
    earlier = [Attempt(fault, 0.1)] * (attempts - 1) + [Attempt(other, 0.1) for other in others]
    return decide(
        failed(fault)._replace(emitted=emitted),
        fault,
        earlier,
        now=now,
        deadline=deadline,
        most=most,
        budget=budget or Budget(),
        jitter=full,
        chance=lambda: 0.5,
    )


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        (INTERNAL, 12),
        (THROTTLE, 8),
        (NOT_READY, 15),
        (READ_TIMEOUT, 2),
        (answered("ModelTimeoutException", "", status=408), 2),
        (answered("ModelErrorException", "", status=424), 3),
        (answered("ModelErrorException", "Stopped by content filtering", status=424), 1),
        (answered("ModelStreamErrorException", "", status=424), 3),
        (answered("SomethingNewException", "", status=418), 2),
        (answered("ThrottlingException", "Too many tokens per day, please wait", status=429), 1),
        (INVALID, 1),
    ],
)
def test_each_kind_of_fault_has_its_own_number_of_attempts(fault: Any, attempts: int) -> None:
    made = 1
    while isinstance(verdict(fault, attempts=made, most=100), Again):
        made += 1
    assert made == attempts


def test_attempts_for_another_kind_of_fault_do_not_count() -> None:
    assert isinstance(verdict(INTERNAL, others=[THROTTLE] * 7), Again)


def test_the_policy_bounds_the_total_number_of_attempts() -> None:
    assert verdict(INTERNAL, others=[THROTTLE] * 7, most=8) == Stop("no attempts are left")


def test_throttles_that_the_quota_paced_do_not_count_as_attempts_of_a_call_with_a_deadline() -> None:
    paced = [replace(THROTTLE, paced=True)] * 20
    assert isinstance(verdict(INTERNAL, others=paced, deadline=60.0), Again)
    assert isinstance(verdict(paced[0], others=paced, deadline=60.0), Again)
    late = Stop("the next attempt would start after the deadline")
    assert verdict(paced[0], others=paced, now=60.0, deadline=60.0) == late
    assert verdict(INTERNAL, others=paced) == Stop("no attempts are left")


def test_a_service_that_throttles_everything_for_long_ends_a_call_that_was_paced_before() -> None:
    paced = [replace(THROTTLE, paced=True)] * 20
    budget = Budget()
    assert verdict(THROTTLE, others=paced, deadline=900.0, budget=budget) == Stop("no attempts are left")
    assert budget.available == budget.capacity


def test_a_paced_throttle_is_retried_immediately_four_times_and_then_with_a_growing_wait() -> None:
    paced = replace(THROTTLE, paced=True)
    waits = [verdict(paced, attempts=made, deadline=900.0).wait for made in range(1, 11)]
    assert waits == [0.0] * 4 + [0.25, 0.5, 1.0] + [2.0] * 3


@pytest.mark.parametrize("code", ["ModelTimeoutException", "ModelErrorException", "ThrottlingException"])
def test_a_call_is_not_retried_after_a_part_was_delivered(code: Any) -> None:
    stop = verdict(answered(code, "", status=408), emitted=1)
    assert stop == Stop("a part of the answer was already delivered")


def test_a_wait_beyond_the_deadline_is_not_started() -> None:
    assert verdict(THROTTLE, now=10.0, deadline=10.5) == Stop("the next attempt would start after the deadline")
    assert isinstance(verdict(THROTTLE, now=10.0, deadline=10.6), Again)


def test_the_v2_1_budget_allows_35_transient_or_100_throttled_retries_without_a_success() -> None:
    for fault, repeats in ((INTERNAL, 35), (THROTTLE, 100)):
        budget = Budget()
        assert sum(isinstance(verdict(fault, budget=budget), Again) for _ in range(500)) == repeats
        assert verdict(fault, budget=budget) == Stop("the shared retry budget is exhausted")


def test_waiting_for_a_cold_model_costs_no_budget() -> None:
    budget = Budget()
    verdict(NOT_READY, budget=budget)
    assert budget.available == budget.capacity


def test_an_unknown_code_gets_two_attempts() -> None:
    fault = answered("", "", status=None)
    assert isinstance(verdict(fault), Again)
    assert isinstance(verdict(fault, attempts=2), Stop)


def test_the_retry_budget_never_exceeds_its_capacity() -> None:
    budget = Budget(20)
    assert budget.take(14)
    assert not budget.take(14)
    budget.give(100)
    assert budget.available == 20


def test_a_fail_decision_is_final_even_with_a_retry_hint() -> None:
    assert isinstance(verdict(replace(INVALID, hint=THROTTLE.hint)), Stop)
