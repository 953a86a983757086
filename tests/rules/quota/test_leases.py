"""Leases of one quota: their shares and durations, and what happens if a member or the store is lost."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any

import pytest

from aws_bedrock_inference.rules.quota import division
from aws_bedrock_inference.rules.quota import leases as rule
from aws_bedrock_inference.rules.quota.division import PLAN
from aws_bedrock_inference.rules.quota.fair_shares import UNLIMITED, divide
from aws_bedrock_inference.rules.quota.leases import Grant, LeaseRequest, Leases


def ask(
    need: float = 0.0, *, holding: float = 0.0, priority: float = 0.0, calls: float = 1.0, **fields: Any
) -> LeaseRequest:
    return LeaseRequest(holding, ((priority, need, calls),), **fields)


class Members:
    """Members that renew when they are told to, each by itself."""

    def __init__(self, shares: Any = None, now: float = 0.0) -> None:
        self.now = now
        self.shares = shares or Leases(now)
        self.has: dict[str, float] = {}

    def renew(self, member: str, need: float = 0.0, **fields: Any) -> Grant:
        fields.setdefault("holding", self.has.get(member, 0.0))
        grant = self.shares.renew(member, ask(need, **fields), self.now)
        self.has[member] = grant.share
        return grant

    def rounds(self, needs: Any, count: int = 4, **fields: Any) -> dict[str, Any]:
        for _ in range(count):
            self.now += 0.3
            for member, need in needs.items():
                self.renew(member, need, **fields)
        return {member: pytest.approx(self.has[member]) for member in needs}


def test_a_single_member_gets_what_it_needs() -> None:
    assert Members().renew("a", 1.0).share == 1.0
    assert Members().renew("a", 7.0).share == 1.0


def test_an_idle_member_may_start_immediately_and_leaves_a_tenth_to_newcomers() -> None:
    members = Members()
    assert members.renew("a").share == pytest.approx(0.9)
    assert members.renew("b", 0.5).share == pytest.approx(0.1)


def test_equal_members_end_with_equal_shares() -> None:
    assert Members().rounds(dict.fromkeys("abcd", 1.0)) == dict.fromkeys("abcd", 0.25)


def test_a_released_share_is_available_immediately() -> None:
    members = Members()
    members.renew("a", 1.0)
    assert members.renew("b", 0.5).share == 0.0
    members.now += 0.3
    assert members.renew("a", 0.5).share == pytest.approx(0.5)
    assert members.renew("b", 0.5).share == pytest.approx(0.5)


def test_a_new_member_and_one_without_its_full_share_renew_soon() -> None:
    members = Members()
    assert members.renew("a", 1.0, rate=8.0).again == rule.SOON
    members.now += 0.3
    assert members.renew("a", 1.0, rate=8.0).again == 1.0
    members.renew("b", 1.0)
    members.now += 0.1
    assert members.renew("b", 1.0, rate=8.0).again == rule.SOON


@pytest.mark.parametrize(
    ("rate", "again"),
    [(0.0, 2.5), (1.0, 2.5), (4.0, 2.0), (8.0, 1.0), (500.0, 1.0)],
)
def test_busy_members_renew_more_often(rate: float, again: float) -> None:
    members = Members()
    members.renew("a", 0.5)
    grant = members.renew("a", 0.5, rate=rate)
    assert (grant.again, grant.valid) == (again, rule.VALID)


@pytest.mark.parametrize("rate", [0.0, 1.0, 20.0])
@pytest.mark.parametrize("killed", [0.01 * step for step in range(0, 260, 7)])
def test_the_share_of_a_killed_member_is_in_use_within_three_seconds(rate: float, killed: float) -> None:
    """Two members use the whole quota. One of them is killed, and the other one renews only when it is told to."""
    members = Members()
    members.rounds({"a": 2.0, "b": 2.0}, count=10, rate=rate)
    due = dict.fromkeys("ab", members.now)
    died = members.now + killed
    while members.has["a"] < 1.0:
        name = min(due, key=lambda name: due[name])
        members.now = due[name]
        due[name] += members.renew(name, 2.0, rate=rate).again
        if due["b"] > died:
            due["b"] = inf
    assert members.now - died <= 3.0


def test_a_member_with_less_than_it_needs_notices_a_departure_within_a_second() -> None:
    members = Members()
    members.rounds({"a": 2.0, "b": 2.0}, rate=0.0)
    assert members.renew("a", 2.0).again == rule.OFTEN


def test_a_silent_member_keeps_its_share_until_its_lease_expires() -> None:
    members = Members()
    lease = members.renew("a", 1.0)
    members.now = lease.valid - 0.01
    assert members.renew("b", 1.0).share == 0.0
    members.now = lease.valid + PLAN
    assert members.renew("b", 1.0).share == 1.0
    assert members.shares.members == {"b"}


def test_a_member_that_leaves_releases_its_share_immediately() -> None:
    members = Members()
    members.renew("a", 1.0)
    members.shares.leave("a", members.now)
    members.shares.leave("a", members.now)
    assert members.renew("b", 1.0).share == 1.0


def test_a_member_that_returns_after_its_lease_expired_has_no_privilege() -> None:
    members = Members()
    members.renew("a", 1.0)
    members.now = 30.0
    members.renew("b", 0.9)
    assert members.renew("a", 1.0, holding=1.0).share == pytest.approx(0.1)


def test_a_need_at_a_new_priority_is_served_without_delay() -> None:
    members = Members()
    members.renew("a", 0.2, priority=1.0)
    members.renew("b", 0.3, priority=0.0)
    assert members.has["b"] == pytest.approx(0.1)
    members.now += 0.3
    members.renew("a", 0.2, priority=1.0)
    assert members.renew("b", 0.3, priority=0.0).share >= 0.3


class TestRestart:
    """The store is empty, and the members continue with their shares."""

    def test_after_a_restart_members_keep_their_shares(self) -> None:
        members = Members()
        members.has = {"a": 0.5, "b": 0.3, "c": 0.2}
        members.rounds(dict.fromkeys("abc", 1.0))
        assert members.has == pytest.approx({"a": 0.5, "b": 0.3, "c": 0.2})

    def test_after_a_restart_a_newcomer_gets_little_of_the_seemingly_free_quota(self) -> None:
        members = Members()
        members.renew("a", 0.2, holding=0.2)
        assert members.renew("new", 1.0).share == pytest.approx(0.2)
        assert members.renew("new", 1.0).share == pytest.approx(0.2)
        assert members.renew("b", 0.6, holding=0.6).share == pytest.approx(0.6)

    def test_after_the_restart_period_everyone_gets_its_share(self) -> None:
        members = Members()
        members.has = {"a": 0.9, "b": 0.1}
        members.rounds(dict.fromkeys("ab", 1.0), count=int(rule.GRACE / 0.3) + 1)
        assert members.rounds(dict.fromkeys("ab", 1.0)) == {"a": 0.5, "b": 0.5}

    def test_a_store_that_was_unreachable_is_as_careful_as_a_restarted_one(self) -> None:
        members = Members()
        members.rounds(dict.fromkeys("abcd", 1.0))
        members.now += 60.0  # every lease has run out, but all four went on with theirs
        assert members.renew("a", 1.0).share == pytest.approx(0.25)
        assert members.renew("b", 1.0).share == pytest.approx(0.25)

    def test_the_restart_period_is_longer_than_the_longest_renewal_interval(self) -> None:
        assert rule.GRACE > rule.SELDOM

    def test_the_first_start_is_not_treated_as_a_restart(self) -> None:
        members = Members()
        members.renew("a", 0.4)
        assert members.rounds({"a": 0.4, "b": 0.6}) == {"a": 0.4, "b": 0.6}


BELIEFS = {
    # name: (the store's estimate, the member's estimate) → the store's new estimate
    "unknown": (None, (900.0, 7, False), (900.0, 1)),
    "from the same belief": ((1000.0, 3), (900.0, 3, False), (900.0, 4)),
    "grown from the same belief": ((1000.0, 3), (1100.0, 3, False), (1100.0, 4)),
    "unchanged": ((1000.0, 3), (1000.0, 3, True), (1000.0, 3)),
    "unchanged but for rounding": ((1000.0, 3), (1000.0 + 1e-7, 3, False), (1000.0, 3)),
    "grown from an older belief": ((1000.0, 3), (1200.0, 2, False), (1000.0, 3)),
    "lowered from an older belief": ((1000.0, 3), (800.0, 2, True), (800.0, 4)),
    "lower from an older belief, but not by a throttle": ((1000.0, 3), (800.0, 2, False), (1000.0, 3)),
    "lowered to what is still more": ((1000.0, 3), (1200.0, 2, True), (1000.0, 3)),
    "from a belief of a store that has forgotten": ((1000.0, 1), (800.0, 9, False), (1000.0, 1)),
    "first told that there is none": (None, (inf, 0, False), (inf, 1)),
    "no longer none": ((inf, 1), (500.0, 1, True), (500.0, 2)),
    "still none": ((inf, 1), (inf, 1, False), (inf, 1)),
}


@pytest.mark.parametrize("name", BELIEFS)
def test_the_more_reliable_estimate_of_a_limit_is_stored(name: str) -> None:
    before, said, after = BELIEFS[name]
    plain = Leases(0.0).plain()
    if before is not None:
        plain["limits"] = {"tokens": (min(before[0], UNLIMITED), before[1])}
    members = Members(Leases.of(plain))
    assert members.renew("a").limits == ((("tokens", *before),) if before else ())
    assert members.renew("b", limits=(("tokens", *said),)).limits == (("tokens", *after),)
    assert members.renew("a").limits == (("tokens", *after),)


def test_dimensions_are_separate_and_a_member_that_reports_none_learns_all() -> None:
    members = Members()
    members.renew("a", limits=(("tokens", 1000.0, 0, False), ("requests", inf, 0, False)))
    members.renew("a", limits=(("tokens", 500.0, 1, True),))
    assert members.renew("b").limits == (("requests", inf, 1), ("tokens", 500.0, 2))


def test_leases_restored_from_json_behave_the_same() -> None:
    one, other = Members(), Members()
    said = [(0.7, 3.0, 1000.0, inf), (0.9, 1.0, 900.0, 5.0), (2.0, 0.0, 900.0, inf), (0.1, 8.0, 1e6, 7.0)]
    for step, (need, calls, tokens, requests) in enumerate(said * 5):
        limits = (("tokens", tokens, step // 2, True), ("requests", requests, step // 3, False))
        grants = []
        for members in (one, other):
            members.now += 0.17
            grants.append(members.renew(f"m{step % 3}", need, calls=calls, priority=step % 2, rate=3.0, limits=limits))
        assert grants[0] == grants[1]
        other.shares = Leases.of(json.loads(json.dumps(other.shares.plain(), allow_nan=False)))


@pytest.mark.parametrize("plain", [{}, {"born": "soon"}, {**Leases(0.0).plain(), "leases": {"a": [1]}}])
def test_state_in_another_format_is_refused(plain: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Leases.of(plain)


def test_a_clock_that_is_set_back_extends_no_lease_and_blocks_nothing() -> None:
    members = Members(now=1000.0)
    lease = members.renew("a", 1.0)
    members.now = 100.0
    assert members.renew("b", 1.0).share == 0.0
    members.now = 100.0 + lease.valid + PLAN
    assert members.renew("b", 1.0).share == 1.0


def test_look_shows_the_share_of_each_member_and_changes_nothing() -> None:
    members = Members()
    members.renew("b", 0.25, rate=2.0, report='{"queued": 3}', limits=(("tokens", 10.0, 0, False),))
    members.now = 1.0
    members.renew("a", 0.0)
    before = members.shares.plain()
    view = members.shares.look(2.0)
    assert [(seen.member, seen.age, seen.rate, seen.report) for seen in view.members] == [
        ("a", 1.0, 0.0, ""),
        ("b", 2.0, 2.0, '{"queued": 3}'),
    ]
    assert view.members[1].share == members.has["b"]
    assert view.limits == (("tokens", 10.0, 1),)
    assert [seen.member for seen in members.shares.look(3.0).members] == ["a"]
    assert members.shares.plain() == before


def test_a_plan_for_a_thousand_members_is_made_at_most_five_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    gone_through = []

    def counted(*members: Any) -> Any:
        gone_through.append(1)
        return divide(*members)

    monkeypatch.setattr(division, "divide", counted)
    members = Members()
    for step in range(10_000):
        members.now = step / 1000
        members.renew(f"m{step % 1000}", 0.01, calls=step % 7, priority=step % 3)
    assert len(gone_through) <= 5 * 10 + 3
    assert sum(members.has.values()) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    "fields",
    [
        {"holding": -0.1},
        {"holding": nan},
        {"rate": inf},
        {"need": nan},
        {"need": -1.0},
        {"need": inf},
        {"calls": -1.0},
        {"priority": nan},
        {"limits": (("tokens", 0.0, 1, False),)},
        {"limits": (("tokens", nan, 1, False),)},
        {"report": "x" * (rule.REPORT + 1)},
    ],
)
def test_an_invalid_request_is_refused_before_it_reaches_other_members(fields: Any) -> None:
    with pytest.raises(ValueError, match=r"must be|pass limits|at most 16,384"):
        ask(**fields)
