from __future__ import annotations

import json
import signal
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from support.desk import MODEL, Desk, Hold, body, refuse

from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def test_every_prompt_is_answered(desk: Desk) -> None:
    desk.prompts(50)
    result = desk.run()
    assert result.exit_code == 0
    assert len(desk.answers) == 50
    answer = desk.answers["p7"]
    assert datetime.fromisoformat(answer.pop("time")).tzinfo is UTC
    assert answer == {
        "id": "p7",
        "text": "prompt 7",
        "stop_reason": "end_turn",
        "model": MODEL,
        "usage": {"input_tokens": 3, "output_tokens": 5, "cache_read_tokens": 0, "cache_write_tokens": 0},
        "attempts": 1,
    }
    assert "50 answered" in result.stderr
    assert not desk.failures.exists()


def test_a_second_run_sends_only_the_unanswered_records(desk: Desk) -> None:
    desk.prompts(10)
    desk.run()
    desk.prompts(12)
    result = desk.run()
    assert result.exit_code == 0
    assert len(desk.stub.prompts) == 12
    assert len(desk.answers) == 12
    assert "2 answered" in result.stderr
    assert "10 answered by earlier runs" in result.stderr


def test_options_apply_to_records_that_do_not_set_them(desk: Desk) -> None:
    desk.lines(
        {"id": 1, "prompt": "plain"},
        {"id": 2, "prompt": "own", "max_tokens": 9, "system": "Be kind.", "temperature": 0.5},
    )
    desk.run("--max-tokens", "77", "--system", "Be brief.", "--temperature", "0.3")
    plain, own = sorted(desk.stub.bodies, key=lambda body: body["messages"][0]["content"][0]["text"], reverse=True)
    assert (plain["inferenceConfig"], plain["system"]) == (
        {"maxTokens": 77, "temperature": 0.3},
        [{"text": "Be brief."}],
    )
    assert (own["inferenceConfig"], own["system"]) == ({"maxTokens": 9, "temperature": 0.5}, [{"text": "Be kind."}])
    assert set(desk.answers) == {1, 2}


def test_batch_records_go_to_their_operation_and_are_written_in_bedrock_s_output_format(desk: Desk) -> None:
    converse = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}], "inferenceConfig": {"maxTokens": 9}}
    titan = {"inputText": "Ho", "textGenerationConfig": {"maxTokenCount": 9}}
    desk.lines({"recordId": "r1", "modelInput": converse}, {"recordId": "r2", "modelInput": titan})
    ho = {"results": [{"outputText": "Ho", "completionReason": "LENGTH"}]}
    desk.stub.script = lambda stub, prompt: (200, "", body("Hi") if prompt == "Hi" else ho)
    result = desk.run("--max-tokens", "500")
    answers = {line["recordId"]: line for line in map(json.loads, desk.output.read_text().splitlines())}
    assert sorted(path.rpartition("/")[2] for path in desk.stub.paths) == ["converse", "invoke"]
    assert converse in desk.stub.bodies
    assert titan in desk.stub.bodies
    assert answers["r1"]["modelInput"] == converse
    assert answers["r1"]["modelOutput"] == body("Hi")
    assert answers["r2"]["modelOutput"]["results"][0]["outputText"] == "Ho"
    assert "1 of them truncated at max_tokens" in result.stderr


def test_images_in_converse_records_reach_the_service(desk: Desk) -> None:
    image = {"image": {"format": "png", "source": {"bytes": "iVBORw=="}}}
    desk.lines({"recordId": "r1", "modelInput": {"messages": [{"role": "user", "content": [{"text": "?"}, image]}]}})
    assert desk.run().exit_code == 0
    assert desk.stub.bodies[0]["messages"][0]["content"][1] == image


def test_standard_input_is_read(desk: Desk) -> None:
    arguments = ["run", "-", "-o", str(desk.output), "--model", MODEL, "--endpoint-url", desk.stub.url]
    result = CliRunner().invoke(main, arguments, input=b'{"id": "p1", "prompt": "Hi"}\n')
    assert result.exit_code == 0
    assert desk.answers["p1"]["text"] == "Hi"


def test_a_failed_record_is_written_with_its_explanation_and_can_be_rerun(desk: Desk) -> None:
    desk.prompts(3)
    desk.stub.script = refuse(400, "ValidationException", "Input is too long for requested model.", "prompt 2")
    result = desk.run()
    assert result.exit_code == 1
    assert set(desk.answers) == {"p1", "p3"}
    failed = json.loads(desk.failures.read_text())
    assert (failed["id"], failed["prompt"]) == ("p2", "prompt 2")
    assert failed["error"]["cause"] == "input-too-long"
    assert f"bedrock run {desk.failures} -o {desk.output}" in result.stderr

    desk.stub.script = lambda stub, prompt: (200, "", body("better now"))
    again = CliRunner().invoke(
        main, ["run", str(desk.failures), "-o", str(desk.output), "--model", MODEL, "--endpoint-url", desk.stub.url]
    )
    assert again.exit_code == 0
    assert set(desk.answers) == {"p1", "p2", "p3"}
    assert not desk.failures.exists()


