from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference.batch.journal import Journal
from aws_bedrock_inference.batch.keys import Keys
from aws_bedrock_inference.batch.records import Record

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = '{"id": "p1", "text": "Hi", "stop_reason": "end_turn"}\n'
BATCH_ANSWER = '{"recordId": "r1", "modelInput": {}, "modelOutput": {}}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_answer_is_in_the_file_as_soon_as_it_is_given(path: Path) -> None:
    with Journal(path) as journal:
        journal.answer({"id": "p1", "text": "Grüße"})
        assert lines(path) == [{"id": "p1", "text": "Grüße"}]


def test_the_next_run_knows_what_is_answered(path: Path) -> None:
    path.write_text(ANSWER + "\n" + BATCH_ANSWER)
    with Journal(path) as journal:
        assert "p1" in journal.answered
        assert "r1" in journal.answered
        assert "p2" not in journal.answered


@pytest.mark.parametrize("kept", range(1, len('{"id": "p2", "text": "a}"}')))
def test_the_torn_end_of_a_killed_run_is_cut_off_wherever_it_tore(path: Path, kept: int) -> None:
    path.write_text(ANSWER + '{"id": "p2", "text": "a}"}'[:kept])
    with Journal(path) as journal:
        assert "p1" in journal.answered
        assert "p2" not in journal.answered
        journal.answer({"id": "p2", "text": "b"})
    assert [line["id"] for line in lines(path)] == ["p1", "p2"]


def test_zeros_left_by_a_power_cut_are_cut_off(path: Path) -> None:
    path.write_bytes(ANSWER.encode() + b"\0" * 100)
    with Journal(path):
        pass
    assert path.read_text() == ANSWER


def test_a_whole_answer_without_its_newline_is_kept(path: Path) -> None:
    path.write_text(ANSWER.rstrip())
    with Journal(path) as journal:
        assert "p1" in journal.answered
        journal.answer({"id": "p2", "text": "b"})
    assert [line["id"] for line in lines(path)] == ["p1", "p2"]


@pytest.mark.parametrize(
    "content",
    ['{"id": "p1", "prompt": "Hello"}\n', '{"id": "p1", "prompt": "Hello"}', "my diary", "my diary\n", '{"id": 3}\n'],
)
def test_a_file_of_anything_else_is_never_touched(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(ValueError, match="line 1, is not an answer"):
        Journal(path)
    assert path.read_text() == content


def test_two_runs_cannot_write_one_file(path: Path) -> None:
    with Journal(path), pytest.raises(ValueError, match="another run"):
        Journal(path)
    with Journal(path):
        pass


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        Journal(tmp_path / "pipe")


def test_failures_replace_those_of_the_run_before_only_at_the_end(path: Path) -> None:
    failed = Journal.failed_beside(path)
    failed.write_text("old\n")
    journal = Journal(path)
    journal.fail(Record("p1", {"id": "p1", "prompt": "Hello"}), {"code": "ThrottlingException"})
    assert failed.read_text() == "old\n"
    journal.close(publish=True)
    assert lines(failed) == [{"id": "p1", "prompt": "Hello", "error": {"code": "ThrottlingException"}}]


@pytest.mark.parametrize("publish", [True, False])
def test_without_failures_no_failures_file_is_left_unless_the_old_one_still_counts(
    path: Path, *, publish: bool
) -> None:
    failed = Journal.failed_beside(path)
    failed.write_text("old\n")
    Journal(path).close(publish=publish)
    assert failed.exists() is not publish
    assert [entry.name for entry in path.parent.glob("*.part")] == []


def test_half_a_surrogate_pair_survives(path: Path) -> None:
    with Journal(path) as journal:
        journal.answer({"id": "\ud83d", "text": "broken \ude00"})
    assert lines(path) == [{"id": "\ud83d", "text": "broken \ude00"}]
    with Journal(path) as journal:
        assert "\ud83d" in journal.answered


def test_keys_hold_what_was_added_through_many_growths() -> None:
    keys = Keys()
    assert all(keys.add(f"p{number}") for number in range(5000))
    assert not keys.add("p17")
    assert len(keys) == 5000
    assert all(f"p{number}" in keys for number in range(5000))
    assert not any(f"q{number}" in keys for number in range(5000))
