"""What the caller of each client gets under each fault: ours beside boto3, anthropic, langchain-aws, litellm and strands.

Each cell is a client's call in a process of its own against a simulator of its own, which does as the scenario says. It
has what the caller got, the requests that the service got, and the seconds that the call took:

    whole    the whole answer
    told     part of an answer, with a reason that says so, such as content_filtered
    error    an exception
    WRONG    a part of the answer, or none, that looks like a whole one
    waits    nothing yet after 270 seconds

Run with the interpreter of .venv. litellm is run with that of .venv-peers and strands with that of .venv-strands, where
they are (`pip install strands-agents`).

    python bench/faults.py                            every scenario: about 25 minutes
    python bench/faults.py --only stream,503          those with one of these words in their name
    python bench/faults.py --client boto3 --client "mine=python my_client.py"
    python bench/faults.py --markdown --keep cells.json     as Markdown; cells that the file has are not run again
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fault_clients import CLIENTS, Task
from fault_scenarios import GROUPS, HOME, MODEL, NEXT, Scenario
from rich.console import Console
from rich.table import Table

from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent
ENVIRONMENTS = {"litellm Router": ".venv-peers", "strands": ".venv-strands"}
PATIENCE = 270.0  # seconds for the calls of one cell
AT_ONCE = 20
COMPLETE, TOLD, FAILED, DAMAGED, WAITING = "whole", "told", "error", "WRONG", "waits"

# Reasons that say nothing of a missing part; every other one does.
USUAL = {None, "", "end_turn", "tool_use", "stop", "tool_calls"}


@dataclass(frozen=True)
class Cell:
    """What one client's caller got."""

    results: dict[str, int]
    requests: int
    tokens: int
    seconds: float
    said: str

    def __str__(self) -> str:
        several = sum(self.results.values()) > 1
        results = ", ".join(f"{count} {result}" if several else result for result, count in self.results.items())
        return f"{results} · {self.requests} · {self.seconds:.0f} s"


def command_of(client: str) -> list[str] | None:
    """Return the command of one of `CLIENTS`; None if what it needs is not installed."""
    python = HERE.parent / ENVIRONMENTS[client] / "bin" / "python" if client in ENVIRONMENTS else Path(sys.executable)
    return [str(python), str(HERE / "fault_clients.py"), client] if python.exists() else None


