"""The journal, and the output file that is exported from it."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference.batch import journal_file
from aws_bedrock_inference.batch.fates import Asking, Changed, Fate, JournalBroken, State, written
from aws_bedrock_inference.batch.journal import Journal
from aws_bedrock_inference.batch.keys import Keys
from aws_bedrock_inference.batch.output import Output, adopted
from aws_bedrock_inference.batch.records import Record
from aws_bedrock_inference.batch.spooled import spooled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASKING = Asking("model-a")


class Files:
    """An output and its journal, opened as a run opens them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "answers.jsonl"
        self.said: list[str] = []

    def open(self, *, in_order: bool = False) -> None:
        self.output = Output(self.path, self.said.append, in_order=in_order)
        try:
            self.journal = Journal(journal_file.journal_of(self.path))
            if not self.journal.size:
                self.journal.adopt(adopted(self.path))
            self.output.begin(self.journal)
        except ValueError:
            self.abandon()
            raise
        self.journal.begin()

    def spool(self, *keys: str, prompt: str = "x", asking: Asking = ASKING, on_change: str = "refuse") -> None:
        records = [Record(key, {"id": key, "prompt": prompt}) for key in keys]
        self.journal.spool([spooled(record, asking) for record in records], on_change)

    def answer(self, *keys: str, text: str = "Hi") -> None:
        """Claim all that waits, and answer these."""
        numbers = {record.key: number for number, record in self.journal.turn([], 1000)}
        lines = {key: written({"id": key, "text": text}) for key in keys}
        self.journal.turn([Fate(numbers[key], State.ANSWERED, lines[key]) for key in keys], 0)
        self.output.follow()

    def end(self) -> None:
        self.journal.note(ended="complete")
        self.output.close()
        self.journal.close()

    def abandon(self) -> None:
        """Close as a kill does: without a last word."""
        self.output.release()
        if hasattr(self, "journal"):
            self.journal.close()

    @property
    def ids(self) -> list[str]:
        return [json.loads(line)["id"] for line in self.path.read_text().splitlines()]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    files = Files(tmp_path)
    yield files
    if hasattr(files, "output"):
        files.abandon()


def test_an_answer_is_in_the_output_file_as_soon_as_it_is_durable(files: Files) -> None:
    files.open()
    files.spool("p1", "p2")
    files.answer("p2", text="Grüße")
    assert json.loads(files.path.read_text()) == {"id": "p2", "text": "Grüße"}


def test_only_the_owner_can_read_the_journal_and_a_closed_journal_is_one_file(files: Files) -> None:
    files.open()
    files.spool("p1")
    path = files.journal.path
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.glob("*.journal*")} == {0o600}
    files.end()
    assert [each.name for each in sorted(path.parent.iterdir())] == ["answers.jsonl", "answers.jsonl.journal"]


def test_records_in_flight_at_a_kill_are_known_and_sent_again(files: Files) -> None:
    files.open()
    files.spool("p1", "p2", "p3")
    files.journal.turn([], 2)
    files.abandon()
    journal = Journal(journal_file.journal_of(files.path))
    assert journal.begin() == 2
    assert [record.key for _, record in journal.turn([], 9)] == ["p1", "p2", "p3"]
    journal.close()


def test_failed_records_are_repeated_by_a_new_run_and_not_by_a_resumed_one(files: Files) -> None:
    files.open()
    files.spool("p1")
    ((number, _),) = files.journal.turn([], 9)
    files.journal.turn([Fate(number, State.FAILED, json.dumps({"code": "Bad"}))], 0)
    files.abandon()
    files.open()
    assert files.journal.counts()[State.FAILED] == 1
    failed = files.path.with_name("answers.jsonl.failed.jsonl")
    files.end()
    assert json.loads(failed.read_text()) == {"id": "p1", "prompt": "x", "error": {"code": "Bad"}}
    files.open()
    assert files.journal.counts()[State.WAITING] == 1
    files.answer("p1")
    files.end()
    assert not failed.exists()


