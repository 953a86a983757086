"""The rejects file."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference.batch.records import BadLine, Record
from aws_bedrock_inference.batch.rejects import rejecting, rejects_beside

if TYPE_CHECKING:
    from pathlib import Path

BAD = [BadLine("in.jsonl", 2, "not JSON"), BadLine("docs/a.txt", 0, "the file is \ud83d empty")]
GOOD = Record("p1", {"id": "p1", "prompt": "Hi"})


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_reject_has_its_place_and_reason_and_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    before = os.umask(0)
    try:
        assert list(rejecting([GOOD, *BAD], output)) == [GOOD, *BAD]
    finally:
        os.umask(before)
    path = rejects_beside(output)
    assert path.name == "answers.jsonl.rejects.jsonl"
    assert lines(path) == [
        {"file": "in.jsonl", "line": 2, "reason": "not JSON"},
        {"file": "docs/a.txt", "line": None, "reason": "the file is \ud83d empty"},
    ]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_reject_is_written_before_the_next_record_is_read(tmp_path: Path) -> None:
    taken = rejecting([BAD[0], GOOD], tmp_path / "answers.jsonl")
    next(taken)
    assert len(lines(rejects_beside(tmp_path / "answers.jsonl"))) == 1
    taken.close()  # type: ignore[attr-defined] # a generator


def test_the_rejects_of_an_earlier_run_are_removed(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    elsewhere = tmp_path / "diary"
    elsewhere.write_text("mine")
    rejects_beside(output).symlink_to(elsewhere)
    list(rejecting(BAD, output))
    assert len(lines(rejects_beside(output))) == 2
    list(rejecting([GOOD], output))
    assert not rejects_beside(output).exists()
    assert elsewhere.read_text() == "mine"


def test_a_rejects_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    rejects_beside(tmp_path / "answers.jsonl").mkdir()
    with pytest.raises(OSError, match=r"answers\.jsonl\.rejects\.jsonl: "):
        list(rejecting(BAD, tmp_path / "answers.jsonl"))


def test_an_exception_of_the_reader_is_passed_on_unchanged(tmp_path: Path) -> None:
    def broken() -> Any:
        yield GOOD
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output") as caught:
        list(rejecting(broken(), tmp_path / "answers.jsonl"))
    assert caught.value.errno == 5
