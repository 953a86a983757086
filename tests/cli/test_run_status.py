"""`bedrock run status`, `bedrock run list`, and the output of `--progress json`."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner
from support.desk import MODEL, Hold, refuse

from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from support.desk import Desk


def look(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["run", *map(str, arguments)])


def test_the_status_of_a_run_is_shown_while_it_runs_and_after_a_kill(desk: Desk) -> None:
    desk.prompts(40)
    hold = desk.stub.script = Hold(at=20)
    child = desk.child("--concurrency", "4")
    assert hold.reached.wait(60)
    seen = json.loads(look("status", desk.output, "--json").stdout)
    assert (seen["state"], seen["records"], seen["pid"]) == ("running", 40, child.pid)
    assert seen["answered"] + seen["in_flight"] + seen["missing"] >= 40
    assert 1 <= seen["in_flight"] <= 4
    child.kill()
    child.communicate(timeout=60)
    said = look("status", desk.output).stdout
    assert said.startswith(f"{desk.output}: killed, 40 records: ")
    assert "  The journal does not contain the end of the run: the process was killed, or the disk was full.\n" in said
    assert "in flight when the run ended; the next run sends them again" in said
    hold.let_go.set()
    result = desk.run()
    assert result.exit_code == 0
    assert "were in flight when an earlier run was killed" in result.stderr
    assert look("status", desk.output).stdout.startswith(
        f"{desk.output}: complete, 40 records: 40 answered, 0 failed, 0 missing\n"
    )


def test_failures_are_shown_with_their_reasons(desk: Desk) -> None:
    desk.prompts(3)
    desk.stub.script = refuse(400, "ValidationException", "Input is too long for requested model.", "prompt 2")
    desk.run()
    said = look("status", f"{desk.output}.journal").stdout
    assert "3 records: 2 answered, 1 failed, 0 missing" in said
    assert "1 failed with ValidationException: Input is too long for requested model." in said
    assert MODEL in said


def test_the_status_shows_why_a_run_gave_up(desk: Desk) -> None:
    desk.prompts(30)
    desk.stub.script = refuse(403, "AccessDeniedException", "You don't have access to the model.")
    assert desk.run().exit_code == 3
    said = look("status", desk.output).stdout
    assert "gave up, 30 records: 0 answered, 0 failed, 30 missing" in said
    assert "every call fails with AccessDeniedException: You don't have access to the model." in said


def test_the_runs_of_a_directory_are_listed(desk: Desk, tmp_path: Path) -> None:
    assert "contains no journal of a run" in look("list", tmp_path).stderr
    desk.prompts(3)
    desk.run()
    (tmp_path / "other.jsonl.journal").write_text("my diary")
    result = look("list", tmp_path)
    assert result.stdout == f"{desk.output}: complete, 3 records: 3 answered, 0 failed, 0 missing\n"
    assert "other.jsonl.journal cannot be read" in result.stderr
    assert json.loads(look("list", tmp_path, "--json").stdout)["answered"] == 3


def test_a_path_without_a_journal_is_reported(desk: Desk, tmp_path: Path) -> None:
    result = look("status", tmp_path / "nothing.jsonl")
    assert (result.exit_code, "The journal" in result.stderr) == (2, True)
    sqlite3.connect(tmp_path / "x.journal").execute("CREATE TABLE a (b)").connection.close()
    assert "is not a journal of `bedrock run`" in look("status", tmp_path / "x.journal").stderr


def test_json_progress_is_one_object_on_each_line(desk: Desk) -> None:
    desk.prompts(3)
    result = desk.run("--progress", "json")
    last = json.loads(next(line for line in result.stderr.splitlines() if line.startswith("{")))
    assert (last["records"], last["answered"], last["failed"], last["ended"]) == (3, 3, 0, "complete")
