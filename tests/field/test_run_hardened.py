"""What a record may do to a run, and what the system may do to its files."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import World

from aws_bedrock_inference.batch import lines
from aws_bedrock_inference.batch.answers import Answer
from aws_bedrock_inference.batch.feed import Feed
from aws_bedrock_inference.batch.journal import Journal
from aws_bedrock_inference.batch.lines import LineFile, WriteError
from aws_bedrock_inference.batch.records import Record
from aws_bedrock_inference.batch.runner import Ending, Run
from aws_bedrock_inference.batch.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class Wordless(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError


def carried_out(
    folder: Path, ask: Callable[[Record], Awaitable[Answer]], sources: list[dict[str, Any]]
) -> tuple[Ending, Tally, dict[str, Any], list[str]]:
    """Run the records; return how it ended, the counts, the errors by id, and the ids of the answers."""

    async def over() -> Ending:
        feed = Feed(Record(str(source["id"]), source) for source in sources)
        return await Run(feed, ask, journal, tally, concurrency=2).over()

    tally = Tally(World().clock)
    with Journal(folder / "answers.jsonl") as journal:
        ending = asyncio.run(over())
        journal.close(publish=True)
    failed = [json.loads(line) for line in journal.failed_path.read_text().splitlines()]
    answered = [json.loads(line)["id"] for line in journal.path.read_text().splitlines()]
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
def test_neither_an_answer_nor_a_record_that_json_cannot_hold_ends_the_run(tmp_path: Path, part: Any) -> None:
    async def ask(record: Record) -> Answer:
        await asyncio.sleep(0)
        return Answer({"id": record.key, "text": part if record.key == "p1" else "Hi"}, "end_turn")

    sources = [{"id": "p1", "prompt": part}, {"id": "p2", "prompt": "x"}]
    ending, _, failed, answered = carried_out(tmp_path, ask, sources)
    assert (ending, answered, list(failed)) == (Ending(), ["p2"], ["p1"])


LINES = [f'{{"id": "p{number}", "text": "Grüße {"x" * number}"}}\n'.encode() for number in range(9)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


class Disk:
    """`os.write` and a disk that takes `room` more bytes, at most `step` at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, room: int = 1 << 30, step: int = 1 << 30) -> None:
        self.room, self.step = room, step
        self._write = os.write
        monkeypatch.setattr("aws_bedrock_inference.batch.lines.os.write", self)

    def __call__(self, file: int, data: bytes) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        written = self._write(file, data[: min(self.room, self.step)])
        self.room -= written
        return written


@pytest.mark.parametrize("room", range(1, len(LINES[0])))
def test_a_line_that_tore_on_a_full_disk_is_cut_off_and_written_when_there_is_room(
    path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    disk = Disk(monkeypatch, room=room)
    file = LineFile(path)
    with pytest.raises(WriteError, match=r"answers.jsonl: No space left on device"):
        file.append(LINES[0])
    assert (path.read_bytes(), file.unwritten) == (b"", 1)
    disk.room = 1 << 30
    file.append(LINES[1])
    file.close()
    assert path.read_bytes() == LINES[0] + LINES[1]


def test_a_line_that_is_written_in_pieces_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Disk(monkeypatch, step=3)
    file = LineFile(path)
    file.append(LINES[0])
    file.close()
    assert path.read_bytes() == LINES[0]


def test_a_torn_line_that_could_not_be_cut_off_at_once_is_cut_off_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, room=5)
    file = LineFile(path)

    def broken(_: int) -> int:
        raise OSError(5, "Input/output error")

    class Stubborn:
        """The file, which cannot be cut."""

        truncate = staticmethod(broken)

        def __init__(self, real: Any) -> None:
            self.real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

    real, file._file = file._file, Stubborn(file._file)  # type: ignore[assignment]
    with pytest.raises(WriteError):
        file.append(LINES[0])
    file._file = real
    disk.room = 1 << 30
    file.append(LINES[1])
    file.close()
    assert path.read_bytes() == LINES[0] + LINES[1]


def test_another_programs_half_line_spoils_none_of_ours(path: Path) -> None:
    file = LineFile(path)
    file.append(LINES[0])
    with path.open("ab") as other:
        other.write(b"half")
    file.append(LINES[1])
    file.close()
    assert path.read_bytes() == LINES[0] + b"half\n" + LINES[1]


@pytest.mark.parametrize("size", range(0, len(LINES[0] + LINES[1] + LINES[2]), 7))
def test_a_file_cut_anywhere_is_whole_again_after_the_next_line(path: Path, size: int) -> None:
    file = LineFile(path)
    for line in LINES[:3]:
        file.append(line)
    os.truncate(path, size)
    with pytest.raises(WriteError, match="was cut short"):
        file.append(LINES[3])
    file.append(LINES[4])
    file.close()
    assert path.read_bytes() == b"".join(LINES[:5])


def test_a_file_whose_path_is_taken_goes_on_beside_it(path: Path) -> None:
    file = LineFile(path)
    file.append(LINES[0])
    for number in range(2):
        taken = file.path
        taken.rename(path.with_name(f"moved{number}"))
        taken.write_text("of another program\n")
        with pytest.raises(WriteError, match=f"rescued-{number + 1}.jsonl"):
            file.append(LINES[number + 1])
    file.append(LINES[3])
    file.close()
    assert path.read_text() == "of another program\n"
    assert path.with_name("answers.jsonl.rescued-2.jsonl").read_bytes() == b"".join(LINES[:4])


def test_a_run_on_a_new_file_in_the_old_place_is_let_alone(path: Path) -> None:
    first = Journal(path)
    first.answer({"id": "p1", "text": "a"})
    path.unlink()
    first.failed_path.with_name(first.failed_path.name + ".part").unlink()
    with Journal(path) as second:
        second.answer({"id": "p2", "text": "b"})
        with pytest.raises(WriteError, match="rescued"):
            first.answer({"id": "p3", "text": "c"})
        first.close(publish=True)
        second.fail(Record("p4", {"id": "p4"}), {})
        second.close(publish=True)
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["p2"]
    assert "p4" in second.failed_path.read_text()


def test_only_the_newest_lines_are_held_in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_HELD", len(LINES[2]) + len(LINES[3]))
    file = LineFile(path)
    for line in LINES[:4]:
        file.append(line)
    os.truncate(path, 0)
    with pytest.raises(WriteError, match="last 2 lines"):
        file.append(LINES[4])
    file.close()
    assert path.read_bytes() == LINES[2] + LINES[3] + LINES[4]


@pytest.mark.parametrize("end", [b'{"id": "p2", "text": "Gr\xc3', b'{"id": "p2", "te\0\0\0\0', b"\0" * 9, b"{"])
def test_a_torn_end_is_cut_off_also_within_a_character(path: Path, end: bytes) -> None:
    path.write_bytes(LINES[1] + end)
    with Journal(path) as journal:
        assert "p1" in journal.answered
        journal.answer({"id": "p3", "text": "b"})
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["p1", "p3"]
