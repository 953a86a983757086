"""Edge cases of a batch run: outputs that are not files, inputs that are closed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from aws_bedrock_inference.batch.output import Output
from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.jsonl.failed.jsonl"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_an_output_that_is_not_a_file_is_refused_before_the_run(name: str, make: Any, tmp_path: Path) -> None:
    make(tmp_path / name)
    with pytest.raises(ValueError, match="is not a regular file"):
        Output(tmp_path / "answers.jsonl")
    assert (tmp_path / name).exists()


def test_a_file_name_that_is_too_long_is_a_usage_error(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": "1", "prompt": "hi"}\n')
    result = CliRunner().invoke(main, ["run", str(source), "-o", str(tmp_path / ("x" * 300)), "--simulate"])
    assert result.exit_code == 2
    assert "name too long" in result.stderr
    assert "Choose another output file" in result.stderr


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
def test_a_closed_standard_input_is_reported(arguments: list[str], tmp_path: Path) -> None:
    result = subprocess.run(  # noqa: S603 - our own command
        ["/bin/sh", "-c", 'exec "$0" -m aws_bedrock_inference "$@" <&-', sys.executable, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "tandard input is closed. Pass" in result.stderr


@pytest.mark.parametrize("width", ["0", "1", "-5", "abc"])
def test_an_invalid_terminal_width_hides_no_text(width: str) -> None:
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
    assert f"The file {path} contains no AWS error." in CliRunner().invoke(main, ["explain", str(path)]).stderr
