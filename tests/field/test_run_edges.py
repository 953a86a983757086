"""The ends of a batch run: files that change in the very moment of a write, inputs that are closed or are not files."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from aws_bedrock_inference.batch.journal import Journal
from aws_bedrock_inference.batch.lines import LineFile, WriteError
from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINES = [b'{"id": "%d", "text": "%d"}\n' % (number, number) for number in range(4)]


def overwrite(path: Path) -> None:
    with path.open("r+b", buffering=0) as file:
        file.write(b"x" * 500 + b"\n")


CHANGES: dict[str, Callable[[Path], None]] = {
    "emptied": lambda path: os.truncate(path, 0),
    "torn": lambda path: os.truncate(path, path.stat().st_size - 3),
    "overwritten": overwrite,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("last", ["", "last line"])
def test_a_file_that_changes_while_a_line_is_written_loses_no_line_and_doubles_none(
    change: str, last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the check and the write there is always a moment; the check behind the write sees it."""
    file = LineFile(tmp_path / "answers.jsonl")
    for line in LINES[:2]:
        file.append(line)
    write, waiting = os.write, [change]

    def late(descriptor: int, data: Any) -> int:
        if waiting:
            CHANGES[waiting.pop()](tmp_path / "answers.jsonl")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", late)
    with pytest.raises(WriteError, match="during the run"):
        file.append(LINES[2])
    if not last:
        file.append(LINES[3])
    file.close()
    kept = [line for path in sorted(tmp_path.iterdir()) for line in path.read_bytes().splitlines(keepends=True)]
    rescued = [line for line in file.path.read_bytes().splitlines(keepends=True) if line in LINES]
    assert rescued == LINES[: 3 if last else 4]
    assert set(rescued) <= set(kept)


def test_a_resumed_file_that_is_emptied_before_the_first_new_line_says_so(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b"".join(LINES[:3]))
    file = LineFile(path)
    os.truncate(path, 0)
    with pytest.raises(WriteError, match="was cut short"):
        file.append(LINES[3])
    file.close()
    assert path.read_bytes() == LINES[3]


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.jsonl.failed.jsonl"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_place_that_is_no_file_is_refused_before_the_run(name: str, make: Any, tmp_path: Path) -> None:
    make(tmp_path / name)
    with pytest.raises(ValueError, match="is not a regular file"):
        Journal(tmp_path / "answers.jsonl")
    assert (tmp_path / name).exists()


def test_a_name_that_is_too_long_is_a_wrong_argument(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": "1", "prompt": "hi"}\n')
    result = CliRunner().invoke(main, ["run", str(source), "-o", str(tmp_path / ("x" * 300)), "--simulate"])
    assert result.exit_code == 2
    assert "name too long" in result.stderr
    assert "Choose another file" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "-", "-o", "out.jsonl", "--simulate"],
        ["invoke", "-", "--simulate"],
        ["explain", "-"],
        ["explain"],
        ["scan", "-"],
        ["scan"],
    ],
)
def test_a_closed_standard_input_is_named(arguments: list[str], tmp_path: Path) -> None:
    result = subprocess.run(  # noqa: S603 - our own command
        ["/bin/sh", "-c", 'exec "$0" -m aws_bedrock_inference "$@" <&-', sys.executable, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "tandard input is closed. Give" in result.stderr


@pytest.mark.parametrize("width", ["0", "1", "-5", "abc"])
def test_a_width_that_is_none_hides_nothing(width: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "aws_bedrock_inference", "explain", "NoSuchBucket"],
        env={**os.environ, "COLUMNS": width},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0
    assert "bucket" in result.stdout.replace("\n", "")


def test_a_pipe_is_explained_like_a_file() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"An error occurred (NoSuchBucket) when calling the GetObject operation")
    os.close(writing)
    result = CliRunner().invoke(main, ["explain", f"/dev/fd/{reading}"])
    os.close(reading)
    assert "s3-bucket-missing" in result.stdout


def test_a_file_without_an_error_is_not_called_missing(tmp_path: Path) -> None:
    path = tmp_path / "trace.gz"
    path.write_bytes(b"\x1f\x8b\x00")
    assert f"The file {path} names no AWS error." in CliRunner().invoke(main, ["explain", str(path)]).stderr
