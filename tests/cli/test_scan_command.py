"""`bedrock scan`, as a person uses it."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from aws_bedrock_inference.cli import main
from aws_bedrock_inference.cli.scan import sparkline

if TYPE_CHECKING:
    from pathlib import Path

THROTTLED = "An error occurred (ThrottlingException) when calling the Converse operation: Too many tokens, please wait"
DENIED = "An error occurred (AccessDenied) when calling the PutObject operation: Access Denied"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "app.log"
    lines = ["2026-11-20T03:00:00Z INFO calm"] * 10
    lines += [f"2026-11-20T0{hour}:30:00Z ERROR {THROTTLED}" for hour in (3, 3, 4, 7)]
    lines += [f"2026-11-21T09:30:00Z ERROR {DENIED}", "2026-11-21T09:30:01Z ERROR the invoice failed"]
    file.write_text("\n".join(lines) + "\n")
    return file


def scan(*arguments: object, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["scan", *map(str, arguments)], input=text)


def test_causes_are_shown_with_counts_times_services_and_an_example(log: Path) -> None:
    result = scan(log)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "5 AWS errors with 2 causes in 0.0 MB, 2026-11-20 03:30 to 2026-11-21 09:30 UTC"
    assert lines[2].split()[:2] == ["4", "RETRY"]
    assert "throttled-tokens-per-minute" in lines[2]
    assert "2026-11-20 03:30 to 2026-11-20 07:30" in lines[3]
    assert "bedrock-runtime  ThrottlingException" in lines[3]
    assert THROTTLED in lines[4]
    assert "1 more error line matches no known AWS error" in result.output
    assert result.output.endswith("bedrock explain throttled-tokens-per-minute\n")


def test_counts_of_files_compressed_files_and_standard_input_are_added(log: Path, tmp_path: Path) -> None:
    packed = tmp_path / "old.log.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    result = scan(log, packed, "-", text=log.read_bytes())
    assert result.output.startswith("15 AWS errors with 2 causes")
    assert scan(text=log.read_bytes()).output.startswith("5 AWS errors with 2 causes")


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        ("hour", ["2026-11-20 03:00", "2026-11-20 04:00", "2026-11-20 07:00", "2026-11-21 09:00"]),
        ("day", ["2026-11-20 00:00", "2026-11-21 00:00"]),
        ("service", ["bedrock-runtime", "s3"]),
    ],
)
def test_rows_by_time_and_by_service(log: Path, by: str, rows: list[str]) -> None:
    lines = [line for line in scan(log, "--by", by).output.splitlines() if "█" in line]
    assert [line[:17].strip() for line in lines] == rows
    assert sum(int(line[17:27]) for line in lines) == 5


def test_one_cause_for_two_actions_has_two_rows_with_their_confidence() -> None:
    user = "User: arn:aws:iam::123456789012:user/kim is not authorized to perform"
    texts = [
        f"ERROR An error occurred (AccessDenied) when calling the {name} operation: {user}: s3:{name} because no "
        f"identity-based policy allows the s3:{name} action"
        for name in ("PutObject", "GetObject", "PutObject")
    ]
    result = scan("-", text="\n".join(texts))
    rows = [line.split() for line in result.output.splitlines() if "confidence high" in line]
    assert [row[0] for row in rows] == ["2", "1"]
    assert result.output.startswith("3 AWS errors with 1 cause")
    assert result.output.index("s3:PutObject") < result.output.index("s3:GetObject")
    (cause,) = json.loads(scan("-", "--json", text="\n".join(texts)).output)["causes"]
    assert [(part["call"], part["count"], part["confidence"]) for part in cause["parts"]] == [
        ("s3:PutObject", 2, "high"),
        ("s3:GetObject", 1, "high"),
    ]


def test_a_zip_archive_is_refused_with_how_to_unpack_it(tmp_path: Path) -> None:
    archive = tmp_path / "logs.zip"
    archive.write_bytes(b"PK\x03\x04" + b"x" * 99)
    result = scan(archive)
    assert (result.exit_code, "unzip -p" in result.output) == (1, True)


def test_json_has_the_counts_and_times_of_each_cause(log: Path) -> None:
    found = json.loads(scan(log, "--json").output)
    assert (found["causes"][0]["cause"], found["causes"][0]["count"]) == ("throttled-tokens-per-minute", 4)
    assert sum(found["causes"][0]["timeline"]["counts"].values()) == 4
    assert found["causes"][0]["first"] == "2026-11-20T03:30:00+00:00"
    assert found["other"] == 1


def test_since_accepts_a_time_and_a_duration(log: Path) -> None:
    assert scan(log, "--since", "2026-11-20T04:00").output.startswith("3 AWS errors with 2 causes")
    assert scan(log, "--since", "2026-11-20T06:00+02:00").output.startswith("3 AWS errors")
    fresh = f"{(datetime.now(UTC) - timedelta(minutes=5)).isoformat()} ERROR {THROTTLED}\n"
    assert scan("-", "--since", "2h", text="2001-01-01T00:00:00Z ERROR " + THROTTLED + "\n" + fresh).output.startswith(
        "1 AWS error with 1 cause"
    )


def test_an_invalid_time_and_a_missing_file_have_exit_code_2(log: Path) -> None:
    assert scan(log, "--since", "yesterday").exit_code == 2
    assert scan("/no/such/file").exit_code == 2


def test_a_damaged_file_is_named_and_the_rest_is_counted(log: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(gzip.compress(log.read_bytes())[:-12])
    result = scan(damaged, log)
    assert result.exit_code == 1
    assert f"{damaged}: the compressed data is truncated" in result.output
    assert "AWS errors with 2 causes" in result.output


def test_a_log_without_errors_is_reported_and_is_no_failure() -> None:
    result = scan("-", text="all is well\n")
    assert (result.exit_code, result.output) == (0, "0 AWS errors with 0 causes in 0.0 MB\n\n")


def test_ctrl_c_prints_what_was_found_so_far() -> None:
    """The program writes more than the pipe can buffer, so the interruption occurs during the read."""
    command = [sys.executable, "-m", "aws_bedrock_inference.cli", "scan", "-"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as running:  # type: ignore[call-overload] # noqa: S603 - our own command
        running.stdin.write(f"2026-11-20T03:30:00Z ERROR {THROTTLED}\n".encode() * 20_000)
        running.stdin.flush()
        running.send_signal(signal.SIGINT)
        output, complaint = running.communicate()
    assert running.returncode == 130, complaint
    assert "AWS errors with 1 cause" in output.decode()
    assert "Interrupted" in complaint.decode()


def test_a_sparkline_shows_when_errors_occurred() -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    at = int(start.timestamp())
    line = sparkline(Counter({at: 1, at + 86_400 - 60: 8}), start, start + timedelta(days=1))
    assert (len(line), line[0], line[-1], line[1:-1].strip()) == (24, "▂", "█", "")
