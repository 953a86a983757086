"""The behaviour of every store."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference.rules.quota.leases import LeaseRequest
from aws_bedrock_inference.stores import open_store

if TYPE_CHECKING:
    from pathlib import Path

POOL = "123456789012|us-east-1|anthropic.claude-test-v1:0|on-demand"


def wants(need: float, *, holding: float = 0.0, **fields: Any) -> LeaseRequest:
    return LeaseRequest(holding, ((0.0, need, 1.0),), **fields)


def test_members_of_a_pool_see_each_other(store: Any) -> None:
    assert store.renew(POOL, "a", wants(0.75)).run().share == pytest.approx(0.9)
    assert store.renew(POOL, "b", wants(0.75)).run().share == pytest.approx(0.1)
    store.leave(POOL, "a").run()
    assert store.renew(POOL, "b", wants(1.0)).run().share == pytest.approx(1.0)


def test_pools_are_separate(store: Any) -> None:
    assert store.renew(POOL, "a", wants(1.0)).run().share == 1.0
    assert store.renew(POOL + "2", "a", wants(1.0)).run().share == 1.0
    assert list(store.look().run()) == [POOL, POOL + "2"]
    assert list(store.look(POOL).run()) == [POOL]


def test_a_store_can_be_awaited(store: Any) -> None:
    async def main() -> Any:
        grant = await store.renew(POOL, "a", wants(1.0)).arun()
        await store.leave(POOL, "b").arun()
        return grant, await store.look(POOL).arun()

    grant, views = asyncio.run(main())
    assert grant.share == views[POOL].members[0].share == 1.0


def test_learned_limits_pass_from_one_member_to_another(store: Any) -> None:
    store.renew(POOL, "a", wants(0.5, limits=(("requests", inf, 0, False), ("tokens", 0.1 + 0.2, 0, False)))).run()
    limits = store.renew(POOL, "b", wants(0.5)).run().limits
    assert limits == (("requests", inf, 1), ("tokens", 0.1 + 0.2, 1))
    assert store.look(POOL).run()[POOL].limits == limits


def test_look_returns_members_by_name_with_their_reports(store: Any) -> None:
    report = json.dumps({"queued": [1, 2], "text": "äöü\u2028{}"}, ensure_ascii=False)
    store.renew(POOL, "b", wants(0.5, rate=2.5, report=report)).run()
    store.renew(POOL, "a", wants(0.5)).run()
    [a, b] = store.look(POOL).run()[POOL].members
    assert (a.member, a.report, b.member, b.rate, b.report) == ("a", "", "b", 2.5, report)
    assert 0.0 <= a.age <= b.age < 60.0
    store.leave(POOL, "b").run()
    assert [seen.member for seen in store.look(POOL).run()[POOL].members] == ["a"]
    assert store.renew(POOL, "b", wants(0.5)).run()
    assert [seen.report for seen in store.look(POOL).run()[POOL].members] == ["", ""]


def test_an_unknown_pool_is_not_created_by_a_look(store: Any) -> None:
    assert store.look().run() == {}
    assert store.look("other").run() == {}
    store.leave("other", "a").run()
    assert store.look().run() == {}


def test_names_may_contain_any_characters(store: Any) -> None:
    for pool in ("{a}", "a}b", "*", "ü|[x]?", "a b\n"):
        assert store.renew(pool, "*{}: é", wants(1.0)).run().share == 1.0
        assert [seen.member for seen in store.look().run()[pool].members] == ["*{}: é"]


def test_threads_may_share_a_store(store: Any) -> None:
    def member(name: str) -> float:
        shares = [0.0]
        for _ in range(10):
            shares.append(store.renew(POOL, name, wants(0.5, holding=shares[-1])).run().share)
        return shares[-1]

    names = [f"m{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(member, names))
    members = store.look(POOL).run()[POOL].members
    assert [seen.member for seen in members] == names
    assert sum(seen.share for seen in members) <= 1.0 + 1e-9


def test_a_closed_store_opens_again(store: Any) -> None:
    store.renew(POOL, "a", wants(1.0)).run()
    store.close()
    store.close()
    assert store.look(POOL).run()[POOL].members[0].share == 1.0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "postgres://user:s3cret@host/db",
            "The URL of a store cannot begin with postgres://; use one of redis://.*sqlite://",
        ),
        ("s3cret@host", "must contain ://"),
        ("", "must contain ://"),
        ("sqlite://", "has no file name"),
        ("sqlite:///", "has no file name"),
        ("redis://user:s3cret@host:port/0", "redis:// URL of the store cannot be read"),
        ("redis://:s3cret/1@host", "Percent-encode"),
        ("rediss://:123/s3cret@host", "Percent-encode"),
        ("redis://:12?s3cret@host", "Percent-encode"),
        ("redis://host/0?socket_timeout=s3cret", "redis:// URL of the store cannot be read"),
        ("redis://host/0?unheard_of=s3cret", "redis:// URL of the store cannot be read"),
        ("redis://[s3cret", "redis:// URL of the store cannot be read"),
    ],
)
def test_an_invalid_url_is_refused_and_not_quoted(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        open_store(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_url_determines_the_store_and_its_place(tmp_path: Path) -> None:
    assert repr(open_store("valkey://user:s3cret@cache.example:6380/2?client_name=x")) == (
        "ValkeyStore('valkey://cache.example:6380/2')"
    )
    assert repr(open_store("valkeys://cache.example")) == "ValkeyStore('valkeys://cache.example')"
    assert repr(open_store("rediss://:s%2Fcret@cache.example")) == "ValkeyStore('rediss://cache.example')"
    assert repr(open_store("unix:///run/x.sock?db=1")) == "ValkeyStore('unix:///run/x.sock')"
    for url in (f"sqlite://{tmp_path}/a%20b.db", f"sqlite:///{tmp_path}/a%20b.db"):
        assert repr(open_store(url)) == f"SqliteStore('{tmp_path}/a b.db')"
    assert repr(open_store("sqlite://a.db")) == "SqliteStore('a.db')"
