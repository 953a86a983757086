"""A server name that leads to another server after a failover: the path of a socket that points elsewhere."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from support.store_server import Server

from aws_bedrock_inference.rules.quota.leases import LeaseRequest
from aws_bedrock_inference.stores import StoreUnavailable, StoreUnusable
from aws_bedrock_inference.stores.server import FRESH
from aws_bedrock_inference.stores.valkey import ValkeyStore

if TYPE_CHECKING:
    from collections.abc import Iterator

WANTS = LeaseRequest(0.0, ((0.0, 1.0, 1.0),))
PATIENT = 60.0


def client(server: Server) -> Any:
    return redis.Redis.from_url(server.url, decode_responses=True)


class Pair:
    """Two servers and a name that leads to one of them."""

    def __init__(self, directory: Path) -> None:
        self.servers = []
        for name in ("first", "second"):
            (directory / name).mkdir()
            self.servers.append(Server(directory / name, "--dir", str(directory / name)))
        self.first, self.second = (client(server) for server in self.servers)
        self.name = directory / "name"
        self.url = f"unix://{self.name}"
        self.point_to(0)

    def point_to(self, number: int) -> None:
        self.name.unlink(missing_ok=True)
        self.name.symlink_to(self.servers[number].socket)

    def reset(self) -> None:
        for server in (self.first, self.second):
            server.replicaof("NO", "ONE")
            server.config_set("replica-read-only", "yes")
            server.config_set("maxmemory", "0")
            server.flushall()
        self.point_to(0)


@pytest.fixture(scope="module")
def both() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory() as directory:
        pair = Pair(Path(directory))
        yield pair
        for each, server in zip((pair.first, pair.second), pair.servers, strict=True):
            each.close()
            server.kill()


@pytest.fixture
def pair(both: Pair) -> Pair:
    both.reset()
    return both


@pytest.fixture
def time() -> list[float]:
    return [0.0]


@pytest.fixture
def store(pair: Pair, time: list[float]) -> Iterator[ValkeyStore]:
    store = ValkeyStore(pair.url, timeout=PATIENT, clock=lambda: time[0])
    yield store
    store.close()


def renew(store: ValkeyStore, world: str = "blocking") -> float:
    question = store.renew("p", "a", WANTS)
    return (asyncio.run(question.arun()) if world == "asyncio" else question.run()).share


@pytest.mark.parametrize("world", ["blocking", "asyncio"])
def test_after_a_failover_the_next_request_finds_the_new_primary(pair: Pair, store: ValkeyStore, world: str) -> None:
    renew(store, world)
    pair.first.replicaof("127.0.0.1", "1")  # the old primary lives on, and keeps its connections
    pair.point_to(1)
    with pytest.raises(StoreUnavailable, match="it is now a replica; the next request looks up its name again"):
        renew(store, world)
    assert renew(store, world) == 1.0
    assert pair.second.exists("bedrock:quota:{p}:leases")


def test_a_slow_failover_recovers_by_itself(pair: Pair, store: ValkeyStore) -> None:
    renew(store)
    pair.first.replicaof("127.0.0.1", "1")
    for _ in range(3):  # the name still leads to the old primary
        with pytest.raises(StoreUnavailable, match="replica"):
            renew(store)
    pair.point_to(1)
    assert renew(store) == 1.0


def test_a_replica_is_refused_even_if_it_accepts_writes(pair: Pair, store: ValkeyStore) -> None:
    pair.first.replicaof("127.0.0.1", "1")
    pair.first.config_set("replica-read-only", "no")
    with pytest.raises(StoreUnavailable, match="This server is a replica"):
        renew(store)
    assert not pair.first.exists("bedrock:quota:{p}:leases")


def test_an_old_primary_that_refuses_nothing_is_left_within_half_a_minute(
    pair: Pair, store: ValkeyStore, time: list[float]
) -> None:
    renew(store)
    pair.point_to(1)
    time[0] = FRESH - 0.1
    renew(store)
    assert not pair.second.exists("bedrock:quota:{p}:leases")
    time[0] = FRESH
    renew(store)
    assert pair.second.exists("bedrock:quota:{p}:leases")


def test_a_full_server_is_named_and_recovers(pair: Pair, store: ValkeyStore) -> None:
    pair.first.config_set("maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="its memory is full: raise maxmemory"):
        renew(store)
    pair.first.config_set("maxmemory", "0")
    assert renew(store) == 1.0


@pytest.mark.parametrize(
    ("setup", "login", "advice"),
    [
        (("reset", "on", "nopass", "~bedrock:quota:*", "+@connection"), "weak:x@", "allow this user EVAL, EVALSHA"),
        (("reset", "on", ">right"), "weak:wrong@", "write the correct user and password into the URL"),
        (("reset", "on", ">right", "~other:*", "+@all"), "weak:right@", "allow this user EVAL, EVALSHA"),
    ],
)
def test_missing_permissions_of_the_user_are_unusable_and_named(
    pair: Pair, setup: tuple[str, ...], login: str, advice: str
) -> None:
    pair.first.execute_command("ACL", "SETUSER", "weak", *setup)
    store = ValkeyStore(pair.url.replace("unix://", f"unix://{login}"), timeout=PATIENT)
    with pytest.raises(StoreUnusable, match=advice) as caught:
        store.renew("p", "a", WANTS).run()
    assert "right@" not in str(caught.value)
    assert "wrong" not in str(caught.value)
    store.close()
    pair.first.execute_command("ACL", "DELUSER", "weak")


PACK = """
local pool = cmsgpack.unpack(redis.call('HGET', KEYS[1], ''))
pool.format = tonumber(ARGV[1])
redis.call('HSET', KEYS[1], '', cmsgpack.pack(pool))
return 1
"""
LEASES = "bedrock:quota:{p}:leases"


def test_data_of_the_next_version_is_shared_and_data_of_a_later_one_is_refused(pair: Pair, store: ValkeyStore) -> None:
    renew(store)
    pair.first.eval(PACK, 1, LEASES, 2)
    assert renew(store) == 1.0
    pair.first.eval(PACK, 1, LEASES, 3)
    for question in (store.renew("p", "a", WANTS), store.look("p"), store.leave("p", "a")):
        with pytest.raises(StoreUnusable, match="a newer version of this package wrote its data: update"):
            question.run()


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x94\x01\xa1x\x03\x04", b"\x91" * 200])
def test_unreadable_data_of_one_member_affects_no_other(pair: Pair, store: ValkeyStore, garbage: bytes) -> None:
    renew(store)
    pair.first.hset(LEASES, "odd", garbage)
    assert [seen.member for seen in store.look("p").run()["p"].members] == ["a"]
    assert renew(store) == 1.0
    assert store.renew("p", "odd", WANTS).run().share == 0.0
    store.leave("p", "odd").run()


HUGE = "return redis.call('HSET', KEYS[1], 'odd', cmsgpack.pack({tonumber(ARGV[1]), tonumber(ARGV[2]), 0, 0}))"


@pytest.mark.parametrize(("share", "until"), [("1", "1e300"), ("5", "0"), ("-3", "0"), ("0.5", "inf")])
def test_an_invalid_lease_has_no_share(pair: Pair, store: ValkeyStore, share: str, until: str) -> None:
    soon = str(pair.first.time()[0] + 10.0)
    renew(store)
    store.leave("p", "a").run()
    pair.first.eval(HUGE, 1, LEASES, share, soon if until == "0" else until)
    assert store.look("p").run() == {}
    assert renew(store) == 1.0


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\xa1x", b"\x80"])
def test_an_unreadable_pool_is_reported_with_the_key_to_delete(pair: Pair, store: ValkeyStore, garbage: bytes) -> None:
    pair.first.hset(LEASES, "", garbage)
    with pytest.raises(StoreUnusable, match=r"this package did not write its data: delete the keys bedrock:quota:\*"):
        renew(store)


class Parrot:
    """A server that answers everything with one error."""

    def __init__(self, path: Path, error: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.reply = f"-{error}\r\n".encode()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                try:
                    while connection.recv(65536):
                        connection.sendall(self.reply)
                except OSError:
                    continue


@pytest.mark.parametrize(
    ("error", "kind", "advice"),
    [
        ("LOADING Redis is loading the dataset in memory", StoreUnavailable, "it is loading its data"),
        ("MASTERDOWN Link with MASTER is down", StoreUnavailable, "lost the connection to its primary"),
        ("CLUSTERDOWN The cluster is down", StoreUnavailable, "cluster is down"),
        ("NOREPLICAS Not enough good replicas to write.", StoreUnavailable, "too few replicas"),
        ("MISCONF Redis is configured to save RDB snapshots", StoreUnavailable, "cannot save its data to disk"),
        ("ERR max number of clients reached", StoreUnavailable, "too many connections"),
        ("BUSY Redis is busy running a script.", StoreUnavailable, "a script of another program"),
        ("ERR Error running script: @user_script: -READONLY You can't write", StoreUnavailable, "it is now a replica"),
        ("NOAUTH Authentication required.", StoreUnusable, "user and password"),
        ("NOPERM this user has no permissions", StoreUnusable, "allow this user"),
        ("MOVED 3999 127.0.0.1:6381", StoreUnusable, r"use redis\+cluster://"),
        ("ASK 3999 127.0.0.1:6381", StoreUnusable, r"use redis\+cluster://"),
        ("ERR unknown command 'EVALSHA'", StoreUnusable, "not a proxy or sentinel"),
        ("DENIED Redis is running in protected mode", StoreUnusable, "protected mode"),
    ],
)
def test_each_server_error_is_transient_or_permanent_with_its_remedy(error: str, kind: Any, advice: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "s"
        parrot = Parrot(path, error)
        store = ValkeyStore(f"unix://{path}", timeout=PATIENT)
        with pytest.raises(StoreUnavailable, match=advice) as caught:
            renew(store)
        assert type(caught.value) is kind
        store.close()
        parrot.socket.close()
