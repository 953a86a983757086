"""The health of a route: the share of calls that it gets."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.rules.health import BACK, FORGOTTEN, IN_A_ROW, REST, Health, Turn


def taken(health: Health, calls: int, now: float = 0.0) -> int:
    return sum(health.turn(now) is Turn.YES for _ in range(calls))


def steady_share(failing: float, *, calls: int = 20_000, seed: int = 1) -> float:
    """Return the fraction of many calls that a route gets if a fraction of its attempts fails."""
    chance, health, took = random.Random(seed), Health(), 0  # noqa: S311 - no secret
    for number in range(calls):
        now = number * 0.05
        turn = health.turn(now)
        if turn is Turn.NO:
            continue
        took += 1
        if chance.random() < failing:
            health.breached(now)
        else:
            health.succeeded(probe=turn is Turn.PROBE)
    return took / calls


def test_a_healthy_route_gets_all_calls() -> None:
    assert taken(Health(), 1000) == 1000


def test_four_consecutive_breaches_make_a_route_unhealthy_and_three_do_not() -> None:
    health = Health()
    assert [health.breached(0.0) for _ in range(4)] == [False, False, False, True]
    assert health.resting
    assert taken(health, 100) == 0


def test_an_unhealthy_route_is_probed_by_one_call_every_eight_seconds() -> None:
    health = Health()
    for _ in range(IN_A_ROW):
        health.breached(0.0)
    turns = [(tick / 10, health.turn(tick / 10)) for tick in range(600)]
    probes = [when for when, turn in turns if turn is Turn.PROBE]
    assert probes == [8.0, 16.0, 24.0, 32.0, 40.0, 48.0, 56.0]
    assert all(turn is not Turn.YES for _, turn in turns)


def test_a_successful_probe_returns_half_of_the_calls_and_further_successes_the_rest() -> None:
    health = Health()
    for _ in range(IN_A_ROW):
        health.breached(0.0)
    assert health.turn(REST) is Turn.PROBE
    assert health.succeeded(probe=True)
    assert taken(health, 100) == 100 * BACK
    for _ in range(5):
        health.succeeded()
    assert taken(health, 100) == 100


def test_a_call_in_flight_before_the_failure_does_not_make_the_route_healthy() -> None:
    health = Health()
    for _ in range(IN_A_ROW):
        health.breached(0.0)
    assert not health.succeeded()
    assert health.resting


def test_a_share_is_spread_evenly() -> None:
    health = Health()
    health.breached(0.0)
    health.breached(0.0)
    assert [health.turn(0.0) is Turn.YES for _ in range(8)].count(True) == 3
    assert [health.turn(0.0) is Turn.YES for _ in range(8)].count(True) == 4


@pytest.mark.parametrize(
    ("failing", "least", "most"), [(0.0, 1.0, 1.0), (0.03, 0.95, 1.0), (0.2, 0.5, 0.95), (0.5, 0.02, 0.3)]
)
def test_the_share_matches_the_fraction_of_failures(failing: float, least: float, most: float) -> None:
    assert least <= steady_share(failing) <= most


@given(st.lists(st.sampled_from(["breach", "success", "turn"]), max_size=60), st.floats(0, 1e6))
def test_the_share_stays_between_its_minimum_and_one(steps: list[str], began: float) -> None:
    health, now = Health(), began
    for step in steps:
        now += 0.5
        if step == "breach":
            health.breached(now)
        elif step == "success":
            health.succeeded()
        else:
            health.turn(now)
        assert 0 < health.share <= 1


def test_old_breaches_are_forgotten() -> None:
    health = Health()
    for _ in range(IN_A_ROW - 1):
        health.breached(0.0)
    assert taken(health, 100, FORGOTTEN - 1) < 50
    assert taken(health, 100, FORGOTTEN) == 100
    assert not health.breached(FORGOTTEN)


def test_a_route_that_was_unhealthy_for_long_first_gets_half_of_the_calls() -> None:
    health = Health()
    health.rest(0.0, 3600.0)
    assert health.turn(3600.0) is Turn.PROBE
    health.succeeded(probe=True)
    assert taken(health, 100, 3601.0) == 50
