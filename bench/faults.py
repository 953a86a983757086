"""What the caller of each client gets under each fault: ours beside boto3, anthropic, langchain-aws and litellm.

Each cell is one call of one client against a simulator of its own, which does as the scenario says. The table has what
the caller got (the whole answer, an error, or a wrong answer that looks right), the requests that the service got, the
tokens that it wrote, which are paid, and the seconds. Run with the interpreter of .venv; litellm is run with that of
.venv-peers.

    python bench/faults.py                        every scenario: about ten minutes
    python bench/faults.py --only stream,503      those with one of these words in their name
    python bench/faults.py --markdown             the table as Markdown
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_clients import CLIENTS
from rich.console import Console
from rich.table import Table

from aws_bedrock_inference.testing import simulator

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"
PATIENCE = 260.0  # seconds for one call; more than all limits of the clients but their longest
AT_ONCE = 6
COMPLETE, FAILED, DAMAGED, WAITING = "whole", "error", "WRONG", "waits"


@dataclass(frozen=True)
class Scenario:
    """A name, the kind of call, and what the simulated service does."""

    name: str
    ask: str
    faults: list[dict[str, Any]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


def _error(code: str, first: int = 1, **more: Any) -> list[dict[str, Any]]:
    return [{"kind": "error", "code": code, "first": first, **more}]


def _stream(kind: str, after: int, **more: Any) -> list[dict[str, Any]]:
    return [{"kind": kind, "after": after, "first": 1, **more}]


SCENARIOS = [
    Scenario("no fault", "whole"),
    Scenario("throttled once", "whole", [{"kind": "throttle", "first": 1}]),
    Scenario("throttled six times", "whole", [{"kind": "throttle", "first": 6}]),
    Scenario("day's tokens exhausted", "whole", [{"kind": "throttle", "limit": "tokens-per-day"}]),
    Scenario("503 three times", "whole", _error("ServiceUnavailableException", 3)),
    Scenario("500 twice", "whole", _error("InternalServerException", 2)),
    Scenario("424 model error once", "whole", _error("ModelErrorException")),
    Scenario("408 model timeout once", "whole", _error("ModelTimeoutException")),
    Scenario("reset before the answer", "whole", [{"kind": "reset", "first": 1}]),
    Scenario("connections refused for 3 s", "whole", [{"kind": "refused", "until": 3}]),
    Scenario("outage of 20 s", "whole", [{"kind": "outage", "until": 20}]),
    Scenario("model not ready for 20 s", "whole", [{"kind": "not-ready", "seconds": 20}]),
    Scenario("access denied", "whole", _error("AccessDeniedException", 99)),
    Scenario("invalid request", "whole", _error("ValidationException", 99)),
    Scenario("answer is broken JSON", "whole", [{"kind": "malformed", "first": 1}]),
    Scenario("whole answer after 90 s", "whole", options={"latency": {"first_token": 90}}),
    Scenario("silence of 200 s before the answer", "whole", [{"kind": "stall", "first": 1, "seconds": 200}]),
    Scenario("stream: 503 twice before it", "stream", _error("ServiceUnavailableException", 2)),
    Scenario("stream: cut before content", "stream", _stream("truncate", 1)),
    Scenario("stream: cut in the text", "stream", _stream("truncate", 9)),
    Scenario("stream: reset in the text", "stream", _stream("reset", 9)),
    Scenario("stream: modelStreamErrorException", "stream", _stream("exception", 9, code="ModelStreamErrorException")),
    Scenario("stream: throttle in the text", "stream", _stream("exception", 9, code="ThrottlingException")),
    Scenario("stream: damaged frame", "stream", _stream("malformed", 9)),
    Scenario("stream: silent in the text", "stream", _stream("stall", 9)),
    Scenario("stream: opens and stays empty", "stream", _stream("stall", 1)),
    Scenario("stream: first content after 90 s", "stream", options={"latency": {"first_token": 90}}),
    Scenario("tool: cut in its input", "tool", _stream("truncate", 5)),
    Scenario("tool: silent for 150 s in its input", "tool", _stream("stall", 5, seconds=150)),
]


@dataclass(frozen=True)
class Cell:
    """What one client's caller got."""

    result: str
    requests: int
    tokens: int
    seconds: float
    said: str

    def __str__(self) -> str:
        return f"{self.result} · {self.requests} · {self.tokens} · {self.seconds:.0f} s"


