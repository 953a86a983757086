"""Leases for any interleaving of members that join, renew, leave, fall silent or have their clocks set back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aws_bedrock_inference.rules.quota.fair_shares import GUARANTEED
from aws_bedrock_inference.rules.quota.leases import LeaseRequest, Leases

NAMES = ["a", "b", "c", "d", "e"]
NEEDS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 2.0]), st.floats(0.0, 1.5), st.floats(0.0, 50.0)),
    max_size=3,
    unique_by=lambda need: need[0],
).map(tuple)


class SharesLaws(RuleBasedStateMachine):
    """`held` has the share that each member assumes: its fraction, and the true time of its end."""

    @initialize(held=st.lists(st.floats(0.0, 0.2), max_size=5))
    def begin(self, held: list[float]) -> None:
        """A restart: some members have shares that the store does not know, and renew them."""
        self.true = 1000.0
        self.behind = 0.0
        self.shares = Leases(self.true)
        self.held = {name: (share, self.true + 15.0) for name, share in zip(NAMES, held, strict=False)}
        self.returning = {name for name, (share, _) in self.held.items() if share > 0.0}

    def holding(self, name: str) -> float:
        share, until = self.held.get(name, (0.0, 0.0))
        return share if until > self.true else 0.0

    @rule(name=st.sampled_from(NAMES), needs=NEEDS, rate=st.floats(0.0, 20.0))
    def renew(self, name: str, needs: tuple[tuple[float, float, float], ...], rate: float) -> None:
        ask = LeaseRequest(self.holding(name), needs, rate=rate)
        grant = self.shares.renew(name, ask, self.true - self.behind)
        assert 0.0 <= grant.share <= 1.0 + 1e-9
        assert grant.again < grant.valid
        self.held[name] = (grant.share, self.true + grant.valid)
        self.returning.discard(name)

    @rule(name=st.sampled_from(NAMES))
    def leave(self, name: str) -> None:
        self.shares.leave(name, self.true - self.behind)
        self.held.pop(name, None)
        self.returning.discard(name)

    @precondition(lambda self: not self.returning)
    @rule(seconds=st.sampled_from([0.05, 0.2, 0.3, 1.0, 3.9, 4.0, 5.0, 15.0, 60.0]))
    def pass_time(self, seconds: float) -> None:
        self.true += seconds

    @rule(seconds=st.floats(0.01, 100.0))
    def set_the_clock_back(self, seconds: float) -> None:
        self.behind += seconds

    @rule()
    def move_through_json(self) -> None:
        self.shares = Leases.of(json.loads(json.dumps(self.shares.plain(), allow_nan=False)))

    @invariant()
    def no_more_is_held_than_there_is(self) -> None:
        if hasattr(self, "shares"):
            seen = self.shares.look(self.true - self.behind).members
            assert sum(member.share for member in seen) <= 1.0 + 1e-9
            if not self.returning:
                assert sum(self.holding(name) for name in self.held) <= 1.0 + 1e-9

    def teardown(self) -> None:
        """Nothing leaks: when all have been silent for long enough, a newcomer gets everything."""
        if hasattr(self, "shares"):
            self.shares.renew("a", LeaseRequest(0.0, ()), self.true - self.behind)
            grant = self.shares.renew("new", LeaseRequest(0.0, ((0.0, 1.0, 1.0),)), self.true - self.behind + 16.0)
            assert grant.share == 1.0


TestSharesLaws = SharesLaws.TestCase
TestSharesLaws.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


def settled(needs: list[tuple[float, float, float]], order: list[int]) -> list[float]:
    """Return the shares of members with one need each after they have come four times in turns."""
    shares, has, now = Leases(0.0), [0.0] * len(needs), 0.0
    for _ in range(4):
        for index in order:
            now += 0.3 / len(order)
            has[index] = shares.renew(str(index), LeaseRequest(has[index], (needs[index],)), now).share
    return has


MEMBERS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 2.0]), st.floats(0.001, 1.5), st.floats(1.0, 50.0)), min_size=1, max_size=8
)


@given(st.data())
def test_the_quota_is_used_up_with_higher_priorities_first(data: st.DataObject) -> None:
    needs = data.draw(MEMBERS)
    has = settled(needs, data.draw(st.permutations(range(len(needs)))))
    wanted = sum(need for _, need, _ in needs)
    assert sum(has) >= min(wanted, 1.0) - 1e-6
    for priority, need, _ in (needs[index] for index in range(len(needs)) if has[index] < needs[index][1] - 1e-6):
        for lower in {1.0, 2.0} - {priority}:
            if lower > priority:
                low = sum(share for share, (other, _, _) in zip(has, needs, strict=True) if other == lower)
                assert low <= GUARANTEED + 1e-6, f"priority {priority} lacks part of {need} while {lower} has {low}"


@given(st.data())
def test_equal_members_have_equal_shares(data: st.DataObject) -> None:
    needs = data.draw(MEMBERS)
    twins = data.draw(st.integers(2, 4))
    needs = needs + [needs[0]] * (twins - 1)
    has = settled(needs, data.draw(st.permutations(range(len(needs)))))
    assert has[-(twins - 1) :] == pytest.approx([has[0]] * (twins - 1), abs=1e-9)


@given(st.data())
def test_calls_of_all_members_get_equal_shares(data: st.DataObject) -> None:
    needs = [(0.0, need, calls) for _, need, calls in data.draw(MEMBERS)]
    has = settled(needs, list(range(len(needs))))
    cut = [share / calls for share, (_, need, calls) in zip(has, needs, strict=True) if share < need - 1e-6]
    if cut:
        assert cut == pytest.approx([cut[0]] * len(cut))
        for share, (_, _, calls) in zip(has, needs, strict=True):
            assert share / calls <= cut[0] * (1 + 1e-6)