@pytest.mark.parametrize("seconds", [0.5, 60])
def test_a_journal_locked_by_another_program_is_waited_for(files: Files, seconds: float) -> None:
    files.open()
    files.spool("p1")
    other = sqlite3.connect(files.journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    files.journal._database.execute("PRAGMA busy_timeout = 0")
    slept: list[float] = []

    def sleep(pause: float) -> None:
        slept.append(pause)
        if sum(slept) >= seconds:
            other.execute("ROLLBACK")

    files.journal._sleep = sleep
    if seconds > 3:
        with pytest.raises(JournalBroken, match="database is locked"):
            files.journal.turn([], 1)
    else:
        assert len(files.journal.turn([], 1)) == 1
    other.close()


def test_no_record_can_be_answered_twice(files: Files) -> None:
    files.open()
    files.spool("p1")
    files.answer("p1")
    with pytest.raises(sqlite3.IntegrityError):
        files.journal.turn([Fate(1, State.ANSWERED, "again")], 0)
    assert files.journal.counts()[State.ANSWERED] == 1


@pytest.mark.parametrize(
    "change", [{"asking": Asking("model-b")}, {"prompt": "y"}, {"asking": Asking("model-a", "Be brief.")}]
)
def test_answers_to_changed_prompts_are_refused_kept_or_requested_again(files: Files, change: dict[str, Any]) -> None:
    files.open()
    files.spool("p1", "p2")
    files.answer("p1")
    with pytest.raises(Changed, match="p1"):
        files.spool("p1", **change)
    assert files.journal.counts()[State.ANSWERED] == 1
    files.spool("p1", on_change="keep", **change)
    files.spool("p1", **change)
    assert files.journal.counts()[State.ANSWERED] == 1
    files.spool("p1", on_change="ask")
    assert files.journal.counts()[State.WAITING] == 1
    files.answer("p1", text="anew")
    assert json.loads(files.path.read_text()) == {"id": "p1", "text": "anew"}


def test_an_unanswered_record_may_change(files: Files) -> None:
    files.open()
    files.spool("p1", "p2")
    files.spool("p1", prompt="better")
    assert [record.source["prompt"] for _, record in files.journal.turn([], 9)] == ["better", "x"]


def test_answers_can_be_written_in_the_order_of_the_input(files: Files) -> None:
    files.open(in_order=True)
    files.spool("p1", "p2", "p3")
    files.answer("p3", "p1")
    assert files.path.read_text() == ""
    files.end()
    assert files.ids == ["p1", "p3"]
    files.open(in_order=True)
    files.answer("p2")
    files.abandon()
    files.open(in_order=True)
    files.end()
    assert files.ids == ["p1", "p2", "p3"]
    files.open()
    assert files.ids == ["p3", "p1", "p2"]


def test_a_sample_is_reproducible_and_the_next_run_sends_the_rest(files: Files) -> None:
    files.open()
    files.spool(*(f"p{number}" for number in range(100)))
    files.journal.hold_all_but(10)
    first = {record.key for _, record in files.journal.turn([], 1000)}
    assert len(first) == 10
    files.journal.begin()
    files.journal.hold_all_but(10)
    assert {record.key for _, record in files.journal.turn([], 1000)} == first
    files.journal.begin()
    assert files.journal.counts()[State.WAITING] == 100


ANSWER = '{"id": "p1", "text": "Hi", "stop_reason": "end_turn"}\n'
BATCH_ANSWER = '{"recordId": "r1", "modelInput": {}, "modelOutput": {}}\n'
TORN = '{"id": "p2", "text": "a}"}'


@pytest.mark.parametrize(
    "content",
    [
        ANSWER + "\n" + BATCH_ANSWER,
        ANSWER + BATCH_ANSWER.rstrip(),
        (ANSWER + BATCH_ANSWER).replace("\n", "\r\n"),
        *(ANSWER + BATCH_ANSWER + TORN[:kept] for kept in range(1, len(TORN))),
        ANSWER + BATCH_ANSWER + "\0" * 100,
    ],
)
def test_the_answers_of_a_file_without_a_journal_are_imported(files: Files, content: str) -> None:
    files.path.write_text(content)
    files.open()
    files.spool("p0", "p1")
    assert files.journal.counts()[State.ANSWERED] == 2
    assert files.path.read_text() == ANSWER + BATCH_ANSWER
    files.answer("p0")
    files.end()
    files.open(in_order=True)
    files.end()
    assert [line.get("id") for line in map(json.loads, files.path.read_text().splitlines())] == [None, "p0", "p1"]


@pytest.mark.parametrize(
    "content",
    ['{"id": "p1", "prompt": "Hello"}\n', '{"id": "p1", "prompt": "Hello"}', "my diary", "my diary\n", '{"id": 3}\n'],
)
def test_a_file_without_answers_is_never_touched(files: Files, content: str) -> None:
    files.path.write_text(content)
    with pytest.raises(ValueError, match="line 1, is not an answer"):
        files.open()
    assert files.path.read_text() == content
    assert [each.name for each in files.path.parent.iterdir()] == ["answers.jsonl"]


@pytest.mark.parametrize("kept", range(0, 90, 7))
@pytest.mark.parametrize("zeros", [0, 30])
def test_an_output_file_left_by_a_kill_or_power_cut_is_completed_from_the_journal(
    files: Files, kept: int, zeros: int
) -> None:
    files.open()
    files.spool("p1", "p2", "p3", "p4")
    files.answer("p3", "p1", "p2")
    whole = files.path.read_bytes()
    files.abandon()
    files.path.write_bytes(whole[:kept] + b"\0" * zeros)
    files.open()
    assert files.path.read_bytes() == whole


@pytest.mark.parametrize("change", [lambda lines: lines[::-1], lambda lines: [*lines, b"mine\n"], lambda lines: [b"x"]])
def test_an_output_file_changed_by_another_program_is_not_touched(files: Files, change: Any) -> None:
    files.open()
    files.spool("p1", "p2")
    files.answer("p1", "p2")
    files.end()
    theirs = b"".join(change(files.path.read_bytes().splitlines(keepends=True)))
    files.path.write_bytes(theirs)
    with pytest.raises(ValueError, match=r"does not match its journal answers.jsonl.journal.*Move it away"):
        files.open()
    assert files.path.read_bytes() == theirs
    files.path.unlink()
    files.open()
    assert files.ids == ["p1", "p2"]
    assert "was missing and is written again" in files.said[0]


def test_two_runs_cannot_write_one_file(files: Files) -> None:
    files.open()
    with pytest.raises(ValueError, match="another run"):
        Journal(files.journal.path)
    assert journal_file.is_held(files.journal.path)
    files.end()
    assert not journal_file.is_held(files.journal.path)
    files.open()


def test_a_journal_of_a_newer_version_is_refused_with_a_sentence(files: Files) -> None:
    files.open()
    files.spool("p1")
    files.end()
    database = sqlite3.connect(files.journal.path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ValueError, match=r"newer version of this package .*update aws-bedrock-inference"):
        Journal(files.journal.path)


@pytest.mark.parametrize("content", [b"my diary, long enough to be a page" * 200, b"SQLite format 3\0" + b"x" * 5000])
def test_a_file_that_is_not_a_journal_is_refused_and_not_touched(files: Files, content: bytes) -> None:
    path = journal_file.journal_of(files.path)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged or is not a file of a journal of `bedrock run`"):
        files.open()
    assert path.read_bytes() == content


def test_a_damaged_journal_is_reported_by_name(files: Files) -> None:
    files.open()
    files.spool(*(f"p{number}" for number in range(2000)))
    files.end()
    with files.journal.path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 40_000)
    with pytest.raises((ValueError, JournalBroken), match=r"answers.jsonl.journal.*malformed"):
        files.open()


