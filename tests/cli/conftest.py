"""A Bedrock endpoint on a real socket; each test decides its answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from support.desk import Desk

if TYPE_CHECKING:
    from pathlib import Path

Script = Callable[["Stub", str], tuple[int, str, Any]]


def echo(_: Stub, prompt: str) -> tuple[int, str, Any]:
    """Answer with the prompt."""
    return 200, "", answer(prompt)


def answer(text: str, stop: str = "end_turn") -> dict[str, Any]:
    """Return an answer of Converse."""
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": stop,
        "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
        "metrics": {"latencyMs": 1},
    }


class Stub:
    """A server whose `script` returns the response to each request: (200, "", body) or (status, error code,
    message)."""

    def __init__(self) -> None:
        self.script: Script = echo
        self.prompts: list[str] = []
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, code, content = stub.reply(self.path, body)
                payload = json.dumps(content if status == 200 else {"message": content}).encode()
                head = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(payload)}"]
                head += [f"x-amzn-ErrorType: {code}"] if code else []
                head += ["x-amzn-RequestId: 11111111-2222-3333-4444-555555555555"]
                self.wfile.write("\r\n".join([*head, "", ""]).encode() + payload)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                """A client that goes away is no error here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def reply(self, path: str, body: Any) -> tuple[int, str, Any]:
        messages = body.get("messages")
        prompt = messages[0]["content"][0]["text"] if messages else body.get("inputText", "")
        with self.lock:
            self.paths.append(path)
            self.bodies.append(body)
            self.prompts.append(prompt)
        return self.script(self, prompt)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Env:
    """Set the variables of a user's shell, and hide those of this machine."""

    CREDENTIALS: ClassVar = {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    }


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    yield stub
    stub.close()


@pytest.fixture
def desk(tmp_path: Path, stub: Stub) -> Desk:
    return Desk(tmp_path, stub)


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK", "BEDROCK_MODEL_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "")
    for name, value in Env.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
