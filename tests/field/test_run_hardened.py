"""Records that could break a run, and systems that damage its files."""

from __future__ import annotations

import asyncio
import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import World

from aws_bedrock_inference.batch.answers import Answer
from aws_bedrock_inference.batch.ending import Ending
from aws_bedrock_inference.batch.fates import Asking, Fate, State
from aws_bedrock_inference.batch.intake import Intake
from aws_bedrock_inference.batch.journal import Journal
from aws_bedrock_inference.batch.journal_file import journal_of
from aws_bedrock_inference.batch.output import Output, failures_of
from aws_bedrock_inference.batch.records import Record
from aws_bedrock_inference.batch.runner import Run
from aws_bedrock_inference.batch.spooled import spooled
from aws_bedrock_inference.batch.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class Wordless(Exception):
    """An exception whose text cannot be read."""

    def __str__(self) -> str:
        raise RuntimeError


def carried_out(
    folder: Path, ask: Callable[[Record], Awaitable[Answer]], sources: list[dict[str, Any]]
) -> tuple[Ending, Tally, dict[str, Any], list[str]]:
    """Run the records; return how it ended, the counts, the errors by id, and the ids of the answers."""

    async def over() -> Ending:
        items = [spooled(Record(str(source["id"]), source), Asking("m")) for source in sources]
        intake = Intake(items, partial(journal.spool, on_change="refuse"))
        return await Run(intake, ask, journal, output, tally, concurrency=2).over()

    tally = Tally(World().clock)
    output = Output(folder / "answers.jsonl")
    with Journal(journal_of(output.path)) as journal:
        output.begin(journal)
        ending = asyncio.run(over())
        output.close()
    failed = [json.loads(line) for line in failures_of(output.path).read_text().splitlines()]
    answered = [json.loads(line)["id"] for line in output.path.read_text().splitlines()]
    return ending, tally, {line["id"]: line["error"] for line in failed}, answered


