"""Stores and their users: a client that closes, a program that ends, a command that starts."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from support.client_faces import Asyncio, Blocking
from support.store_server import Server
from support.wire import Wire, answer

from aws_bedrock_inference import Quota
from aws_bedrock_inference.cli import main
from aws_bedrock_inference.stores import MemoryStore, SqliteStore, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = answer(
    {
        "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "metrics": {"latencyMs": 1},
    }
)


def members(store: Any) -> int:
    return sum(len(view.members) for view in store.look().run().values())


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("face", [Blocking, Asyncio])
def test_a_closed_client_releases_its_share_and_another_continues(face: Any) -> None:
    store = MemoryStore()
    quota = Quota(tpm=100_000, store=store)
    with Wire(ANSWER) as wire:
        here = face()
        for _ in range(2):
            client = here.open(wire.url, quota=quota)
            assert here.get(client.invoke("hi", max_tokens=5)).text == "hello"
            assert members(store) == 1
            here.get(client.close() if face is Blocking else client.aclose())
            assert members(store) == 0
        here.end()


ENDS = """
import sys
from aws_bedrock_inference import Call, Outcome, Quota, Route, Usage
from aws_bedrock_inference.call import Estimate
from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.flow import send

quota = Quota(tpm=60_000, store=sys.argv[1])
driver = Driver(lambda call: Outcome(usage=Usage(1, 1)))
outcome = driver.run(quota.around(send, monotonic)(Call("converse", {}, Route("m", "us-east-1"), Estimate(1, 1))))
print(outcome.fault, flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        yield server
        server.kill()


def start(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ENDS, url]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)  # noqa: S603 - this Python
    assert process.stdout
    assert process.stdout.readline() == "None\n"
    return process


def test_a_program_that_ends_leaves_the_shared_quota_on_a_server(server: Server) -> None:
    process = start(server.url)
    store = open_store(server.url)
    assert members(store) == 1
    _, errors = process.communicate("end\n", timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert members(store) == 0
    store.close()


def test_a_program_can_end_while_its_server_is_silent(server: Server) -> None:
    process = start(server.url)
    server.process.kill()
    server.process.wait()
    server.socket.unlink()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(server.socket))
        silent.listen()
        _, errors = process.communicate("end\n", timeout=60)
    assert (process.returncode, errors) == (0, "")


def bedrock(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"id": "a", "prompt": "hi"}\n')
    return path


def unusable(kind: str, tmp_path: Path) -> tuple[str, str]:
    """Return a URL that cannot be used, and words of the reason."""
    file = tmp_path / "some.txt"
    file.write_text("a text, no database" * 100)
    return {
        "no directory": (f"sqlite://{tmp_path}/nodir/x.db", "nodir, or use another path"),
        "a directory": (f"sqlite://{tmp_path}", "it is a directory"),
        "a text": (f"sqlite://{file}", "is not a file of a shared quota"),
        "nobody there": ("redis://user:s3cret@127.0.0.1:9", "Check that the server runs there"),
        "no such host": ("redis://host.invalid", "cannot be used to share a quota"),
        "a cluster that is not there": ("redis+cluster://127.0.0.1:9", "cannot be used to share a quota"),
        "no such socket": (f"unix://{tmp_path}/nosocket", "cannot be used to share a quota"),
    }[kind]


KINDS = (
    "no directory", "a directory", "a text", "nobody there", "no such host", "a cluster that is not there",
    "no such socket",
)  # fmt: skip


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_an_unusable_store_is_refused_before_it_starts(tmp_path: Path, prompts: Path, kind: str) -> None:
    url, words = unusable(kind, tmp_path)
    output = tmp_path / "answers.jsonl"
    result = bedrock("run", str(prompts), "-o", str(output), "--model", "m", "--store", url)
    assert result.exit_code == 3
    assert words in result.stderr
    assert "s3cret" not in result.output
    assert not output.exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", [("watch",), ("watch", "--count", "3"), ("advise",)])
def test_watching_an_unusable_store_is_an_error(tmp_path: Path, kind: str, command: tuple[str, ...]) -> None:
    url, words = unusable(kind, tmp_path)
    result = bedrock("quota", *command, "--store", url)
    assert result.exit_code == 3
    assert words in result.stderr


def test_watching_a_missing_file_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite://{tmp_path}/shares.db"

    def make(_: float) -> None:
        store = SqliteStore(tmp_path / "shares.db", timeout=60.0)
        assert members(store) == 0
        store.close()

    monkeypatch.setattr("aws_bedrock_inference.clock.sleep", make)
    result = bedrock("quota", "watch", "--store", url, "--count", "2")
    assert result.exit_code == 0
    assert "does not exist yet. The first process" in result.output
    assert "No process shares a quota" in result.output


@pytest.mark.usefixtures("alone")
def test_a_refused_connection_is_not_reported_as_a_permission_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's own retries
    result = bedrock("quota", "show", "--region", "us-east-1", "--endpoint-url", "http://127.0.0.1:9")
    assert result.exit_code == 3
    assert "check the Region, DNS, VPC endpoint, proxy" in result.stderr
    assert "servicequotas:" not in result.stderr
    assert "Allow" not in result.stderr


@pytest.mark.usefixtures("alone")
def test_a_store_that_is_damaged_during_a_run_is_named(
    tmp_path: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    path = tmp_path / "shares.db"

    def spoil(store: Any) -> None:
        path.write_bytes(b"not a database" * 100)

    monkeypatch.setattr("aws_bedrock_inference.cli.quota_usage.try_store", spoil)
    with Wire(ANSWER) as wire:
        place = ("--model", "m", "--region", "us-east-1", "--endpoint-url", wire.url)
        result = bedrock("run", str(prompts), "-o", str(tmp_path / "out"), "--store", f"sqlite://{path}", *place)
        assert result.exit_code == 3
        assert "is not a file of a shared quota" in result.stderr
        assert "bug" not in result.stderr
        assert wire.received == []
