"""The fair shares of members, priorities and tenants."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.rules.quota.fair_shares import OTHERS, Need, divide, due, parts


def shares(*members: Any) -> list[Any]:
    """Return the shares of `members`, whose needs are (priority, need, calls), and a tenant's name if any."""
    told = [[Need(*need) for need in needs] for needs in members]
    levels, surplus = divide(told)
    return [pytest.approx(due(needs, levels, surplus)) for needs in told]


def test_needs_that_fit_are_met_and_the_rest_is_spread_but_for_a_tenth() -> None:
    assert shares([(0, 0.3, 3)], [(0, 0.2, 9)]) == [0.3 + 0.2, 0.2 + 0.2]


def test_without_any_need_shares_are_equal() -> None:
    assert shares([], [(0, 0.0, 1)], []) == [0.3, 0.3, 0.3]


def test_the_last_tenth_goes_to_members_that_need_it() -> None:
    assert shares([(0, 1.0, 1)]) == [1.0]
    assert shares([(0, 0.95, 1)], []) == [0.95, 0.0]


def test_a_scarce_quota_is_divided_by_waiting_calls() -> None:
    assert shares([(0, 9.0, 3)], [(0, 9.0, 1)]) == [0.75, 0.25]


def test_a_small_need_is_met_in_full_before_larger_ones() -> None:
    assert shares([(0, 0.1, 1)], [(0, 3.0, 1)], [(0, 2.0, 1)]) == [0.1, 0.45, 0.45]


def test_the_smallest_priority_number_is_served_first_except_for_the_guarantees_of_the_others() -> None:
    assert shares([(-1.0, 2.0, 1)], [(5.0, 2.0, 1)], [(0, 2.0, 1)]) == [0.9, 0.05, 0.05]


def test_the_guarantee_of_a_priority_is_at_most_its_need() -> None:
    assert shares([(0, 2.0, 1)], [(1, 0.01, 1)]) == [0.99, 0.01]


def test_a_lower_priority_gets_what_the_higher_ones_leave() -> None:
    assert shares([(0, 0.6, 1)], [(1, 2.0, 1)], [(2, 2.0, 1)]) == [0.6, 0.35, 0.05]


def test_many_priorities_leave_half_of_the_quota_to_the_first() -> None:
    given = shares(*[[(priority, 2.0, 1)] for priority in range(30)])
    assert given[0] == 0.5
    assert given[1:] == [0.5 / 29] * 29


def test_one_member_may_have_needs_at_several_priorities() -> None:
    assert shares([(0, 0.2, 1), (1, 2.0, 1)], [(1, 2.0, 3)]) == [0.2 + 0.2, 0.6]


def test_a_member_that_reports_no_number_of_calls_gets_a_small_share() -> None:
    [none, one] = shares([(0, 1.0, 0)], [(0, 1.0, 1)])
    assert none == 0.01 / 1.01
    assert one == 1 / 1.01


def test_tenants_share_alike_however_many_members_and_calls_they_have() -> None:
    assert shares([(0, 9.0, 20, "a")], [(0, 9.0, 20, "a")], [(0, 9.0, 10, "b")]) == [0.25, 0.25, 0.5]
    assert shares([(0, 9.0, 5, "a"), (0, 9.0, 1, "b")], [(0, 9.0, 15, "a")]) == [0.125 + 0.5, 0.375]


def test_quota_that_a_tenant_does_not_need_goes_to_the_others() -> None:
    assert shares([(0, 0.1, 1, "a")], [(0, 9.0, 1, "b")], [(0, 9.0, 50, "c")]) == [0.1, 0.45, 0.45]


def test_calls_without_a_tenant_are_one_tenant_and_a_priority_goes_before_any() -> None:
    assert shares([(0, 9.0, 1)], [(0, 9.0, 9, "a")]) == [0.5, 0.5]
    assert shares([(0, 9.0, 1, "a")], [(1, 9.0, 9, "b")]) == [0.95, 0.05]


def test_each_call_of_tenants_that_are_reported_together_counts_as_one_tenant() -> None:
    assert shares([(0, 9.0, 3, OTHERS), (0, 9.0, 50, "a")], [(0, 9.0, 1, OTHERS)]) == [0.6 + 0.2, 0.2]


WANTS = st.lists(
    st.lists(st.tuples(st.just(0.0), st.floats(0.01, 2.0), st.floats(1.0, 50.0), st.sampled_from("abc")), max_size=4),
    max_size=5,
)


@given(WANTS)
def test_the_division_among_tenants_is_max_min_fair(members: Any) -> None:
    """The parts are max-min fair over tenants, and nothing remains while a tenant needs more."""
    told = [[Need(*need) for need in needs] for needs in members]
    levels, surplus = divide(told)
    got: dict[str, float] = {}
    wanted: dict[str, float] = {}
    for need in (need for needs in told for need in needs):
        got[need.tenant] = got.get(need.tenant, 0.0) + due([need], levels, 0.0)
        wanted[need.tenant] = wanted.get(need.tenant, 0.0) + need.need
    hungry = [tenant for tenant in wanted if got[tenant] < wanted[tenant] - 1e-6]
    assert all(got[tenant] >= max(got.values()) - 1e-6 for tenant in hungry)
    assert sum(got.values()) == pytest.approx(min(1.0, sum(wanted.values())))
    assert sum(got.values()) + surplus * len(told) <= 1.0 + 1e-6


def test_the_part_of_a_member_is_relative_to_the_calls_of_its_tenants() -> None:
    mine, others = [Need(0, 9.0, 5, "a"), Need(0, 9.0, 1, "b"), Need(0, 0.0, 0)], [Need(0, 9.0, 15, "a")]
    levels, _ = divide([mine, others])
    assert parts(mine, levels) == (0.25, 1.0, 1.0)
