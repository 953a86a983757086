from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from aws_bedrock_inference.cli.demo import compare

if TYPE_CHECKING:
    from pathlib import Path

DAY: dict[str, Any] = {"seed": 1, "quota": {"rpm": 60_000, "tpm": 10_000_000}}


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """Six, of which the first and the fourth are asked as streams."""
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps({"id": f"p{n}", "prompt": f"prompt {n}"}) + "\n" for n in range(6)))
    return path


def compared(prompts: Path, *faults: dict[str, Any], terminal: bool = False) -> tuple[int, str]:
    output = io.StringIO()
    code = compare(prompts, {**DAY, "faults": list(faults)}, Console(file=output, width=100, force_terminal=terminal))
    return code, output.getvalue()


def row(table: str, name: str) -> list[str]:
    """Return the two values that stand beside `name`."""
    found = re.search(rf"^ ?{re.escape(name)}  +(.+?)  +(.+?) *$", table, re.MULTILINE)
    assert found, table
    return [found[1], found[2]]


def test_broken_streams_are_lost_or_cut_by_one_side_and_asked_again_by_the_other(prompts: Path) -> None:
    broken = {"kind": "exception", "code": "internalServerException", "after": 2, "requests": [1]}
    code, table = compared(prompts, broken, {"kind": "truncate", "after": 3, "requests": [2]})
    assert code == 0
    assert row(table, "complete answers [1]") == ["4 of 6", "6 of 6"]
    assert row(table, "failed with an error") == ["1", "0"]
    assert row(table, "truncated, returned as complete [2]") == ["1", "0"]
    assert row(table, "requests to the service") == ["6", "8"]
    assert row(table, "requests per complete answer") == ["1.50", "1.33"]


def test_nothing_is_held_against_boto3_on_a_day_without_faults(prompts: Path) -> None:
    code, table = compared(prompts)
    assert code == 0
    assert row(table, "complete answers [1]") == ["6 of 6", "6 of 6"]
    assert row(table, "requests to the service") == ["6", "6"]


def test_it_fails_when_this_package_has_not_answered_all(prompts: Path) -> None:
    code, table = compared(prompts, {"kind": "error", "code": "ValidationException", "requests": [2]})
    assert code == 1
    assert row(table, "complete answers [1]") == ["5 of 6", "5 of 6"]
    assert row(table, "failed with an error") == ["1", "1"]


def test_the_table_says_how_both_were_asked(prompts: Path) -> None:
    _, table = compared(prompts)
    assert "[3] this package was configured with the quota: rpm 60,000 and tpm 10,000,000" in table
    assert re.search(r"boto3 [\d.]+: 24 threads, default retries", table)


def test_a_terminal_shows_both_sides_while_they_run(prompts: Path) -> None:
    _, seen = compared(prompts, terminal=True)
    assert re.search(r"plain boto3.*answered   6", seen)
    assert re.search(r"this package.*answered   6", seen)