def test_a_network_file_system_is_refused_with_the_reason(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_file, "network_of", lambda path: "nfs4")
    with pytest.raises(ValueError, match=r"would be on nfs4, a network file system. SQLite's write-ahead log"):
        files.open()


def test_a_pipe_is_refused(files: Files) -> None:
    os.mkfifo(files.path)
    with pytest.raises(ValueError, match="not a regular file"):
        files.open()


@pytest.mark.parametrize("lasting", [False, True], ids=["for a moment", "for ever"])
def test_a_full_disk_delays_an_export_and_loses_nothing(files: Files, *, lasting: bool) -> None:
    files.open()
    files.spool("p1")
    ((number, _),) = files.journal.turn([], 1)
    database, slept = files.journal._database, list[float]()
    database.execute("PRAGMA max_page_count = 1")

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if not lasting and sum(slept) >= 0.1:
            database.execute("PRAGMA max_page_count = 100000")

    files.journal._sleep = sleep
    fate = Fate(number, State.ANSWERED, written({"id": "p1", "text": "x" * 100_000}))
    if lasting:
        with pytest.raises(JournalBroken, match=r"journal: database or disk is full. Free space on the disk of /"):
            files.journal.turn([fate], 0)
        assert sum(slept) > 3
    else:
        files.journal.turn([fate], 0)
    assert files.journal.counts()[State.ANSWERED] == (not lasting)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_long_answers_are_read_in_pieces(files: Files) -> None:
    files.open()
    files.spool(*(f"p{number}" for number in range(12)))
    files.answer(*(f"p{number}" for number in range(12)), text="x" * 1_000_000)
    assert [len(piece) for piece in files.journal.answers()] == [4, 4, 4]
    assert [len(piece) for piece in files.journal.answers(up_to=12)] == [4, 4, 4]
    assert files.ids == [f"p{number}" for number in range(12)]


def test_half_a_surrogate_pair_survives(files: Files) -> None:
    files.open()
    files.spool("p1")
    files.answer("p1", text="broken \ude00")
    assert json.loads(files.path.read_text()) == {"id": "p1", "text": "broken \ude00"}


def test_the_set_of_ids_keeps_every_id_while_it_grows() -> None:
    keys = Keys()
    assert all(keys.add(f"p{number}") for number in range(5000))
    assert not keys.add("p17")
    assert len(keys) == 5000
    assert all(f"p{number}" in keys for number in range(5000))
    assert not any(f"q{number}" in keys for number in range(5000))
