"""A directory with prompts, and `bedrock run` over it against a stub of the service."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "amazon.nova-lite-v1:0"


class Desk:
    """A folder with prompts, and the command that runs them against the stub."""

    def __init__(self, folder: Path, stub: Any) -> None:
        self.folder = folder
        self.stub = stub
        self.source = folder / "prompts.jsonl"
        self.output = folder / "answers.jsonl"

    def prompts(self, number: int) -> None:
        self.lines(*({"id": f"p{index}", "prompt": f"prompt {index}"} for index in range(1, number + 1)))

    def lines(self, *lines: Any) -> None:
        self.source.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))

    def arguments(self, *more: str) -> list[str]:
        return [
            "run",
            str(self.source),
            "-o",
            str(self.output),
            "--model",
            MODEL,
            "--endpoint-url",
            self.stub.url,
            *more,
        ]

    def run(self, *more: str, stdin: bytes | None = None) -> Any:
        return CliRunner().invoke(main, self.arguments(*more), input=stdin)

    def child(self, *more: str, stdin: int | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "aws_bedrock_inference.cli", *self.arguments(*more)]
        return subprocess.Popen(command, stdin=stdin, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own

    @property
    def answers(self) -> dict[Any, Any]:
        found = [json.loads(line) for line in self.output.read_text().splitlines()]
        assert len({line["id"] for line in found}) == len(found), "an id is answered twice"
        return {line["id"]: line for line in found}

    @property
    def failures(self) -> Path:
        return self.folder / "answers.jsonl.failed.jsonl"


def refuse(status: int, code: str, message: str, *prompts: str) -> Any:
    """Answer with an error, to those prompts or to all."""

    def script(stub: Any, prompt: str) -> Any:
        if not prompts or prompt in prompts:
            return status, code, message
        return 200, "", body(prompt)

    return script


def body(text: str, stop: str = "end_turn") -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": stop,
        "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
        "metrics": {"latencyMs": 1},
    }


class Hold:
    """Delays answers from the Nth request on until it is released; `reached` is set when it delays one."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.reached = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, stub: Any, prompt: str) -> Any:
        if len(stub.prompts) >= self.at:
            self.reached.set()
            self.let_go.wait(60)
        return 200, "", body(prompt)