def asked_for(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the commands of the clients: names of `CLIENTS`, or NAME=COMMAND for others."""
    found = {}
    for name in names:
        known, _, command = name.partition("=")
        given = command.split() if command else command_of(known)
        if given is None:
            print(f"{known} is left out: {ENVIRONMENTS[known]} is not there", file=sys.stderr)
        else:
            found[known] = given
    return found


def called(command: list[str], task: Task) -> list[dict[str, Any]]:
    """Return what the client's process said of each call; fewer if it was still waiting."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said, complaints = process.communicate(json.dumps(task._asdict()) + "\n", timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            said, complaints = process.communicate()
            complaints = ""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return lines if lines or not complaints else [{"error": complaints[-400:], "seconds": 0.0}]


def cell(command: list[str], scenario: Scenario, truth: str) -> Cell:
    """Run one client through one scenario."""
    with simulator(faults=scenario.faults, **scenario.options) as service:
        said = called(command, _task(service, scenario.ask, scenario.model, scenario.calls))
        stats = _stats(service)
    results: dict[str, int] = {}
    for one in said:
        result = judged(one, truth, scenario.ask)
        results[result] = results.get(result, 0) + 1
    if len(said) < scenario.calls:
        results[WAITING] = scenario.calls - len(said)
    last = said[-1] if said else {}
    seconds = sum(one["seconds"] for one in said) if len(said) == scenario.calls else PATIENCE
    words = last.get("error") or f"{last.get('stop')}: {last.get('text', '')[-80:]}"
    return Cell(results, stats["arrived"], stats["tokens"]["output"], seconds, words)


def _task(service: Simulator, ask: str, model: str = MODEL, calls: int = 1) -> Task:
    return Task(service.url, ask, model, HOME, MODEL, NEXT, calls)


def _stats(service: Simulator) -> dict[str, Any]:
    for _ in range(10):
        with contextlib.suppress(OSError):  # connections are refused for now
            return service.stats()
        time.sleep(1)
    return service.stats()


def judged(said: dict[str, Any], truth: str, ask: str) -> str:
    """Return what one call's caller got."""
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


def truths(clients: dict[str, list[str]], pool: Executor) -> dict[tuple[str, str], str]:
    """Return each client's answers where nothing goes wrong."""
    with simulator() as service:
        runs = {
            (client, ask): pool.submit(called, command, _task(service, ask))
            for client, command in clients.items()
            for ask in ("whole", "stream", "tool")
        }
        found = {key: run.result() for key, run in runs.items()}
    for (client, ask), said in found.items():
        if not said or "text" not in said[0]:
            raise SystemExit(f"{client} has no answer to {ask}: {said}")
    return {key: said[0]["text"] for key, said in found.items()}


def measured(clients: dict[str, list[str]], scenarios: list[Scenario], kept: Path | None) -> dict[str, Cell]:
    """Return the cells by "scenario | client"; those that the file has are read, the others run and written to it."""
    known: dict[str, Any] = json.loads(kept.read_text()) if kept and kept.exists() else {}
    cells = {key: Cell(**value) for key, value in known.items()}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        truth = truths(clients, pool)
        runs = {
            pool.submit(cell, command, scenario, truth[client, scenario.ask]): f"{scenario.name} | {client}"
            for scenario in sorted(scenarios, key=_longest_first)
            for client, command in clients.items()
            if f"{scenario.name} | {client}" not in cells
        }
        for run in as_completed(runs):
            cells[runs[run]] = run.result()
            if kept:
                kept.write_text(json.dumps({name: asdict(each) for name, each in cells.items()}, indent=1))
    return cells


def _longest_first(scenario: Scenario) -> bool:
    return not any(fault["kind"] in ("stall", "outage", "not-ready") for fault in scenario.faults)


def main() -> None:
    """Run the scenarios and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="", help="words of scenarios, by comma")
    parser.add_argument("--client", action="append", help="a name, or NAME=COMMAND; may be given several times")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--keep", type=Path, help="a file of the cells that were run")
    parser.add_argument("--say", action="store_true", help="print what each client said, too")
    asked = parser.parse_args()
    words = [word for word in asked.only.split(",") if word]
    groups = {
        title: [one for one in scenarios if not words or any(word in one.name for word in words)]
        for title, scenarios in GROUPS.items()
    }
    clients = asked_for(asked.client or CLIENTS)
    cells = measured(clients, [one for scenarios in groups.values() for one in scenarios], asked.keep)
    for title, scenarios in groups.items():
        if scenarios:
            rows = [(one.name, [cells[f"{one.name} | {client}"] for client in clients]) for one in scenarios]
            show(title, list(clients), rows, markdown=asked.markdown, say=asked.say)


def show(title: str, clients: list[str], rows: list[tuple[str, list[Cell]]], *, markdown: bool, say: bool) -> None:
    """Print the table of one group."""
    if markdown:
        print(f"\n| {title} | " + " | ".join(clients) + " |\n|---" + "|---" * len(clients) + "|")
        for name, found in rows:
            print("| " + " | ".join([name, *map(str, found)]) + " |")
    else:
        table = Table(title, *clients)
        for name, found in rows:
            table.add_row(name, *map(str, found))
        Console(width=220).print(table)
    if say:
        for name, found in rows:
            for client, one in zip(clients, found, strict=True):
                print(f"{name} | {client} | {one} | {one.tokens} tokens | {one.said}")


if __name__ == "__main__":
    main()