def test_a_truncated_answer_is_written_and_reported(desk: Desk) -> None:
    desk.prompts(2)
    desk.stub.script = lambda stub, prompt: (
        200,
        "",
        body(prompt, "max_tokens" if prompt == "prompt 1" else "end_turn"),
    )
    result = desk.run()
    assert result.exit_code == 0
    assert desk.answers["p1"]["stop_reason"] == "max_tokens"
    assert "1 of them truncated at max_tokens" in result.stderr


def test_invalid_lines_are_reported_and_the_others_are_answered(desk: Desk) -> None:
    desk.lines({"id": "p1", "prompt": "Hi"}, "nonsense", {"id": "p1", "prompt": "twice"})
    result = desk.run()
    assert result.exit_code == 2
    assert set(desk.answers) == {"p1"}
    assert "prompts.jsonl, line 2: not JSON" in result.stderr
    assert "prompts.jsonl, line 3: the id" in result.stderr


def test_invalid_lines_are_reported_by_each_run_until_they_are_corrected(desk: Desk) -> None:
    desk.lines({"id": "p1", "prompt": "Hi"}, "nonsense")
    for _ in range(2):
        result = desk.run()
        assert (result.exit_code, "prompts.jsonl, line 2: not JSON" in result.stderr) == (2, True)
    desk.lines({"id": "p1", "prompt": "Hi"}, {"id": "p2", "prompt": "mended"})
    assert desk.run().exit_code == 0
    assert desk.stub.prompts == ["Hi", "mended"]


def test_many_invalid_lines_are_reported_in_short(desk: Desk) -> None:
    desk.lines(*["nonsense"] * 500)
    result = desk.run()
    assert result.stderr.count("not JSON") == 20
    assert "500 lines are not valid records" in result.stderr


def test_a_run_without_model_access_stops_early_with_the_reason(desk: Desk) -> None:
    desk.prompts(200)
    desk.stub.script = refuse(403, "AccessDeniedException", "You don't have access to the model.")
    result = desk.run("--concurrency", "2")
    assert result.exit_code == 3
    assert len(desk.stub.prompts) < 10
    assert "Stopped because every call fails with AccessDeniedException" in result.stderr
    assert "To continue, run: bedrock run" in result.stderr


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (["--model", " "], 2, "No model is set. Pass --model ID or set BEDROCK_MODEL_ID"),
        (["--rpm", "0"], 2, "--rpm"),
        (["--output", "-"], 2, "--output must be a file"),
        (["--simulate", "prompts.jsonl"], 2, "Move --simulate to the end"),
    ],
)
def test_a_wrong_argument_is_explained(desk: Desk, change: list[str], code: int, says: str) -> None:
    desk.prompts(1)
    result = desk.run(*change)
    assert (result.exit_code, desk.stub.prompts) == (code, [])
    assert says in result.stderr


def test_an_output_file_without_answers_is_not_touched(desk: Desk) -> None:
    desk.prompts(1)
    desk.output.write_text("my diary\n")
    result = desk.run()
    assert result.exit_code == 2
    assert "is not an answer of an earlier run" in result.stderr
    assert desk.output.read_text() == "my diary\n"


def test_input_and_output_must_differ(desk: Desk) -> None:
    desk.prompts(1)
    desk.output = desk.source
    assert "same file" in desk.run().stderr


