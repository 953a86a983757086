"""The state of a quota, as versions with and without tenants write and read it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aws_bedrock_inference.rules.quota.leases import LeaseRequest, Leases

HUNGRY = ((1.0, 9.0, 10.0),)


def kept(leases: Leases) -> Any:
    return json.loads(json.dumps(leases.plain()))


def as_an_older_version_writes(state: Any) -> Any:
    """Return `state` as a version without tenants writes it: it preserves the members it knows, and has no tenants."""
    return {name: value for name, value in state.items() if name not in ("tenants", "whose")}


def two_tenants() -> Leases:
    leases = Leases(0.0)
    for now in (0.0, 0.3, 0.6, 0.9):
        for member, tenant in (("m1", "a"), ("m2", "a"), ("m3", "b")):
            leases.renew(member, LeaseRequest(0.0, HUNGRY, tenants=(tenant,)), now)
    return leases


def shares(leases: Leases, now: float) -> dict[str, Any]:
    return {seen.member: pytest.approx(seen.share) for seen in leases.look(now).members}


def test_a_reader_of_the_state_divides_as_its_writer() -> None:
    read = Leases.of(kept(two_tenants()))
    assert shares(read, 0.9) == {"m1": 0.25, "m2": 0.25, "m3": 0.5}
    assert kept(read) == kept(two_tenants())


def test_an_older_version_reads_the_state_in_its_own_format() -> None:
    state = kept(two_tenants())
    assert state["format"] == 1
    assert all(len(lease) == 5 and all(len(need) == 3 for need in lease[4]) for lease in state["leases"].values())
    assert all(len(level) == 2 for level in state["levels"])


def test_a_state_without_tenants_is_divided_by_calls_until_members_report_tenants_again() -> None:
    leases = Leases.of(as_an_older_version_writes(kept(two_tenants())))
    grant = leases.renew("m4", LeaseRequest(0.0, HUNGRY), 1.0)
    assert grant.parts == ()
    for now in (1.3, 1.6, 1.9, 2.2):
        for member, tenant in (("m1", "a"), ("m2", "a"), ("m3", "b"), ("m4", "c")):
            leases.renew(member, LeaseRequest(0.0, HUNGRY, tenants=(tenant,)), now)
    third = 1 / 3
    assert shares(leases, 2.2) == pytest.approx({"m1": third / 2, "m2": third / 2, "m3": third, "m4": third})


def test_a_plan_of_an_older_version_is_recalculated() -> None:
    state = kept(two_tenants())
    state["planned"] = 0.95
    state["tenants"]["levels"] = [[1.0, "b", 0.0, 10.0]]
    grant = Leases.of(state).renew("m3", LeaseRequest(0.5, HUNGRY, tenants=("b",)), 1.0)
    assert grant.share == pytest.approx(0.5)


def test_tenants_and_needs_must_have_the_same_length() -> None:
    with pytest.raises(ValueError, match="1 needs, but 2 tenants"):
        LeaseRequest(0.0, HUNGRY, tenants=("a", "b"))
