"""A real server: slow, unreachable, restarted, and what it stores."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.crc import key_slot
from support.store_server import PATIENT

from aws_bedrock_inference.rules.quota.leases import REPORT, LeaseRequest
from aws_bedrock_inference.stores import STORE_TIMEOUT, StoreUnavailable, open_store
from aws_bedrock_inference.stores.valkey import ValkeyStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def wants(need: float, holding: float = 0.0, report: str = "") -> LeaseRequest:
    return LeaseRequest(holding, ((0.0, need, 1.0),), report=report)


@pytest.fixture
def bare(server: Any) -> Iterator[Any]:
    client = redis.Redis.from_url(server.url, decode_responses=True)
    yield client
    client.close()


def test_an_empty_server_after_a_restart_takes_no_share_from_members(private_server: Any) -> None:
    first, second = (ValkeyStore(private_server.url, timeout=PATIENT) for _ in range(2))
    assert first.renew("p", "a", wants(1.0)).run().share == 1.0
    private_server.kill()
    with pytest.raises(StoreUnavailable, match=f"unix://{private_server.socket} cannot be used"):
        first.renew("p", "a", wants(1.0, 0.6)).run()
    private_server.start()
    assert first.renew("p", "a", wants(0.6, 0.6)).run().share == 0.6
    assert second.renew("p", "new", wants(0.1)).run().share <= 0.1 + 1e-9
    assert second.renew("p", "b", wants(0.3, 0.3)).run().share == pytest.approx(0.3)
    for store in (first, second):
        store.close()


def test_a_silent_server_is_not_waited_for(directory: Path) -> None:
    path = directory / "silent"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        store = open_store(f"unix://{path}")
        with pytest.raises(StoreUnavailable, match=f"unix://{path} took longer than {STORE_TIMEOUT} s"):
            store.renew("p", "a", wants(1.0)).run()
        store.close()


def test_no_message_contains_the_password(server: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"redis://user:s3cret@127.0.0.1:{nobody.getsockname()[1]}/0"
    store = open_store(url)
    for request in (store.renew("p", "a", wants(1.0)), store.leave("p", "a"), store.look()):
        with pytest.raises(StoreUnavailable, match=r"redis://127.0.0.1:\d+/0 cannot be used") as caught:
            request.run()
        assert "s3cret" not in str(caught.value) + repr(store)
    store.close()
    wrong = open_store(server.url.replace("unix://", "unix://user:s3cret@"))
    with pytest.raises(StoreUnavailable, match="cannot be used") as caught:
        wrong.renew("p", "a", wants(1.0)).run()
    assert "s3cret" not in str(caught.value)
    wrong.close()


def test_the_script_is_loaded_again_if_the_server_dropped_it(valkey: ValkeyStore, bare: Any) -> None:
    valkey.renew("p", "a", wants(1.0)).run()
    bare.script_flush()
    assert valkey.renew("p", "a", wants(1.0)).run().share == 1.0


def test_unused_data_expires_after_an_hour(valkey: ValkeyStore, bare: Any) -> None:
    valkey.renew("p", "a", wants(1.0, report="x")).run()
    keys = bare.keys("*")
    assert len(keys) == 2
    assert all(key.startswith("bedrock:quota:{p}:") for key in keys)
    assert all(3500 < bare.ttl(key) <= 3600 for key in keys)


def test_all_data_of_a_pool_is_on_one_node_of_a_cluster(valkey: ValkeyStore, bare: Any) -> None:
    valkey.renew("123|us-east-1|model:0", "a", wants(1.0, report="x")).run()
    assert len({key_slot(key.encode()) for key in bare.keys("*")}) == 1


def test_former_members_leave_no_data(valkey: ValkeyStore, bare: Any) -> None:
    for number in range(300):
        valkey._renew("p", f"m{number}", wants(0.0, report="x" * REPORT), now=1000.0 + number / 1000)
    valkey._renew("p", "last", wants(0.0), now=2000.0)
    assert set(bare.hkeys("bedrock:quota:{p}:leases")) == {"", "last"}
    assert not bare.exists("bedrock:quota:{p}:reports")


def test_a_cluster_can_be_used_as_a_store(cluster: str) -> None:
    store = ValkeyStore(cluster, timeout=PATIENT)
    for number in range(5):
        assert store.renew(f"p{number}", "a", wants(1.0, report="x")).run().share == 1.0
    assert [view.members[0].report for view in store.look().run().values()] == ["x"] * 5
    store.close()
    nowhere = open_store("redis+cluster://127.0.0.1:1")
    with pytest.raises(StoreUnavailable, match=r"redis\+cluster://127.0.0.1:1 cannot be used"):
        nowhere.look().run()


def test_a_key_of_another_program_makes_the_store_fail(valkey: ValkeyStore, bare: Any) -> None:
    bare.set("bedrock:quota:{p}:leases", "something else")
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        valkey.renew("p", "a", wants(1.0)).run()


def test_a_member_without_a_name_is_refused(valkey: ValkeyStore) -> None:
    with pytest.raises(ValueError, match="`member` is empty"):
        valkey.renew("p", "", wants(1.0)).run()


def test_a_missing_client_package_is_reported_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    for name in ("server", "server_errors", "valkey"):
        monkeypatch.delitem(sys.modules, f"aws_bedrock_inference.stores.{name}")
    with pytest.raises(ValueError, match=r"pip install 'aws-bedrock-inference\[valkey\]'"):
        open_store("redis://localhost")
