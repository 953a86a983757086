"""The arithmetic in Python and its copy in the server's script: the same grants for the same requests."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aws_bedrock_inference.rules.quota.fair_shares import OTHERS
from aws_bedrock_inference.rules.quota.leases import LeaseRequest, Leases
from aws_bedrock_inference.rules.quota.views import View

if TYPE_CHECKING:
    from aws_bedrock_inference.stores.valkey import ValkeyStore

NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f"])
TENANTS = st.lists(st.sampled_from(["", "acme", "globex", OTHERS]), min_size=4, max_size=4)
SECONDS = st.sampled_from([0.0, 0.01, 0.1, 0.2, 0.3, 1.0, 2.6, 4.0, 6.0, 16.0, 50.0, -0.5, -100.0])
REPORTS = st.sampled_from(
    [
        "",
        "{}",
        '{"minute": [[0, 3, 700.5], [2.0, 1, 20], [58, 0.5, 0]]}',
        '{"minute": [[0, 3, 700], [0, 1e400, 1]]}',
        '{"minute": [[0, 3]]}',
        '{"minute": {"a": 1}}',
        '{"minute": ' + f"{[[0, 1, 1]] * 65}" + "}",
        "[" * 2000,
    ]
)


def of_tenants(request: LeaseRequest, tenants: list[str]) -> LeaseRequest:
    return replace(request, tenants=tuple(tenants[: len(request.needs)]) if any(tenants) else ())


PLAIN = st.builds(
    LeaseRequest,
    st.sampled_from([0.0, 0.0, 0.3, 0.8]),
    st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 2.5]), st.floats(0.0, 1.5), st.floats(0.0, 50.0)), max_size=4).map(
        tuple
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["requests", "tokens"]),
            st.floats(0.5, None, allow_nan=False),
            st.integers(0, 4),
            st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    REPORTS,
    st.floats(0.0, 20.0),
)
ASKS = PLAIN | st.builds(of_tenants, PLAIN, TENANTS)
DOINGS = st.one_of(ASKS, ASKS, ASKS, REPORTS, st.just("look"))  # a report is the last one
STEPS = st.lists(st.tuples(SECONDS, NAMES, DOINGS), max_size=40)
POOLS = count()


def close(number: Any) -> Any:
    return pytest.approx(number, rel=1e-6, abs=1e-6)


@given(STEPS)
@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_python_and_the_script_give_the_same_grants(valkey: ValkeyStore, steps: Any) -> None:
    pool, now = f"pool {next(POOLS)}", 1e9
    shares = None
    for seconds, name, doing in steps:
        now += seconds
        if not isinstance(doing, str):
            shares = shares or Leases(now)
        if shares is None:
            valkey._leave(pool, name, "", now)
            assert valkey._look(pool, now) == {}
        elif doing == "look":
            same_view(shares.look(now), valkey._look(pool, now).get(pool, View((), ())))
        elif isinstance(doing, str):
            shares.leave(name, now, doing)
            valkey._leave(pool, name, doing, now)
        else:
            here, there = shares.renew(name, doing, now), valkey._renew(pool, name, doing, now)
            assert there.share == close(here.share)
            assert (there.valid, there.again) == (close(here.valid), close(here.again))
            assert there.limits == here.limits
            assert [close(list(use)) for use in here.gone] == [list(use) for use in there.gone]
            assert there.parts == close(here.parts)


def same_view(here: View, there: View) -> None:
    assert [(seen.member, seen.rate, seen.report) for seen in there.members] == [
        (seen.member, seen.rate, seen.report) for seen in here.members
    ]
    assert [seen.share for seen in there.members] == close([seen.share for seen in here.members])
    assert [seen.age for seen in there.members] == close([seen.age for seen in here.members])
    assert there.limits == here.limits


def test_python_and_the_script_use_the_same_default_clock(valkey: ValkeyStore) -> None:
    """The server's time has fractions: an immediate second renewal makes no new plan, and its age is below that."""
    ask = LeaseRequest(0.0, ((0.0, 1.0, 1.0),))
    grants = [valkey.renew("p", "a", ask).run() for _ in range(3)]
    assert [grant.share for grant in grants] == [1.0] * 3
    [seen] = valkey.look("p").run()["p"].members
    assert 0.0 < seen.age < 60.0
