"""What every store of answers does, and what a file and a server do besides."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import redis

from aws_bedrock_inference import Cache
from aws_bedrock_inference.caches.memory import MemoryAnswers
from aws_bedrock_inference.caches.sqlite import SqliteAnswers
from aws_bedrock_inference.caches.valkey import ValkeyAnswers
from aws_bedrock_inference.stores import StoreUnavailable, StoreUnusable
from aws_bedrock_inference.stores.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import os, sys
from aws_bedrock_inference.caches.sqlite import SqliteAnswers

store = SqliteAnswers(sys.argv[1], 50, timeout=60.0)
number = 0
while True:
    store.put(f"{os.getpid()} {number % 60}", os.getpid().to_bytes(8, "big") * 5000, 1000.0).run()
    number += 1
    if number == 5:
        print("ready", flush=True)
"""

FORK = """
import os, sys
from aws_bedrock_inference.caches.store import open_answers

store = open_answers(sys.argv[1] or None, 100)
store.put("k", b"parent", 100.0).run()
child = os.fork()
if not child:
    found = store.get("k").run()
    store.put("c", b"child", 100.0).run()
    store.close()
    os._exit(0 if found == b"parent" else 1)
assert os.waitpid(child, 0)[1] == 0
print(store.get("k").run(), store.get("c").run())
store.close()
"""


def test_what_is_put_is_found_until_it_is_replaced(answers: Any) -> None:
    assert answers.get("k").run() is None
    answers.put("k", b"\x00one", 100.0).run()
    answers.put("other", b"x", 100.0).run()
    assert answers.get("k").run() == b"\x00one"
    answers.put("k", b"two", 100.0).run()
    assert answers.get("k").run() == b"two"


def test_threads_use_it_at_once(answers: Any) -> None:
    wrong: list[Any] = []

    def use(number: int) -> None:
        for turn in range(20):
            answers.put(f"{number} {turn}", b"%d" % turn, 100.0).run()
            if answers.get(f"{number} {turn}").run() != b"%d" % turn:
                wrong.append((number, turn))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_there_are_no_more_than_so_many_and_none_that_have_expired(kind: str, tmp_path: Path) -> None:
    now = [1e9]
    store: Any
    if kind == "memory":
        store = MemoryAnswers(3, lambda: now[0])
    else:
        store = SqliteAnswers(tmp_path / "answers.db", 3, lambda: now[0], timeout=60.0)
    for number in range(10):
        now[0] += 1.0
        store.put(str(number), b"x", 100.0).run()
        assert len(store) <= 3
    assert [number for number in range(10) if store.get(str(number)).run()] == [7, 8, 9]
    now[0] += 1000.0
    store.put("new", b"x", 100.0).run()
    assert len(store) == 1
    store.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite", "server"])
def test_a_forked_child_goes_on_with_it(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = {"memory": "", "sqlite": f"sqlite://{tmp_path}/answers.db"}.get(kind)
    url = request.getfixturevalue("server").url if url is None else url
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, url]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - this Python
    assert ended.stdout.split() == ["b'parent'", "None" if kind == "memory" else "b'child'"]


def test_a_child_that_is_forked_while_a_thread_changes_the_memory_begins_anew() -> None:
    store = MemoryAnswers(10)
    store.put("k", b"x", 100.0).run()
    store.after_fork()
    assert store.get("k").run() == b"x"
    store._lock.acquire()
    store.after_fork()
    assert store.get("k").run() is None


# Files


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = SqliteAnswers(tmp_path / "answers.db", 10, timeout=60.0)
    store.put("k", b"x", 100.0).run()
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    store.close()


def test_writers_that_are_killed_leave_a_sound_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)  # noqa: S603 - this Python
        for _ in range(3)
    ]
    for writer in writers:
        assert writer.stdout
        writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    store = SqliteAnswers(path, 50, timeout=60.0)
    store.check()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    rows = connection.execute("SELECT key, content FROM answers").fetchall()
    connection.close()
    assert 0 < len(rows) <= 50
    for key, content in rows:
        assert content == int(key.split()[0]).to_bytes(8, "big") * 5000
    store.put("k", b"x", 100.0).run()
    assert store.get("k").run() == b"x"
    store.close()