def called(client: str, scenario: Scenario, url: str) -> dict[str, str] | None:
    """Return what the client's process said; None if it was still waiting."""
    python = str(PEERS) if client.startswith("litellm") else sys.executable
    task = json.dumps({"url": url, "ask": scenario.ask})
    command = [python, str(HERE / "fault_clients.py"), client]
    try:
        done = subprocess.run(command, input=task, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    said: dict[str, str] = json.loads(lines[-1]) if lines else {"error": done.stderr[-300:]}
    return said


def cell(client: str, scenario: Scenario, truth: dict[tuple[str, str], str]) -> Cell:
    """Run one client through one scenario."""
    with simulator(faults=scenario.faults, **scenario.options) as service:
        began = time.monotonic()
        said = called(client, scenario, service.url)
        seconds = time.monotonic() - began
        stats = service.stats() if not any(fault["kind"] == "refused" for fault in scenario.faults) else None
    requests = stats["arrived"] if stats else 0
    tokens = stats["tokens"]["output"] if stats else 0
    if said is None:
        return Cell(WAITING, requests, tokens, seconds, "")
    if "error" in said:
        return Cell(FAILED, requests, tokens, seconds, said["error"])
    right = _same(said["text"], truth[client, scenario.ask], scenario.ask)
    return Cell(COMPLETE if right else DAMAGED, requests, tokens, seconds, said["text"][-80:])


def _same(text: str, truth: str, ask: str) -> bool:
    if ask != "tool":
        return text == truth
    try:
        return bool(json.loads(text) == json.loads(truth))
    except ValueError:
        return False


def truths(clients: list[str]) -> dict[tuple[str, str], str]:
    """Return each client's answers where nothing goes wrong."""
    found = {}
    with simulator() as service:
        for client in clients:
            for ask in ("whole", "stream", "tool"):
                said = called(client, Scenario("", ask), service.url)
                if said is None or "text" not in said:
                    raise SystemExit(f"{client} has no answer to {ask}: {said}")
                found[client, ask] = said["text"]
    return found


def main() -> None:
    """Run the scenarios and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="", help="words of scenarios, by comma")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="names of clients, by comma")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--say", action="store_true", help="print what each client said, too")
    asked = parser.parse_args()
    words = [word for word in asked.only.split(",") if word]
    scenarios = [one for one in SCENARIOS if not words or any(word in one.name for word in words)]
    clients = [name for name in asked.clients.split(",") if PEERS.exists() or not name.startswith("litellm")]
    truth = truths(clients)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        cells = {
            (scenario.name, client): pool.submit(cell, client, scenario, truth)
            for scenario in sorted(scenarios, key=lambda one: "s" not in one.name)
            for client in clients
        }
        rows = [(one.name, [cells[one.name, client].result() for client in clients]) for one in scenarios]
    if asked.markdown:
        print("| | " + " | ".join(clients) + " |\n|---" * 1 + "|---" * len(clients) + "|")
        for name, found in rows:
            print("| " + " | ".join([name, *map(str, found)]) + " |")
    else:
        table = Table("result · requests · tokens written · time", *clients)
        for name, found in rows:
            table.add_row(name, *map(str, found))
        Console(width=200).print(table)
    if asked.say:
        for name, found in rows:
            for client, one in zip(clients, found, strict=True):
                print(f"{name} | {client} | {one.said}")


if __name__ == "__main__":
    main()
