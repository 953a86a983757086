from __future__ import annotations

import io
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from aws_bedrock_inference.cli.demo import compare
from aws_bedrock_inference.cli.demo.screen import shown, table
from aws_bedrock_inference.cli.demo.side import Side
from aws_bedrock_inference.cli.exit_codes import NOBODY_READS

DAY: dict[str, Any] = {"seed": 1, "quota": {"rpm": 60_000, "tpm": 10_000_000}}


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """Six prompts, of which the first and the fourth are streamed."""
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps({"id": f"p{n}", "prompt": f"prompt {n}"}) + "\n" for n in range(6)))
    return path


def compared(path: Path, *faults: dict[str, Any], terminal: bool = False, **options: Any) -> tuple[int, str]:
    output = io.StringIO()
    console = Console(file=output, width=100, force_terminal=terminal)
    code = compare(path, {**DAY, "faults": list(faults)}, console, **options)
    return code, output.getvalue()


def row(screen: str, name: str) -> list[str]:
    """Return the three values in the row `name`: boto3, boto3 with its best settings, and this package."""
    found = re.search(rf"^ ?{re.escape(name)}  +(.+?)  +(.+?)  +(.+?) *$", screen, re.MULTILINE)
    assert found, screen
    return [found[1], found[2], found[3]]


def test_boto3_loses_or_truncates_broken_streams_and_this_package_repeats_them(prompts: Path) -> None:
    broken = {"kind": "exception", "code": "internalServerException", "after": 2, "requests": [1]}
    code, seen = compared(prompts, broken, {"kind": "truncate", "after": 3, "requests": [2]})
    assert code == 0
    assert row(seen, "complete answers [1]") == ["4 of 6", "4 of 6", "6 of 6"]
    assert row(seen, "failed with an error") == ["1", "1", "0"]
    assert row(seen, "truncated without an error [2]") == ["1", "1", "0"]
    assert row(seen, "requests to the service") == ["6", "6", "8"]


def test_boto3_loses_no_answer_when_there_are_no_faults(prompts: Path) -> None:
    code, seen = compared(prompts)
    assert code == 0
    assert row(seen, "complete answers [1]") == ["6 of 6", "6 of 6", "6 of 6"]
    assert row(seen, "requests to the service") == ["6", "6", "6"]
    assert "not answered in time" not in seen


def test_boto3_makes_more_attempts_with_its_best_settings(prompts: Path) -> None:
    refusals = {"kind": "error", "code": "InternalServerException", "operation": "ConverseStream", "first": 3}
    code, seen = compared(prompts, refusals, prompts=1)
    assert code == 0
    assert row(seen, "complete answers [1]") == ["0 of 1", "1 of 1", "1 of 1"]
    assert row(seen, "requests to the service") == ["3", "4", "4"]


def test_the_demo_fails_if_this_package_did_not_answer_all(prompts: Path) -> None:
    code, seen = compared(prompts, {"kind": "error", "code": "ValidationException", "requests": [2]})
    assert code == 1
    assert row(seen, "complete answers [1]") == ["5 of 6", "5 of 6", "5 of 6"]
    assert row(seen, "failed with an error") == ["1", "1", "1"]


def test_a_file_with_too_few_prompts_is_used_repeatedly(prompts: Path) -> None:
    _, seen = compared(prompts, prompts=9)
    assert row(seen, "complete answers [1]") == ["9 of 9", "9 of 9", "9 of 9"]


def test_the_demo_reports_what_boto3_did_not_answer_in_time() -> None:
    stats = {"arrived": 9, "throttled": {}, "tokens": {"charged": 0.0}}
    late = Side("boto3 adaptive", lambda: 60.0, {"p0": "yes"}, ["ThrottlingException"], stats=stats)
    ours = Side("this package", lambda: 60.0, dict.fromkeys(("p0", "p1", "p2"), "yes"), stats=stats)
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as seen:
        console.print(table((late, ours), ours.answers, 1_000))
    assert re.search(r"not answered in time +1 +0", seen.get())


def test_the_screen_shows_the_faults_and_the_settings_of_each_client(prompts: Path) -> None:
    _, seen = compared(prompts)
    assert "6 prompts, every third answered as a stream, on a simulated bad day" in seen
    assert "60,000 requests and 10,000,000 tokens per minute" in seen
    assert re.search(r"boto3 [\d.]+ runs with 24 threads: once with its default retries", seen)
    assert "mode adaptive, 10 attempts" in seen


def test_no_line_is_wider_than_a_narrow_terminal(prompts: Path) -> None:
    output = io.StringIO()
    compare(prompts, {**DAY, "quota": {"rpm": 480, "tpm": 360_000}}, Console(file=output, width=80))
    running = re.compile(r"\d+:\d\d ")  # the lines that a log has
    lines = [line for line in output.getvalue().splitlines() if not running.match(line)]
    assert max(map(len, lines)) <= 80
    assert "prompts, every third" in lines[0]
    assert lines[4] == "", "a sentence was broken"


def test_a_terminal_shows_all_clients_while_they_run(prompts: Path) -> None:
    _, seen = compared(prompts, terminal=True)
    for name in ("boto3 default", "boto3 adaptive", "this package"):
        assert re.search(rf"{name}.*answered   6", seen)


def test_the_readme_shows_what_the_demo_prints(prompts: Path) -> None:
    """The example output, except for its numbers, which differ between runs."""
    readme = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    _, seen = compared(prompts)

    def words(text: str) -> list[str]:
        shown = re.search(r"boto3 default +boto3 adaptive.*?counts failed requests against it", text, re.DOTALL)
        assert shown
        lines = re.sub(r"\d+[.:\d]*( of \d+)?%?|[ ─]+", " ", shown[0]).splitlines()
        return [line.strip() for line in lines if line.strip()]

    assert words(readme) == words(seen)


def test_the_demo_ends_when_its_output_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(Console):
        def print(self, *_: Any, **__: Any) -> None:
            raise SystemExit(NOBODY_READS)

    monkeypatch.setattr("aws_bedrock_inference.cli.demo.screen._LINE_EVERY", 0.001)
    sides = [Side("this package", lambda: 0.0)]
    with pytest.raises(SystemExit) as ended, shown(Closed(file=io.StringIO()), sides, 1):
        threading.Event().wait(30.0)
    assert ended.value.code == NOBODY_READS
