"""Damage to the files, input, terminal or process of a run: no answer is lost, and every problem is shown."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from support.desk import Hold, body

from aws_bedrock_inference.batch.inputs import open_input
from aws_bedrock_inference.cli.report import shown_arguments
from aws_bedrock_inference.tokens.max_tokens_warning import PROCESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.desk import Desk


def at(number: int, act: Callable[[], Any]) -> Any:
    """Echo every prompt; act when that many have come."""

    def script(stub: Any, prompt: str) -> Any:
        if prompt == f"prompt {number}":
            act()
        return 200, "", body(prompt)

    return script


def replaced(path: Path) -> None:
    path.rename(path.with_name("moved.jsonl"))
    path.write_text('{"id": "other", "text": "of another program"}\n')


def overwritten(path: Path) -> None:
    with path.open("r+b", buffering=0) as file:
        file.write(b"x" * 90_000 + b"\n")


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (lambda path: path.unlink(), "was deleted, renamed or replaced"),
        (lambda path: path.rename(path.with_name("moved.jsonl")), "was deleted, renamed or replaced"),
        (lambda path: os.truncate(path, 0), "was cut short"),
        (lambda path: os.truncate(path, max(0, path.stat().st_size - 3)), "was cut short"),
    ],
    ids=["deleted", "renamed", "emptied", "torn"],
)
@pytest.mark.parametrize("number", [20, 60])
@pytest.mark.parametrize("order", ["arrival", "input"])
def test_a_deleted_or_truncated_output_file_is_written_again(
    desk: Desk, happens: Callable[[Path], None], says: str, number: int, order: str
) -> None:
    desk.prompts(60)
    desk.stub.script = at(number, lambda: happens(desk.output))
    result = desk.run("--concurrency", "4", "--order", order)
    assert result.exit_code == 0, result.stderr
    assert len(desk.answers) == len(desk.stub.prompts) == 60
    if order == "arrival":
        assert says in result.stderr


@pytest.mark.parametrize("happens", [replaced, overwritten])
@pytest.mark.parametrize("number", [20, 60])
def test_an_output_file_replaced_by_another_program_is_kept_and_answers_go_next_to_it(
    desk: Desk, happens: Callable[[Path], None], number: int
) -> None:
    desk.prompts(60)
    desk.stub.script = at(number, lambda: happens(desk.output))
    result = desk.run("--concurrency", "4")
    assert result.exit_code == 1
    rescued = desk.output.with_name("answers.jsonl.rescued-1.jsonl")
    assert f"Stopped: {desk.output} is now another file; all answers are in {rescued}" in result.stderr
    assert "Traceback" not in result.stderr
    theirs = desk.output.read_text()
    desk.output = rescued
    assert len(desk.answers) == 60
    desk.output = desk.folder / "answers.jsonl"
    again = desk.run()
    assert again.exit_code == 2
    assert "does not match its journal answers.jsonl.journal" in again.stderr
    assert desk.output.read_text() == theirs


@pytest.mark.parametrize("number", [20, 60])
def test_a_directory_that_is_deleted_during_a_run_is_created_again(desk: Desk, tmp_path: Path, number: int) -> None:
    desk.output = tmp_path / "out" / "answers.jsonl"
    desk.output.parent.mkdir()
    desk.prompts(60)
    desk.stub.script = at(number, lambda: shutil.rmtree(desk.output.parent))
    result = desk.run("--concurrency", "4")
    assert "answers.jsonl.journal was deleted, renamed or replaced during the run" in result.stderr
    assert result.exit_code == 1
    assert f"To continue, run: bedrock run {desk.source}" in result.stderr
    assert len(desk.answers) == len(desk.stub.prompts)
    assert desk.run().exit_code == 0
    assert len(desk.answers) == len(desk.stub.prompts) == 60


def test_an_output_that_was_removed_between_two_runs_is_written_again_and_nothing_is_paid_twice(desk: Desk) -> None:
    desk.prompts(10)
    desk.run()
    desk.output.unlink()
    result = desk.run()
    assert result.exit_code == 0
    assert "was missing and is written again from answers.jsonl.journal" in result.stderr
    assert len(desk.answers) == len(desk.stub.prompts) == 10


@pytest.mark.parametrize("lasting", [False, True], ids=["for a moment", "for ever"])
def test_a_full_disk_is_waited_for_or_reported(desk: Desk, monkeypatch: pytest.MonkeyPatch, *, lasting: bool) -> None:
    desk.prompts(30)
    write, left, refused = os.write, [1000], [0]

    def fills_up(file: int, data: bytes) -> int:
        if left[0] < len(data) and (lasting or refused[0] < 3):
            refused[0] += 1
            if left[0]:
                write(file, data[: left[0]])
                left[0] = 0
            raise OSError(28, "No space left on device")
        left[0] -= len(data)
        return write(file, data)

    monkeypatch.setattr("aws_bedrock_inference.batch.output.os.write", fills_up)
    result = desk.run("--concurrency", "2")
    assert len(desk.stub.prompts) == 30
    assert result.exit_code == lasting
    if lasting:
        full = f"{desk.output}: No space left on device. Free space on the disk of {desk.output.parent}."
        assert f"{full} All answers are in answers.jsonl.journal" in result.stderr
        assert f"To continue, run: bedrock run {desk.source}" in result.stderr
        monkeypatch.setattr("aws_bedrock_inference.batch.output.os.write", write)
        assert desk.run().exit_code == 0
    assert len(desk.answers) == len(desk.stub.prompts) == 30


@pytest.mark.parametrize("blocks", [100_000, 200_000])
def test_a_file_size_limit_of_the_system_is_treated_as_a_full_disk(desk: Desk, blocks: int) -> None:
    """The journal meets the full disk first, even during its creation; its content is preserved."""
    desk.lines(*({"id": f"p{number}", "prompt": f"prompt {number} {'x' * 3000}"} for number in range(100)))
    child = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({blocks}, {blocks}))\n"
    child += "from aws_bedrock_inference.batch import journal; journal._FULL_PAUSES = (0.01,)\n"
    child += "from aws_bedrock_inference.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", child, *desk.arguments("--concurrency", "2")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert ran.returncode == 1, ran.stderr
    assert "answers.jsonl.journal: " in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "To continue, run: " in ran.stderr
    assert desk.run().exit_code == 0
    assert len(desk.answers) == 100


def test_an_input_that_fails_midway_ends_the_run_and_keeps_the_answers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.prompts(1)

    def fails_later(*source: Any, **options: Any) -> Any:
        yield from open_input(*source, **options)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("aws_bedrock_inference.batch.work.open_input", fails_later)
    result = desk.run()
    assert result.exit_code == 1
    assert f"Stopped: {desk.source}: Input/output error." in result.stderr
    assert "To continue, run: " in result.stderr
    assert set(desk.answers) == {"p1"}


def nested(levels: int) -> str:
    return '{"a": ' * levels + "1" + "}" * levels


POISON = {
    "a huge maximum": '{"id": "x", "prompt": "Hi", "max_tokens": 1' + "0" * 400 + "}",
    "a negative maximum": '{"id": "x", "prompt": "Hi", "max_tokens": -1}',
    "NaN": '{"id": "x", "prompt": "Hi", "temperature": NaN}',
    "infinity": '{"id": "x", "prompt": "Hi", "temperature": 1e999}',
    "a huge maximum in a body": '{"recordId": "x", "modelInput": {"inputText": "Hi", "max_tokens": 1'
    + "0" * 400
    + "}}",
    "a negative maximum in a body": '{"recordId": "x", "modelInput": {"inputText": "Hi", "max_tokens": -5}}',
    "a text for a maximum": '{"recordId": "x", "modelInput": {"inputText": "Hi", "max_tokens": "5"}}',
    "a huge Converse maximum": '{"recordId": "x", "modelInput": {"messages": [{"role": "user", "content": '
    '[{"text": "Hi"}]}], "inferenceConfig": {"maxTokens": 1' + "0" * 400 + "}}}",
    "900 levels": '{"recordId": "x", "modelInput": {"inputText": "Hi", "b": ' + nested(900) + "}}",
    "900 levels in Converse": '{"recordId": "x", "modelInput": {"messages": [{"role": "user", "content": '
    '[{"text": "Hi"}]}], "additionalModelRequestFields": ' + nested(900) + "}}",
    "900 levels of an id": '{"id": ' + nested(900) + ', "prompt": "Hi"}',
    "900 levels of options": '{"id": "x", "prompt": "Hi", "tools": ' + nested(900) + "}",
    "100,000 levels": '{"recordId": "x", "modelInput": ' + nested(100_000) + "}",
    "half of a character": '{"id": "x", "prompt": "\\ud83d"}',
    "half of a character as id": '{"id": "\\ud83d", "prompt": "Hi"}',
    "NUL bytes": "\0" * 100,
    "a NUL in a text": '{"id": "x", "prompt": "a\0b"}',
    "a list as id": '{"id": ["x"], "prompt": "Hi"}',
    "a huge number as id": '{"id": 1' + "0" * 5000 + ', "prompt": "Hi"}',
    "an unknown member": '{"id": "x", "prompt": "Hi", "temp": 0.5}',
    "messages that are none": '{"id": "x", "messages": 5}',
    "stop sequences that are none": '{"id": "x", "prompt": "Hi", "stop_sequences": 5}',
    "a priority that is none": '{"id": "x", "prompt": "Hi", "priority": "soon"}',
    "settings that are none": '{"id": "x", "prompt": "Hi", "max_tokens": 5, "inferenceConfig": 7}',
}


def test_an_invalid_record_does_not_end_the_run_and_is_explained(desk: Desk) -> None:
    bodies = [line.replace('"x"', f'"x{number}"') for number, line in enumerate(POISON.values())]
    good = [{"id": f"p{number}", "prompt": f"prompt {number}"} for number in range(20)]
    desk.lines(*good[:10], *bodies, *good[10:])
    desk.stub.script = lambda stub, prompt: (200, "", body(prompt)) if "prompt" in prompt else (400, "Bad", "bad")
    result = desk.run()
    assert result.exit_code == 2
    assert set(desk.answers) == {line["id"] for line in good}
    failed = [json.loads(line)["error"] for line in desk.failures.read_text().splitlines()]
    assert all(error["code"] and error["errorMessage"] and error["advice"] for error in failed)
    explained = result.stderr.count("prompts.jsonl, line ")
    assert explained + len(failed) == len(POISON)
    assert "Traceback" not in result.stderr


def test_a_record_may_set_arguments_of_invoke(desk: Desk) -> None:
    record = {"id": 1, "prompt": "Hi", "stop_sequences": ["."], "tier": "flex", "requestMetadata": {"team": "a"}}
    desk.lines(
        record, {"id": 2, "messages": [{"role": "user", "content": "Ho"}], "additionalModelRequestFields": {"k": 1}}
    )
    assert desk.run("--concurrency", "1").exit_code == 0
    first, second = desk.stub.bodies
    assert first["inferenceConfig"] == {"stopSequences": ["."]}
    assert (first["serviceTier"], first["requestMetadata"]) == ({"type": "flex"}, {"team": "a"})
    assert second["additionalModelRequestFields"] == {"k": 1}


@pytest.mark.parametrize(
    ("member", "says"),
    [
        ('"temp": 1', 'Did you mean "temperature"?'),
        ('"stopSequences": ["a"]', 'Did you mean "stop_sequences"?'),
        ('"model": "m"', "--model"),
        ('"category": "x"', '"category" is unknown and would have no effect'),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_valid_name(desk: Desk, member: str, says: str) -> None:
    desk.lines('{"id": "p1", "prompt": "Hi", ' + member + "}")
    result = desk.run()
    assert (result.exit_code, desk.stub.prompts) == (2, [])
    assert says in result.stderr


def test_a_record_may_have_its_own_timeout(desk: Desk) -> None:
    desk.prompts(1)
    hold = desk.stub.script = Hold(at=1)
    result = desk.run("--timeout", "0.3")
    hold.let_go.set()
    assert result.exit_code == 1
    assert "AttemptTimeout" in result.stderr


def test_a_warning_is_printed_whatever_python_does_with_warnings(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PROCESS, "_models", set())  # another test may have had the warning already
    desk.prompts(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = desk.run("--tpm", "10000000")
    assert result.exit_code == 0
    assert "Warning: " in result.stderr


@pytest.mark.parametrize("number", [1, 4])
def test_missing_credentials_are_reported_alike_for_few_and_many_prompts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    desk.prompts(number)
    result = desk.run()
    assert result.exit_code == 3
    assert "Stopped because every call fails with NoCredentialsError" in result.stderr


def test_a_failure_shows_its_reason_and_a_rerun_is_advised_only_after_the_correction(desk: Desk) -> None:
    desk.prompts(2)
    result = desk.run("--tpm", "1000")
    assert result.exit_code == 1
    assert "QuotaExhausted: " in result.stderr
    assert "To retry the failed records, fix their cause, then run: " in result.stderr


def test_the_command_to_continue_contains_no_password_and_no_prompt(desk: Desk) -> None:
    desk.prompts(1)
    desk.stub.script = lambda stub, prompt: (400, "ValidationException", "bad")
    result = desk.run("--system", "Our secret recipe")
    assert "To retry the failed records" in result.stderr
    assert "recipe" not in result.stderr
    for url in (
        "redis://user:hunter/2@h/0?password=hunter2",
        "rediss://:hunter2@host:1/0",
        "--store=redis://a:hunter2@h",
        "https://h/?api_key=hunter2",
    ):
        assert "hunter" not in " ".join(shown_arguments(["run", "--store", url]))
    assert shown_arguments(["--system=hunter2", "--model", "arn:aws:x:123456789012:y"])[1:] == [
        "--model",
        "arn:aws:x:123456789012:y",
    ]


@pytest.mark.parametrize(
    ("output", "says"), [("nodir/x.jsonl", "No such file or directory"), ("prompts.jsonl/x", "Not a directory")]
)
def test_an_output_that_cannot_be_opened_is_a_usage_error(desk: Desk, output: str, says: str) -> None:
    desk.prompts(1)
    desk.output = desk.folder / output
    result = desk.run()
    assert (result.exit_code, desk.stub.prompts) == (2, [])
    assert f"{desk.output} cannot be opened: {says}" in result.stderr


def test_an_empty_input_is_reported(desk: Desk) -> None:
    desk.lines("")
    result = desk.run()
    assert result.exit_code == 0
    assert f"{desk.source} contains no records." in result.stderr


def test_a_closed_standard_error_ends_no_run(desk: Desk) -> None:
    desk.lines(*["nonsense"] * 5, *({"id": number, "prompt": "x"} for number in range(20)))
    command = [sys.executable, "-m", "aws_bedrock_inference.cli", *desk.arguments()]
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(command, stderr=writer) as child:  # noqa: S603 - our own
        os.close(writer)
        assert child.wait(60) == 2, "as for bad lines"
    assert len(desk.answers) == 20


def test_a_missing_standard_error_ends_no_run(desk: Desk) -> None:
    desk.prompts(20)
    command = [sys.executable, "-m", "aws_bedrock_inference.cli", *desk.arguments()]
    with subprocess.Popen(["sh", "-c", 'exec "$@" 2>&-', "sh", *command]) as child:  # noqa: S603, S607 - our own
        assert child.wait(60) == 0
    assert len(desk.answers) == 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_waits_for_input_can_be_interrupted(desk: Desk, number: signal.Signals) -> None:
    os.mkfifo(desk.source)
    child = desk.child()
    holder = os.open(desk.source, os.O_WRONLY)  # returns when the run has opened its input
    os.write(holder, b'{"id": 1, "prompt": "x"}\n')
    child.send_signal(number)
    _, said = child.communicate(timeout=60)
    os.close(holder)
    assert child.returncode == 128 + number
    assert "Traceback" not in said
    assert "Unclosed" not in said
    assert "To continue, run: bedrock run" in said
