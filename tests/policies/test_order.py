"""A pipeline refuses the orders in which a policy would not do what its documentation states."""

from __future__ import annotations

import inspect
from itertools import pairwise
from typing import Any

import pytest

import aws_bedrock_inference as package
from aws_bedrock_inference import (
    Breaker,
    Cache,
    Complete,
    DeadLetter,
    Deadline,
    Degrade,
    Fallback,
    Filtered,
    MaxCost,
    Pipeline,
    Quota,
    RequestMetadata,
    Resume,
    Retry,
    standard,
)
from aws_bedrock_inference.foundation.models import Models
from aws_bedrock_inference.policies import GeographicProfile
from aws_bedrock_inference.policies.order import ORDER, RULES

NAMES = ORDER.split(", ")
LITE = "amazon.nova-lite-v1:0"


def made(name: str) -> Any:
    """Return a policy of the class with this name."""
    kinds: dict[str, Any] = {
        "RequestMetadata": RequestMetadata,
        "Degrade": lambda: Degrade("Busy."),
        "DeadLetter": lambda: DeadLetter("sqlite:///unused.db"),
        "Filtered": lambda: Filtered("raise"),
        "Cache": Cache,
        "Deadline": Deadline,
        "Complete": Complete,
        "Resume": Resume,
        "Fallback": lambda: Fallback(LITE),
        "Retry": Retry,
        "MaxCost": lambda: MaxCost(1),
        "GeographicProfile": lambda: GeographicProfile(Models(region_name="us-east-1")),
        "Breaker": Breaker,
        "Quota": Quota,
    }
    return kinds[name]()


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ("MaxCost Retry", "MaxCost comes before Retry, but MaxCost must see each request that Retry sends"),
        ("Deadline MaxCost Breaker Retry", "MaxCost comes before Retry"),
        ("MaxCost Resume", "MaxCost must see each request that Resume sends"),
        ("Quota MaxCost", "a call must not reserve quota while MaxCost delays it"),
        ("Breaker Retry", "Breaker must see each request that Retry sends"),
        ("Quota Retry", "Quota must see each request that Retry sends"),
        ("Quota Complete", "Quota must see each request that Complete sends"),
        ("Retry Complete", "Retry must see each request that Complete sends"),
        ("Retry Resume", "Retry must see each request that Resume sends"),
        ("Retry Breaker Retry", "Retry comes before another Retry, but a pipeline must contain only one Retry"),
        ("GeographicProfile Fallback", "GeographicProfile must see each request that Fallback sends"),
        ("Breaker GeographicProfile", "Breaker must see the profile that GeographicProfile chooses"),
        ("Retry Deadline", "Retry comes before Deadline, but Retry must see the deadline"),
        ("Quota Deadline", "Quota must see the deadline"),
        ("Resume Deadline", "Resume must see the deadline"),
        ("Retry Cache", "Cache must answer a call before Retry handles it"),
        ("Quota Cache", "Cache must answer a call before Quota handles it"),
        ("Breaker Degrade", "Breaker must see the failure that Degrade replaces"),
        ("Retry DeadLetter", "DeadLetter must see the result of the whole call"),
        ("Filtered DeadLetter", "DeadLetter must see the result of the whole call"),
        ("Complete Filtered", "Complete must see the answer that Filtered replaces"),
        ("DeadLetter Degrade", "DeadLetter must see the failure that Degrade replaces"),
        ("Cache Degrade", "Cache must see the failure that Degrade replaces"),
    ],
)
def test_a_wrong_order_is_refused_with_the_reason_and_the_right_order(order: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"^Pipeline\(\): ") as raised:
        Pipeline(*map(made, order.split()))
    assert problem in str(raised.value)
    assert str(raised.value).endswith(f"; write the policies in this order: {ORDER}")


@pytest.mark.parametrize(
    "order",
    [
        *(f"{outer} {inner}" for outer, inner in pairwise(NAMES)),
        " ".join(NAMES),
        "Deadline Deadline",
        "Deadline Degrade",
        "Deadline DeadLetter",
        "Complete Deadline",
        "Cache Filtered",
        "Retry Filtered",
        "Resume Cache",
        "Resume Complete",
        "GeographicProfile Retry",
        "Retry Breaker MaxCost Quota",
        "Retry Quota Breaker",
        "MaxCost MaxCost",
        "Quota Quota",
        "Quota RequestMetadata",
    ],
)
def test_an_order_that_works_is_accepted(order: str) -> None:
    assert len(Pipeline(*map(made, order.split())).policies) == len(order.split())


def test_standard_has_the_order() -> None:
    options = {"degrade": "Degrade", "dead_letters": "DeadLetter", "cache": "Cache", "filtered": "Filtered"}
    options |= {"fallback": "Fallback", "max_cost": "MaxCost", "request_metadata": "RequestMetadata"}
    given: dict[str, Any] = {option: made(name) for option, name in options.items()}
    policies = standard(profiles=Models(region_name="us-east-1"), **given).policies
    assert [type(policy).__name__ for policy in policies] == NAMES


def test_the_rules_agree_with_the_order() -> None:
    for rule in RULES:
        for outer in rule.outer:
            for inner in rule.inner:
                assert outer == inner or NAMES.index(outer) > NAMES.index(inner)


def test_the_order_contains_all_policies() -> None:
    policies = {
        name
        for name in package.__all__
        if inspect.isclass(kind := getattr(package, name)) and callable(getattr(kind, "around", None))
    }
    assert policies - {"Pipeline", "Policy"} == set(NAMES)


def test_a_subclass_is_checked_as_its_class() -> None:
    class Patient(Retry):
        pass

    with pytest.raises(ValueError, match="MaxCost comes before Retry"):
        Pipeline(MaxCost(1), Patient())


def test_a_policy_of_the_program_can_be_anywhere() -> None:
    class Cache:
        def around(self, step: Any, clock: Any) -> Any:
            return step

    Pipeline(Cache(), Retry(), Cache(), Quota(), Cache())
