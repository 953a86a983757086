"""Quotas that change while the service runs, and the usage of each pool and caller."""

from __future__ import annotations

from typing import Any

from support.simulated_account import CLAUDE, NOVA, Account, tokens

GEOGRAPHIC = f"us.{NOVA}"


def admitted(account: Account, model: str = NOVA) -> int:
    """Send requests until the quota is used up; the answers take no time."""
    before = account.stats()["answered"]
    while account.converse(model=model, **tokens(10)).status == 200:
        pass
    return int(account.stats()["answered"] - before)


def account(**tables: Any) -> Account:
    return Account(discipline="fixed", quota={"rpm": 4}, **tables)


def test_a_change_takes_effect_at_its_time() -> None:
    subject = account(changes=[{"at": 120, "rpm": 8}, {"at": 60, "rpm": 2}])
    had = []
    for _ in range(4):
        had.append(admitted(subject))
        subject.clock.now += 60
    assert had == [4, 2, 8, 8]


def test_a_change_applies_to_pools_first_used_after_it() -> None:
    subject = account(changes=[{"at": 60, "rpm": 2}])
    subject.clock.now += 61
    assert admitted(subject) == 2


def test_a_change_applies_only_to_matching_pools_and_stated_limits() -> None:
    subject = account(
        changes=[{"at": 10, "pool": "geographic", "rpm": 6}, {"at": 20, "model": "amazon.*", "tpm": 1_000_000}]
    )
    subject.clock.now += 30
    assert [admitted(subject, model) for model in (NOVA, GEOGRAPHIC, CLAUDE)] == [4, 6, 4]


def test_a_change_takes_effect_at_its_time_even_without_a_request() -> None:
    subject = Account(discipline="bucket", quota={"rpm": 60}, changes=[{"at": 10, "rpm": 6}])
    assert admitted(subject) == 60
    subject.clock.now += 30
    assert admitted(subject) == 6  # ten seconds at one a second, then capped at the new minute
    slower = Account(discipline="bucket", quota={"rpm": 6}, changes=[{"at": 10, "rpm": 60}])
    assert admitted(slower) == 6
    slower.clock.now += 20
    assert admitted(slower) == 11  # one in ten seconds, then one a second


def test_an_answer_that_ends_after_a_change_is_settled_with_the_new_quota() -> None:
    subject = Account(
        discipline="bucket", quota={"tpm": 6000}, latency={"first_token": 30.0}, changes=[{"at": 10, "tpm": 600}]
    )
    assert subject.converse(**tokens(5000)).status == 200
    assert subject.converse(**tokens(700)).status == 429
    assert subject.converse(**tokens(500)).status == 200


def test_loading_a_scenario_restarts_the_changes() -> None:
    subject = account(changes=[{"at": 60, "rpm": 2}])
    subject.clock.now += 61
    assert admitted(subject) == 2
    subject.service.load(subject.service.scenario)
    assert admitted(subject) == 4


def signed(key: str) -> dict[str, str]:
    return {"authorization": f"AWS4-HMAC-SHA256 Credential={key}/20261122/us-east-1/bedrock/aws4_request, S=x"}


def test_the_statistics_have_the_usage_of_each_pool_and_caller() -> None:
    subject = account()
    body = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}], **tokens(10)}
    for key, times in (("AKIDONE", 3), ("AKIDTWO", 2)):
        for _ in range(times):
            subject.post(f"/model/{NOVA}/converse", body, **signed(key))
    subject.post(f"/model/{GEOGRAPHIC}/converse", body, authorization="Bearer key")
    subject.post(f"/model/{GEOGRAPHIC}/converse", body)
    stats = subject.stats()
    counts = {name: (share["answered"], share["throttled"]) for name, share in stats["callers"].items()}
    assert counts == {"AKIDONE": (3, 0), "AKIDTWO": (1, 1), "bearer": (1, 0), "unsigned": (1, 0)}
    pools = {name: (share["answered"], share["throttled"]) for name, share in stats["pools"].items()}
    assert pools == {f"{NOVA} us-east-1 on-demand": (4, 1), f"{NOVA} us-east-1 geographic": (2, 0)}
    for shares in (stats["callers"], stats["pools"]):
        assert sum(share["tokens"] for share in shares.values()) == stats["tokens"]["charged"] > 0
