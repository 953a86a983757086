"""The cost of a run: the sum, how the journal stores it, and how it is shown."""

from __future__ import annotations

from typing import Any

import pytest
from support.doubles import INTERNAL

from aws_bedrock_inference import Breaker, Deadline, MaxCost, Pipeline, Quota, Retry
from aws_bedrock_inference.batch.bill import Bill, _limited, check_limit, in_words
from aws_bedrock_inference.call import Route, Usage
from aws_bedrock_inference.events import CallEnded

# 0.06 dollars for a million tokens of input and 0.24 for output: 1,000 and 500 are 0.00018.
PRICED = Route("us.amazon.nova-lite-v1:0", "us-east-1", base="amazon.nova-lite-v1:0", pool="geographic")
UNKNOWN = Route("made-by.nobody", "us-east-1", base="made-by.nobody")


def ended(route: Route = PRICED, usage: Usage | None = Usage(1_000, 500), fault: Any = None) -> CallEnded:  # noqa: B008 - it is frozen
    return CallEnded("converse", route, fault, usage, 1, 1.0)


def test_costs_are_summed_exactly_without_the_unknown_ones() -> None:
    bill = Bill()
    for event in (*[ended()] * 10, ended(UNKNOWN), ended(usage=None), ended(usage=None, fault=INTERNAL)):
        bill.hear(event)
    assert (bill.cost, bill.unknown) == (0.0018, 2)
    assert bill.facts() == {"cost": 0.0018, "cost_unknown": 2}


def test_a_bill_continues_from_the_costs_in_the_journal() -> None:
    bill = Bill()
    bill.begin({"cost": 1.1, "cost_unknown": 3}, answered=9)
    bill.hear(ended())
    assert (bill.cost, bill.total) == (0.00018, 1.10018)
    assert bill.facts() == {"cost": 1.10018, "cost_unknown": 3}


def test_answers_of_a_journal_without_costs_have_an_unknown_cost() -> None:
    bill = Bill()
    bill.begin({}, answered=9)
    assert (bill.cost_before, bill.unknown_before) == (0.0, 9)


@pytest.mark.parametrize(
    ("cost", "unknown", "limit", "said"),
    [
        (0.00018, 0, None, "cost $0.000180"),
        (12.5, 0, 40.0, "cost $12.50 of $40.00"),
        (12.5, 1, None, "cost $12.50, unknown for 1 answer"),
        (0.0, 2_000, None, "cost unknown for 2,000 answers"),
        (0.0, 0, None, "cost $0.000000"),
    ],
)
def test_an_unknown_cost_is_shown_as_unknown_and_never_as_zero(
    cost: float, unknown: int, limit: float | None, said: str
) -> None:
    assert in_words(cost, unknown, limit) == said


def test_the_cost_limit_is_checked_at_each_attempt_before_the_quota() -> None:
    limit, deadline, retry, breaker, quota = MaxCost(1), Deadline(), Retry(), Breaker(), Quota()

    def placed(*policies: Any) -> Any:
        return _limited(Pipeline(*policies), limit).policies

    assert placed(deadline, retry, breaker, quota) == (deadline, retry, limit, breaker, quota)
    assert placed(deadline, quota) == (deadline, limit, quota)
    assert placed(deadline) == (deadline, limit)
    assert placed() == (limit,)


def test_a_cost_limit_that_cannot_be_enforced_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_limit(0.5)
    with pytest.raises(ValueError, match="a number of US dollars"):
        check_limit(-1)
    monkeypatch.setenv("AWS_BEDROCK_INFERENCE", "off")
    check_limit(None)
    with pytest.raises(
        ValueError, match="because the environment variable AWS_BEDROCK_INFERENCE turns off all policies"
    ):
        check_limit(0.5)
