"""Measure what callers get under each fault: this package, boto3, anthropic, langchain-aws, litellm and strands.

Each cell is a call in a separate process, against a separate simulator that runs the scenario. A cell contains what the
caller got, the number of requests that the service received, and the seconds that the call took:

    complete    the complete answer
    flagged     a part of the answer, and a stop reason that shows this, such as content_filtered
    error       an exception
    WRONG       a part of the answer, or nothing, and no sign that something is missing
    waiting     nothing after 270 seconds

Run this with the interpreter of .venv. litellm runs with that of .venv-peers, and strands with that of .venv-strands
(`pip install strands-agents`). A client whose environment does not exist is left out.

    python bench/faults.py                            every scenario: about 25 minutes
    python bench/faults.py --only stream,503          scenarios whose name contains one of these words
    python bench/faults.py --client boto3 --client "mine=python my_client.py"
    python bench/faults.py --markdown --keep cells.json     print Markdown; cells in the file are not run again
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fault_clients import CLIENTS
from fault_protocol import HOME, MODEL, NEXT, PATIENCE, Task, environment
from fault_scenarios import GROUPS, Scenario
from rich.console import Console
from rich.table import Table

from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent
ENVIRONMENTS = {"litellm Router": ".venv-peers", "strands": ".venv-strands"}
AT_ONCE = 10
COMPLETE, TOLD, FAILED, DAMAGED, WAITING = "complete", "flagged", "error", "WRONG", "waiting"

# Stop reasons of complete answers. Any other reason shows the caller that a part is missing.
USUAL = {None, "", "end_turn", "tool_use", "stop", "tool_calls"}


@dataclass(frozen=True)
class Cell:
    """The result of one client in one scenario."""

    results: dict[str, int]
    requests: int
    tokens: int
    seconds: float
    said: str

    def __str__(self) -> str:
        several = sum(self.results.values()) > 1
        results = ", ".join(f"{count} {result}" if several else result for result, count in self.results.items())
        return f"{results} · {self.requests} · {self.seconds:.0f} s"


class Program:
    """A client that is a separate program, which is run once for each task."""

    def __init__(self, command: list[str]) -> None:
        self.command = command

    def called(self, task: Task) -> list[dict[str, Any]]:
        """Return the client's line for each call. If the client was still waiting at the end, lines are missing."""
        with subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                said, complaints = process.communicate(json.dumps(task._asdict()) + "\n", timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                said, complaints = process.communicate()[0], ""
        return _lines(said) or ([{"error": complaints[-400:], "seconds": 0.0}] if complaints else [])


class Loaded:
    """A client in `CLIENTS`: a process that has loaded the client, and forks for each task."""

    def __init__(self, python: Path, name: str, url: str, stack: contextlib.ExitStack) -> None:
        self.path = str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tasks")
        command = [str(python), str(HERE / "fault_clients.py"), name, self.path, url]
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(process.terminate)
        if process.stdout is None or not any("ready" in line for line in process.stdout):
            raise SystemExit(f"{name} cannot be loaded")

    def called(self, task: Task) -> list[dict[str, Any]]:
        """Return the client's line for each call. If the client was still waiting at the end, lines are missing."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.path)
            connection.sendall(json.dumps(task._asdict()).encode() + b"\n")
            with connection.makefile("r") as answers:
                return _lines(answers.read())


def _lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def asked_for(names: Iterable[str], stack: contextlib.ExitStack) -> dict[str, Program | Loaded]:
    """Return the clients with these names in `CLIENTS`. A name of the form NAME=COMMAND adds another client."""
    found: dict[str, Program | Loaded] = {}
    healthy = stack.enter_context(simulator())
    for asked in names:
        name, _, command = asked.partition("=")
        place = ENVIRONMENTS.get(name)
        python = Path(sys.executable) if place is None else HERE.parent / place / "bin" / "python"
        if command:
            found[asked] = Program(shlex.split(command))
        elif python.exists():
            found[name] = Loaded(python, name, healthy.url, stack)
        else:
            print(f"{name} is left out: {place} does not exist", file=sys.stderr)
    return found


def cell(client: Program | Loaded, scenario: Scenario, truth: str) -> Cell:
    """Run one client through one scenario."""
    with simulator(faults=scenario.faults, **scenario.options) as service:
        began = time.monotonic()
        said = client.called(_task(service, scenario.ask, scenario.model, scenario.calls))
        took = time.monotonic() - began
        stats = _stats(service)
    results: dict[str, int] = {}
    for one in said:
        result = judged(one, truth, scenario.ask)
        results[result] = results.get(result, 0) + 1
    if len(said) < scenario.calls:
        results[WAITING] = scenario.calls - len(said)
    last = said[-1] if said else {}
    seconds = sum(one["seconds"] for one in said) if all("seconds" in one for one in said) and said else took
    words = last.get("error") or f"{last.get('stop')}: {last.get('text', '')[-80:]}"
    return Cell(results, stats["arrived"], stats["tokens"]["output"], seconds, words)


def _task(service: Simulator, ask: str, model: str = MODEL, calls: int = 1) -> Task:
    return Task(service.url, ask, model, HOME, MODEL, NEXT, calls)


def _stats(service: Simulator) -> dict[str, Any]:
    for _ in range(30):
        with contextlib.suppress(OSError):  # connections are refused for now
            return service.stats()
        time.sleep(1)
    return service.stats()


def judged(said: dict[str, Any], truth: str, ask: str) -> str:
    """Return the result that the caller of one call received."""
    if "error" in said:
        return FAILED
    if _value(said["text"], ask) == _value(truth, ask):
        return COMPLETE
    return DAMAGED if said.get("stop") in USUAL else TOLD


def _value(text: str, ask: str) -> Any:
    if ask != "tool":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def truths(clients: dict[str, Program | Loaded], pool: Executor) -> dict[tuple[str, str], str]:
    """Return each client's answers in a run without faults. A client does not need to support all three kinds of
    calls.
    """
    with simulator() as service:
        runs = {
            (name, ask): pool.submit(client.called, _task(service, ask))
            for name, client in clients.items()
            for ask in ("whole", "stream", "tool")
        }
        said = {key: run.result() for key, run in runs.items()}
    found = {key: lines[0]["text"] for key, lines in said.items() if lines and "text" in lines[0]}
    for missing in said.keys() - found.keys():
        print(f"{' '.join(missing)}: no answer in a run without faults: {said[missing]}", file=sys.stderr)
    return found


def measured(names: list[str], scenarios: list[Scenario], kept: Path | None) -> dict[str, Cell]:
    """Return the cells by "scenario | client". Cells in the file are read from it. The others are measured and
    written to it.
    """
    known: dict[str, Any] = json.loads(kept.read_text()) if kept and kept.exists() else {}
    cells = {key: Cell(**value) for key, value in known.items()}
    missing = [
        (scenario, name)
        for scenario in sorted(scenarios, key=_longest_first)
        for name in names
        if key_of(scenario, name) not in cells
    ]
    with contextlib.ExitStack() as stack:
        clients = asked_for(dict.fromkeys(name for _, name in missing), stack)
        pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        truth = truths(clients, pool)
        runs = {
            pool.submit(cell, clients[name], scenario, truth[name, scenario.ask]): key_of(scenario, name)
            for scenario, name in missing
            if (name, scenario.ask) in truth
        }
        for run in as_completed(runs):
            cells[runs[run]] = run.result()
            if kept:
                kept.write_text(json.dumps({key: asdict(each) for key, each in cells.items()}, indent=1))
    return cells


def key_of(scenario: Scenario, name: str) -> str:
    """Return the key of a cell. The command that runs a client is not a part of the key."""
    return f"{scenario.name} | {name.partition('=')[0]}"


def _longest_first(scenario: Scenario) -> bool:
    lasting = ("stall", "outage", "not-ready")
    return not any(fault["kind"] in lasting or "until" in fault for fault in scenario.faults)


def main() -> None:
    """Run the scenarios and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--only", default="", help="run scenarios whose name contains one of these words (separated by commas)"
    )
    parser.add_argument("--client", action="append", help="a name, or NAME=COMMAND; repeatable")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--keep", type=Path, help="store cells in this JSON file; do not run its cells again")
    parser.add_argument("--say", action="store_true", help="also print the error or the end of the answer of each cell")
    asked = parser.parse_args()
    environment()
    words = [word for word in asked.only.split(",") if word]
    groups = {
        title: [one for one in scenarios if not words or any(word in one.name for word in words)]
        for title, scenarios in GROUPS.items()
    }
    names = asked.client or list(CLIENTS)
    cells = measured(names, [one for scenarios in groups.values() for one in scenarios], asked.keep)
    titles = [name.partition("=")[0] for name in names]
    for title, scenarios in groups.items():
        if scenarios:
            rows = [(one.name, [cells.get(key_of(one, name)) for name in names]) for one in scenarios]
            show(title, titles, rows, markdown=asked.markdown, say=asked.say)


def show(
    title: str, clients: list[str], rows: list[tuple[str, list[Cell | None]]], *, markdown: bool, say: bool
) -> None:
    """Print the table for one group of scenarios."""
    if markdown:
        print(f"\n| {title} | " + " | ".join(clients) + " |\n|---" + "|---" * len(clients) + "|")
        for name, found in rows:
            print("| " + " | ".join([name, *map(_shown, found)]) + " |")
    else:
        table = Table(title, *clients)
        for name, found in rows:
            table.add_row(name, *map(_shown, found))
        Console(width=220).print(table)
    if say:
        for name, found in rows:
            for client, one in zip(clients, found, strict=True):
                if one is not None:
                    print(f"{name} | {client} | {one} | {one.tokens} tokens | {one.said}")


def _shown(cell: Cell | None) -> str:
    return "" if cell is None else str(cell)


if __name__ == "__main__":
    main()
