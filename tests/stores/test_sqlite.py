"""The SQLite store: one file and many processes."""

from __future__ import annotations

import gc
import json
import sqlite3
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference.rules.quota.leases import LeaseRequest
from aws_bedrock_inference.stores import STORE_TIMEOUT, SqliteStore, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

MEMBER = """
import json, sys
from aws_bedrock_inference.rules.quota.leases import LeaseRequest
from aws_bedrock_inference.stores import SqliteStore

store, name, share = SqliteStore(sys.argv[1], timeout=60.0), sys.argv[2], 0.0
sys.stdin.readline()
for _ in range(30):
    share = store.renew("p", name, LeaseRequest(share, ((0.0, 0.4, 1.0),))).run().share
store.close()
print(json.dumps([name, share]))
"""

FORK = """
import os, sys
from aws_bedrock_inference.rules.quota.leases import LeaseRequest
from aws_bedrock_inference.stores import open_store

store = open_store(sys.argv[1])
store.renew("p", "parent", LeaseRequest(0.0, ((0.0, 0.4, 1.0),))).run()
child = os.fork()
if not child:
    store.renew("p", "child", LeaseRequest(0.0, ((0.0, 0.4, 1.0),))).run()
    store.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
store.renew("p", "parent", LeaseRequest(0.4, ((0.0, 0.4, 1.0),))).run()
print(*(seen.member for seen in store.look("p").run()["p"].members))
store.close()
"""


def wants(need: float) -> LeaseRequest:
    return LeaseRequest(0.0, ((0.0, need, 1.0),))


def start(script: str, *arguments: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - this Python
        [sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_processes_share_one_quota(tmp_path: Path) -> None:
    processes = [start(MEMBER, tmp_path / "shares.db", f"m{number}") for number in range(4)]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(share for _, share in ends) <= 1.0 + 1e-9
    store = SqliteStore(tmp_path / "shares.db")
    assert {seen.member for seen in store.look("p").run()["p"].members} <= {name for name, _ in ends}
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "server"])
def test_a_forked_child_can_continue_to_use_a_store(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite://{tmp_path}/shares.db" if kind == "sqlite" else request.getfixturevalue("server").url
    out, _ = start(FORK, url).communicate(timeout=60)
    assert out.split() == ["child", "parent"]


def test_only_the_owner_can_read_the_file(sqlite: SqliteStore) -> None:
    sqlite.renew("p", "a", wants(1.0)).run()
    assert {stat.S_IMODE(file.stat().st_mode) for file in sqlite.path.parent.iterdir()} == {0o600}


def test_former_members_and_pools_leave_no_rows(tmp_path: Path) -> None:
    now = [1e9]
    store = SqliteStore(tmp_path / "shares.db", lambda: now[0])
    for pool in ("old", "p"):
        store.renew(pool, "a", LeaseRequest(0.0, (), report="x")).run()
    now[0] += 20.0
    store.renew("p", "b", LeaseRequest(0.0, (), report="y")).run()
    assert rows(store, "SELECT pool, member FROM reports ORDER BY pool") == [("old", "a"), ("p", "b")]
    now[0] += 3599.0
    store.renew("new", "a", wants(1.0)).run()
    assert rows(store, "SELECT pool FROM pools ORDER BY pool") == [("new",), ("p",)]
    assert rows(store, "SELECT pool FROM reports ORDER BY pool") == [("new",), ("p",)]
    store.close()


def rows(store: Any, query: str) -> Any:
    database = sqlite3.connect(store.path)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def test_a_file_of_another_program_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "shares.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreUnavailable, match=r"shares.db is damaged or is not a file of a shared quota .* delete it"):
        SqliteStore(path).renew("p", "a", wants(1.0)).run()


@pytest.mark.parametrize("state", ["", "{}", "[]", "null", '{"born": "x"}'])
def test_a_malformed_row_is_reported_with_a_remedy(sqlite: SqliteStore, state: str) -> None:
    sqlite.renew("p", "a", wants(1.0)).run()
    database = sqlite3.connect(sqlite.path)
    database.execute("UPDATE pools SET state = ?", (state,))
    database.commit()
    database.close()
    with pytest.raises(StoreUnavailable, match=r"shares.db is damaged or is not a file of a shared quota .* delete it"):
        sqlite.renew("p", "a", wants(1.0)).run()
    assert sqlite.renew("other", "a", wants(1.0)).run().share == 1.0


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"missing/shares.db cannot be used .* No such file or directory"):
        SqliteStore(tmp_path / "missing" / "shares.db").renew("p", "a", wants(1.0)).run()
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        SqliteStore(tmp_path).renew("p", "a", wants(1.0)).run()


def test_a_busy_file_is_not_waited_for(tmp_path: Path) -> None:
    sqlite = SqliteStore(tmp_path / "shares.db")
    sqlite.renew("p", "a", wants(1.0)).run()
    database = sqlite3.connect(sqlite.path, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=f"for more than {STORE_TIMEOUT} s"):
        sqlite.renew("p", "a", wants(1.0)).run()
    database.rollback()
    database.close()
    assert sqlite.renew("p", "a", wants(1.0)).run().share == 1.0
    sqlite.close()


def test_a_store_that_is_dropped_closes_its_connection(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "shares.db")
    store.look().run()
    (opened,) = store._file.opened.values()
    connection = opened.connection
    del store, opened
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