@pytest.mark.parametrize(
    "error",
    [
        KeyError("usage"),
        AssertionError(),
        AttributeError("'NoneType' object has no attribute 'get'"),
        OverflowError("int too large to convert to float"),
        ZeroDivisionError("float division by zero"),
        RecursionError("maximum recursion depth exceeded"),
        UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "surrogates not allowed"),
        MemoryError(),
        OSError(24, "Too many open files"),
        Wordless(),
        Exception("the key AKIAIOSFODNN7EXAMPLE was used"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_one_record_is_that_records_failure(tmp_path: Path, error: Exception) -> None:
    async def ask(record: Record) -> Answer:
        await asyncio.sleep(0)
        if record.key == "p2":
            raise error
        return Answer({"id": record.key, "text": "Hi"}, "end_turn")

    sources = [{"id": f"p{number}", "prompt": "x"} for number in range(1, 6)]
    ending, tally, failed, answered = carried_out(tmp_path, ask, sources)
    assert ending == Ending()
    assert (tally.answered, tally.failed) == (4, 1)
    assert set(answered) == {"p1", "p3", "p4", "p5"}
    assert (failed["p2"]["code"], failed["p2"]["decision"]) == (type(error).__name__, "FAIL")
    assert failed["p2"]["advice"]
    assert "AKIAIOSFODNN7EXAMPLE" not in failed["p2"]["errorMessage"]


@pytest.mark.parametrize("part", [nested(5000), b"bytes", {1, 2}, object()], ids=["deep", "bytes", "set", "object"])
def test_answers_and_records_that_json_cannot_represent_do_not_end_the_run(tmp_path: Path, part: Any) -> None:
    async def ask(record: Record) -> Answer:
        await asyncio.sleep(0)
        return Answer({"id": record.key, "text": part if record.key == "p1" else "Hi"}, "end_turn")

    sources = [{"id": "p1", "prompt": "x"}, {"id": "p2", "prompt": "x"}, {"id": "p3", "prompt": part}]
    ending, _, failed, answered = carried_out(tmp_path, ask, sources)
    assert (ending, answered, list(failed)) == (Ending(), ["p2"], ["p1", "p3"])
    assert all(error["advice"] for error in failed.values())


LINES = [f'{{"id": "p{number}", "text": "Grüße {"x" * number}"}}\n'.encode() for number in range(9)]


class Written:
    """An output whose answers a test puts into the journal one by one."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "answers.jsonl"
        self.said: list[str] = []
        self.output = Output(self.path, self.said.append)
        self.journal = Journal(journal_of(self.path))
        records = [Record(f"p{number}", {}) for number in range(len(LINES))]
        self.journal.spool([spooled(record, Asking("m")) for record in records], "refuse")
        self.output.begin(self.journal)

    def answer(self, number: int) -> None:
        self.journal.turn([Fate(number + 1, State.ANSWERED, LINES[number].decode())], 0)
        self.output.follow()

    def close(self) -> bytes:
        self.output.close()
        self.journal.close()
        return self.output.path.read_bytes()


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    written = Written(tmp_path)
    yield written
    written.output.release()
    written.journal.close()


class Disk:
    """`os.write` on a disk with space for `room` more bytes, at most `step` bytes per write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, room: int = 1 << 30, step: int = 1 << 30) -> None:
        self.room, self.step = room, step
        self._write = os.write
        monkeypatch.setattr("aws_bedrock_inference.batch.output.os.write", self)

    def __call__(self, file: int, data: bytes) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        written = self._write(file, data[: min(self.room, self.step)])
        self.room -= written
        return written


@pytest.mark.parametrize("room", range(1, len(LINES[0])))
def test_a_torn_line_on_a_full_disk_is_removed_and_written_when_there_is_space(
    written: Written, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    disk = Disk(monkeypatch, room=room)
    written.answer(0)
    assert "answers.jsonl: No space left on device. Free space on the disk of" in written.output.trouble
    assert "All answers are in" in written.output.trouble
    assert written.path.read_bytes() == b""
    disk.room = 1 << 30
    written.answer(1)
    assert not written.output.trouble
    assert written.close() == LINES[0] + LINES[1]


def test_a_line_that_is_written_in_pieces_is_complete(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    Disk(monkeypatch, step=3)
    written.answer(0)
    assert written.close() == LINES[0]


def test_a_torn_line_that_could_not_be_removed_is_removed_later(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, room=5)

    def broken(_: int) -> int:
        raise OSError(5, "Input/output error")

    class Stubborn:
        """A file that cannot be truncated."""

        truncate = staticmethod(broken)

        def __init__(self, real: Any) -> None:
            self.real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

    real, written.output._file = written.output._file, Stubborn(written.output._file)  # type: ignore[assignment]
    written.answer(0)
    assert written.output.trouble
    written.output._file = real
    disk.room = 1 << 30
    written.answer(1)
    assert written.close() == LINES[0] + LINES[1]


@pytest.mark.parametrize("size", range(0, len(LINES[0] + LINES[1] + LINES[2]), 7))
def test_a_file_truncated_anywhere_is_repaired_by_the_next_line(written: Written, size: int) -> None:
    for number in range(3):
        written.answer(number)
    os.truncate(written.path, size)
    written.answer(3)
    assert "was cut short during the run" in written.said[0]
    written.answer(4)
    assert written.close() == b"".join(LINES[:5])


def test_answers_continue_in_a_rescue_file_if_the_output_path_is_in_use(written: Written) -> None:
    written.answer(0)
    for number in range(2):
        taken = written.output.path
        taken.rename(taken.with_name(f"moved{number}"))
        taken.write_text("of another program\n")
        written.answer(number + 1)
        assert f"rescued-{number + 1}.jsonl" in written.said[number]
    written.answer(3)
    assert written.close() == b"".join(LINES[:4])
    assert written.path.read_text() == "of another program\n"
    assert written.output.path.name == "answers.jsonl.rescued-2.jsonl"
