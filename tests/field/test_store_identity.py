"""A file that was replaced, belongs to another program, or is in an unusable place."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference.rules.quota.leases import FORMAT, LeaseRequest
from aws_bedrock_inference.stores import SqliteStore, StoreUnavailable, StoreUnusable, disk
from aws_bedrock_inference.stores.request import Question

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WANTS = LeaseRequest(0.0, ((0.0, 1.0, 1.0),))
PATIENT = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shares.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path, timeout=PATIENT)
    yield store
    store.close()


def renew(store: SqliteStore, member: str = "a") -> float:
    return store.renew("p", member, WANTS).run().share


def members(path: Path) -> list[str]:
    with closing(SqliteStore(path, timeout=PATIENT)) as fresh:
        return [seen.member for view in fresh.look().run().values() for seen in view.members]


def delete(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def change(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


def test_a_deleted_file_is_created_again_and_found_by_others(path: Path, store: SqliteStore) -> None:
    renew(store)
    delete(path)
    renew(store)
    assert members(path) == ["a"]


def test_a_file_that_replaces_the_store_is_used(path: Path, store: SqliteStore) -> None:
    renew(store)
    other = path.with_name("other.db")
    with closing(SqliteStore(other, timeout=PATIENT)) as owner:
        renew(owner, "b")
    delete(path)
    other.rename(path)
    assert renew(store) == 0.0  # all of it is b's
    assert members(path) == ["a", "b"]


def test_a_copied_file_is_a_separate_store(path: Path, store: SqliteStore) -> None:
    renew(store)
    store.close()
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    with closing(SqliteStore(copy, timeout=PATIENT)) as other:
        assert renew(other, "b") == 0.0
    assert members(path) == ["a"]


def test_a_truncated_file_fails_at_most_once(path: Path, store: SqliteStore) -> None:
    renew(store)
    os.truncate(path, 0)
    try:
        renew(store)
    except StoreUnavailable:
        renew(store)
    assert members(path) == ["a"]


def test_an_empty_file_becomes_a_store(path: Path, store: SqliteStore) -> None:
    path.touch()
    assert renew(store) == 1.0


def test_a_missing_directory_is_named_and_works_once_it_exists(tmp_path: Path) -> None:
    directory = tmp_path / "later"
    with closing(SqliteStore(directory / "shares.db", timeout=PATIENT)) as store:
        with pytest.raises(StoreUnusable, match=f"create {directory}, or use another path"):
            renew(store)
        directory.mkdir()
        renew(store)
        shutil.rmtree(directory)
        with pytest.raises(StoreUnusable, match="create "):
            renew(store)


def test_the_database_of_another_program_is_not_changed(path: Path, store: SqliteStore) -> None:
    change(path, "CREATE TABLE customers (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match=r"a database of another program\. The file was not changed"):
        renew(store)
    store.close()
    assert path.read_bytes() == before


def test_a_database_with_another_application_id_is_not_changed(path: Path, store: SqliteStore) -> None:
    change(path, "PRAGMA application_id = 252006674")  # Fossil's, from SQLite's own list
    with pytest.raises(StoreUnusable, match="another program"):
        renew(store)


@pytest.mark.parametrize("moment", ["before", "open"])
def test_the_next_format_is_shared_and_a_later_one_refused(path: Path, store: SqliteStore, moment: str) -> None:
    renew(store)
    for version in (FORMAT + 1, FORMAT + 2):
        if moment == "before":
            store.close()
            change(path, f"PRAGMA user_version = {version}")
        else:
            state = f"json_set(state, '$.format', {version})"
            change(path, f"UPDATE pools SET state = {state}")  # noqa: S608 - a number of our own
        if version == FORMAT + 1:
            assert renew(store) == 1.0
    with pytest.raises(StoreUnusable, match=f"newer version of this package .*format {FORMAT + 2}.*: update"):
        renew(store)


def test_a_file_without_a_format_version_is_upgraded(path: Path, store: SqliteStore) -> None:
    renew(store)
    store.close()
    change(path, "PRAGMA application_id = 0")
    change(path, "PRAGMA user_version = 0")
    change(path, "UPDATE pools SET state = json_remove(state, '$.format', '$.members')")
    assert renew(store, "b") == 0.0
    assert members(path) == ["a", "b"]


@pytest.mark.parametrize(
    "state",
    ["[" * 100_000, '{"born": NaN}', '{"born": 1e999}', '{"format": "x"}', '{"a":' * 5000, '{"format": 1e400}', "7"],
)
def test_a_malformed_row_is_reported_with_advice(path: Path, store: SqliteStore, state: str) -> None:
    renew(store)
    change(path, "UPDATE pools SET state = ?", state)
    with pytest.raises(StoreUnusable, match="no data older than a minute: stop the processes that use it, then delete"):
        renew(store)
    with pytest.raises(StoreUnusable):
        store.look().run()
    assert store.renew("other", "a", WANTS).run().share == 1.0


def test_a_lease_with_an_invalid_number_is_refused(path: Path, store: SqliteStore) -> None:
    renew(store)
    change(path, "UPDATE pools SET state = json_set(state, '$.leases.a[0]', 1e999)")
    with pytest.raises(StoreUnusable, match="damaged"):
        renew(store, "b")


@pytest.mark.parametrize("odd", ["$.leases.a[1]', 1e300", "$.leases.a[0]', 5.0", "$.leases.a[0]', -3.0"])
def test_an_invalid_lease_has_no_share(path: Path, odd: str) -> None:
    now = [1e9]
    with closing(SqliteStore(path, lambda: now[0], timeout=PATIENT)) as store:
        renew(store)
        change(path, f"UPDATE pools SET state = json_set(state, '{odd})")  # noqa: S608 - of our own
        now[0] += 1.0
        assert renew(store, "b") == 1.0
        assert [seen.member for seen in store.look().run()["p"].members] == ["b"]


def test_a_full_disk_is_named_and_recovers(path: Path, store: SqliteStore) -> None:
    renew(store)
    (opened,) = store._file.opened.values()
    opened.connection.execute("PRAGMA max_page_count = 1")
    big = LeaseRequest(0.0, (), report="x" * 16_000)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        store.renew("p", "b", big).run()
    assert store.renew("p", "b", big).run().share == 0.0  # connected anew


def test_a_read_only_place_is_unusable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StoreUnusable, match=r"no permission to write the file or its directory \(Permission denied\)"):
        renew(SqliteStore(path, timeout=PATIENT))


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "ext4", "9p"])
def test_network_file_systems_are_refused_by_name(path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    device = path.parent.stat().st_dev
    mounts = path.with_name("mountinfo")
    mounts.write_text(
        "21 1 0:9999 / /proc rw,relatime - proc proc rw\nnonsense\n"
        f"36 35 {os.major(device)}:{os.minor(device)} / /mnt rw,noatime shared:1 - {kind} host:/export rw\n"
    )
    monkeypatch.setattr(disk, "_MOUNTS", mounts)
    with closing(SqliteStore(path, timeout=PATIENT)) as store:
        if kind in ("ext4", "9p"):
            assert renew(store) == 1.0
        else:
            with pytest.raises(StoreUnusable, match=f"is on {kind}, a network file system"):
                renew(store)
            assert not path.exists()


def test_threads_share_the_new_file_after_the_old_one_was_deleted(path: Path, store: SqliteStore) -> None:
    renew(store)
    delete(path)
    with ThreadPoolExecutor(8) as pool:
        shares = list(pool.map(lambda number: renew(store, f"m{number}"), range(8)))
    assert members(path) == [f"m{number}" for number in range(8)]
    assert sum(shares) <= 1.0 + 1e-9


def test_a_hanging_store_delays_a_call_at_most_until_its_timeout() -> None:
    never = threading.Event()
    question = Question(never.wait, 0.01, "redis://slow-name")
    with pytest.raises(StoreUnavailable, match=r"redis://slow-name took longer than 0.01 s"):
        question.run()
    with pytest.raises(StoreUnavailable, match=r"redis://slow-name took longer than 0.01 s"):
        asyncio.run(question.arun())
    never.set()


def test_a_full_executor_of_the_event_loop_does_not_stop_the_store(store: SqliteStore) -> None:
    async def main() -> float:
        never = threading.Event()
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as executor:
            loop.set_default_executor(executor)
            stuck = loop.run_in_executor(None, never.wait)
            share = (await store.renew("p", "a", WANTS).arun()).share
            never.set()
            await stuck
        return share

    assert asyncio.run(main()) == 1.0