def test_a_missing_region_is_an_error_with_its_remedy(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    desk.prompts(1)
    result = desk.run()
    assert result.exit_code == 3
    assert "Pass --region" in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_credentials_stop_the_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    desk.prompts(100)
    result = desk.run()
    assert result.exit_code == 3
    assert "NoCredentialsError" in result.stderr
    assert desk.stub.prompts == []


def test_a_simulated_run_needs_no_credentials_profile_or_proxy(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    desk.prompts(20)
    day = tmp_path / "day.toml"
    day.write_text('[[faults]]\nkind = "error"\ncode = "InternalServerException"\nrequests = [2, 4]\n')
    result = CliRunner().invoke(
        main, ["run", str(desk.source), "-o", str(desk.output), "--stream", "--simulate", str(day)]
    )
    assert result.exit_code == 0, result.output
    assert len(desk.answers) == 20
    assert all(answer["stop_reason"] == "end_turn" and answer["text"] for answer in desk.answers.values())
    assert sorted(answer["attempts"] for answer in desk.answers.values())[-2:] == [2, 2]
    assert "2 retried" in result.stderr


def test_a_dry_run_sends_and_writes_nothing_and_estimates_the_run(desk: Desk) -> None:
    desk.lines(
        *({"id": number, "prompt": "x" * 400, "max_tokens": 50} for number in range(600)),
        {"recordId": "r", "modelInput": {"inputText": "Ho"}},
        {"id": "p", "prompt": "no maximum"},
        "nonsense",
    )
    result = desk.run("--dry-run", "--rpm", "60", "--tpm", "1000000")
    assert (result.exit_code, desk.stub.prompts) == (2, [])
    assert "Dry run: 602 records; 602 would be sent" in result.stderr
    assert "prompts.jsonl, line 603: not JSON" in result.stderr
    assert " input tokens, and up to " in result.stderr
    assert "2 set no maximum" in result.stderr
    assert "About 10 min at the quota" in result.stderr
    assert [each.name for each in desk.folder.iterdir()] == ["prompts.jsonl"]


def test_a_dry_run_leaves_out_the_answered_records(desk: Desk) -> None:
    desk.prompts(3)
    desk.run()
    desk.prompts(5)
    result = desk.run("--dry-run", "--max-tokens", "5")
    assert result.exit_code == 0
    assert "5 records, 3 of them answered by earlier runs; 2 would be sent" in result.stderr
    assert len(desk.stub.prompts) == 3


@pytest.mark.parametrize("bounded", [False, True])
def test_a_run_warns_of_a_missing_max_tokens_even_without_a_known_quota(desk: Desk, *, bounded: bool) -> None:
    desk.prompts(3)

    def script(stub: Any, prompt: str) -> Any:
        if len(stub.prompts) == 1:
            return 429, "ThrottlingException", "Too many tokens, please wait before trying again."
        return 200, "", body(prompt)

    desk.stub.script = script
    result = desk.run(*(["--max-tokens", "50"] if bounded else []))
    assert result.exit_code == 0
    assert result.stderr.count("--max-tokens is not set, so each record") == (not bounded)


def test_a_sample_is_sent_first_and_the_next_run_sends_the_rest(desk: Desk) -> None:
    desk.prompts(40)
    result = desk.run("--sample", "5")
    assert result.exit_code == 0
    assert len(desk.answers) == len(desk.stub.prompts) == 5
    assert "40 records: 5 answered, 0 failed, 35 missing, 35 of them not in the sample" in result.stderr
    assert desk.run().exit_code == 0
    assert len(desk.answers) == len(desk.stub.prompts) == 40


def test_a_run_stops_at_its_limit_of_failures(desk: Desk) -> None:
    desk.prompts(40)
    desk.stub.script = refuse(400, "ValidationException", "bad")
    result = desk.run("--max-failures", "3", "--concurrency", "2")
    assert result.exit_code == 1
    assert len(desk.stub.prompts) <= 6
    assert "records failed, and --max-failures is 3." in result.stderr
    assert "To continue, run: bedrock run" in result.stderr


@pytest.mark.parametrize("change", ["model", "prompt", "system"])
def test_a_run_that_would_mix_answers_to_different_questions_is_refused(desk: Desk, change: str) -> None:
    desk.prompts(3)
    desk.run()
    more = {"model": ["--model", "amazon.nova-pro-v1:0"], "system": ["--system", "Be brief."], "prompt": []}[change]
    if change == "prompt":
        desk.lines({"id": "p1", "prompt": "prompt 1"}, {"id": "p2", "prompt": "changed"}, {"id": "p4", "prompt": "new"})
    result = desk.run(*more)
    assert result.exit_code == 2
    assert "belong to other requests than those of this run" in result.stderr
    assert ("the model was amazon.nova-lite-v1:0" in result.stderr) is (change == "model")
    assert len(desk.stub.prompts) == 3
    status = CliRunner().invoke(main, ["run", "status", str(desk.output)]).stdout
    assert "stopped, 3 records: 3 answered, 0 failed, 0 missing" in status
    assert "belong to other requests than those of this run" in status
    kept = desk.run(*more, "--on-change", "keep")
    assert (kept.exit_code, len(desk.stub.prompts)) == (0, 4 if change == "prompt" else 3)
    assert desk.run(*more).exit_code == 0


def test_changed_prompts_are_sent_again_on_request(desk: Desk) -> None:
    desk.prompts(3)
    desk.run()
    desk.lines({"id": "p1", "prompt": "prompt 1"}, {"id": "p2", "prompt": "changed"})
    assert desk.run("--on-change", "ask").exit_code == 0
    assert desk.stub.prompts[3:] == ["changed"]
    assert {key: answer["text"] for key, answer in desk.answers.items()} == {
        "p1": "prompt 1",
        "p2": "changed",
        "p3": "prompt 3",
    }


def test_answers_can_be_written_in_the_order_of_the_input(desk: Desk) -> None:
    desk.prompts(40)
    assert desk.run("--order", "input").exit_code == 0
    assert list(desk.answers) == [f"p{number}" for number in range(1, 41)]


def test_failures_of_an_unfinished_run_are_repeated_only_if_they_are_the_input(desk: Desk) -> None:
    desk.prompts(40)
    desk.stub.script = refuse(400, "ValidationException", "bad")
    desk.run("--max-failures", "3", "--concurrency", "1")
    failed = len(desk.failures.read_text().splitlines())
    assert 3 <= failed < 10
    del desk.stub.prompts[:]
    desk.stub.script = lambda stub, prompt: (200, "", body(prompt))
    assert desk.run().exit_code == 1, "they still count"
    assert len(desk.stub.prompts) == 40 - failed
    desk.stub.script = refuse(400, "ValidationException", "bad")
    desk.run("--on-change", "keep", "--max-failures", "1", "--concurrency", "1")
    del desk.stub.prompts[:]
    desk.source = desk.failures
    desk.stub.script = lambda stub, prompt: (200, "", body(prompt))
    assert desk.run().exit_code == 0
    assert len(desk.stub.prompts) == failed
    assert len(desk.answers) == 40


def test_records_read_from_standard_input_survive_a_kill(desk: Desk) -> None:
    desk.prompts(40)
    hold = desk.stub.script = Hold(at=8)
    content = desk.source.read_bytes()
    desk.source = "-"  # type: ignore[assignment]
    child = desk.child("--concurrency", "4", stdin=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.write(content.decode())
    child.stdin.flush()
    assert hold.reached.wait(60)
    child.kill()
    child.communicate(timeout=60)
    hold.let_go.set()
    assert desk.run(stdin=b"").exit_code == 0
    assert len(desk.answers) == 40


def interrupted(desk: Desk, number: signal.Signals) -> tuple[Hold, subprocess.Popen[str]]:
    """Return a run of 40 prompts that was just interrupted, with four calls in flight."""
    desk.prompts(40)
    hold = desk.stub.script = Hold(at=8)
    child = desk.child("--concurrency", "4")
    assert hold.reached.wait(60)
    child.send_signal(number)
    assert child.stderr is not None
    assert next(line for line in child.stderr if line.startswith("Stopping: "))
    return hold, child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_waits_for_calls_in_flight_and_can_be_continued(desk: Desk, number: signal.Signals) -> None:
    hold, child = interrupted(desk, number)
    hold.let_go.set()
    _, said = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    asked = len(desk.stub.prompts)
    assert len(desk.answers) == asked < 40
    assert f"To continue, run: bedrock run {desk.source} -o {desk.output}" in said

    assert desk.run().exit_code == 0
    assert len(desk.answers) == 40
    assert len(desk.stub.prompts) == 40, "nothing was asked twice"


def test_a_second_interruption_ends_the_command_immediately(desk: Desk) -> None:
    hold, child = interrupted(desk, signal.SIGINT)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in said
    assert not hold.let_go.is_set(), "the service never answered those in flight"
    hold.let_go.set()
    assert desk.run().exit_code == 0
    assert len(desk.answers) == 40


def test_a_killed_run_continues_from_where_it_stopped(desk: Desk) -> None:
    desk.prompts(40)
    hold = desk.stub.script = Hold(at=20)
    child = desk.child("--concurrency", "4")
    assert hold.reached.wait(60)
    child.kill()
    child.communicate(timeout=60)
    with desk.output.open("a") as file:
        file.write('{"id": "p40", "text": "torn he')
    hold.let_go.set()
    assert desk.run().exit_code == 0
    assert len(desk.answers) == 40


def test_an_interrupted_run_over_a_failures_file_keeps_the_failures_that_it_did_not_reach(desk: Desk) -> None:
    desk.prompts(40)
    desk.stub.script = refuse(400, "ValidationException", "bad")
    desk.run()
    assert len(desk.failures.read_text().splitlines()) == 40
    desk.stub.prompts.clear()
    desk.source.unlink()
    desk.source = desk.failures
    hold = desk.stub.script = Hold(at=8)
    child = desk.child("--concurrency", "4")
    assert hold.reached.wait(60)
    child.send_signal(signal.SIGINT)
    assert child.stderr is not None
    assert next(line for line in child.stderr if line.startswith("Stopping: "))
    hold.let_go.set()
    child.communicate(timeout=60)
    assert desk.run().exit_code == 0
    assert len(desk.answers) == 40