def test_a_file_of_a_newer_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    Cache(f"sqlite://{tmp_path}/answers.db").close()
    connection = sqlite3.connect(tmp_path / "answers.db")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(StoreUnusable, match=r"answers\.db was written by a newer version of this package .*format 9"):
        Cache(f"sqlite://{tmp_path}/answers.db")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: sqlite3.connect(path).execute("CREATE TABLE t (a)").connection.close(), "of another program"),
        (lambda path: path.write_bytes(b"no database" * 100), "is not a file of stored answers"),
        (lambda path: path.mkdir(), "is a directory"),
    ],
)
def test_a_file_of_something_else_is_refused_and_left_alone(make: Any, message: str, tmp_path: Path) -> None:
    make(tmp_path / "x.db")
    with pytest.raises(StoreUnusable, match=message):
        Cache(f"sqlite://{tmp_path}/x.db")


def test_a_shared_quotas_file_is_no_cache(tmp_path: Path) -> None:
    from aws_bedrock_inference.stores import SqliteStore, try_store  # noqa: PLC0415 - this test alone

    store = SqliteStore(tmp_path / "x.db", timeout=60.0)
    try_store(store)
    store.close()
    with pytest.raises(StoreUnusable, match="another program"):
        Cache(f"sqlite://{tmp_path}/x.db")


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=r"cannot be used to keep answers: No such file or directory"):
        Cache(f"sqlite://{tmp_path}/none/x.db")


# Servers


def test_a_server_forgets_answers_by_itself(server: Any) -> None:
    store = ValkeyAnswers(server.url, timeout=60.0)
    store.put("k", b"x", 99.5).run()
    store.close()
    client = redis.Redis.from_url(server.url)
    (key,) = client.keys()
    assert key == b"bedrock:answer:1:k"
    assert 0 < client.ttl(key) <= 100
    client.close()


def test_a_server_that_is_gone_is_unavailable_and_comes_back(private_server: Any) -> None:
    store = ValkeyAnswers(private_server.url, timeout=60.0)
    store.put("k", b"x", 100.0).run()
    private_server.kill()
    with pytest.raises(StoreUnavailable, match="cannot be used to keep answers"):
        store.get("k").run()
    private_server.start()
    assert store.get("k").run() is None
    store.put("k", b"y", 100.0).run()
    assert store.get("k").run() == b"y"
    store.close()


def test_a_key_of_another_program_is_unusable_and_says_so(server: Any) -> None:
    client = redis.Redis.from_url(server.url)
    client.rpush("bedrock:answer:1:k", "x")
    client.close()
    store = ValkeyAnswers(server.url, timeout=60.0)
    with pytest.raises(StoreUnusable, match=r"delete the keys bedrock:answer:\*"):
        store.get("k").run()
    store.close()


def test_a_password_is_not_told() -> None:
    store = ValkeyAnswers("redis://user:hunter2@localhost:1/0?protocol=2")
    assert "hunter2" not in repr(store) + store.place + repr(Cache("redis://user:hunter2@localhost:1"))


# The worker


def test_a_worker_has_few_threads_and_each_request_its_turn() -> None:
    worker, threads = Worker(2), set()
    gate = threading.Event()

    def work(number: int) -> int:
        gate.wait(60)
        threads.add(threading.get_ident())
        return number

    futures = [worker.start(partial(work, number), "here") for number in range(50)]
    gate.set()
    assert [future.result(60) for future in futures] == list(range(50))
    assert 1 <= len(threads) <= 2
    assert worker._crew.threads <= 2


def test_what_fails_in_a_worker_fails_for_who_asked() -> None:
    worker = Worker(1)
    with pytest.raises(KeyError):
        worker.start(partial(os.environ.__getitem__, "NO_SUCH_NAME"), "here").result(60)
    assert worker.start(os.getpid, "here").result(60) == os.getpid()
