"""`bedrock run` with every form of input, over a real socket."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws
from support.desk import MODEL, Desk, body, refuse

from aws_bedrock_inference import BatchRun, BedrockClient
from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def rejects(desk: Desk) -> list[Any]:
    path = desk.folder / "answers.jsonl.rejects.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_table_is_answered_row_by_row(desk: Desk) -> None:
    desk.source = desk.folder / "prompts.csv"
    desk.source.write_text('id,prompt,max_tokens\n1,"Hello,\nyou",9\n2,Ho,\n3,Hi,none\n')
    result = desk.run("--max-tokens", "77")
    assert result.exit_code == 2
    assert {key: answer["text"] for key, answer in desk.answers.items()} == {"1": "Hello,\nyou", "2": "Ho"}
    assert sorted(sent["inferenceConfig"]["maxTokens"] for sent in desk.stub.bodies) == [9, 77]
    (reject,) = rejects(desk)
    assert (reject["file"], reject["line"]) == (str(desk.source), 5)
    assert f"1 line is not a valid record; the reasons: {desk.output}.rejects.jsonl" in result.stderr


def test_a_directory_is_answered_file_by_file_and_can_be_continued(desk: Desk) -> None:
    desk.source = desk.folder / "texts"
    desk.source.mkdir()
    (desk.source / "a.txt").write_text("first")
    template = desk.folder / "template.txt"
    template.write_text("Say {text}")
    assert desk.run("--template", f"@{template}").exit_code == 0
    (desk.source / "b.txt").write_text("second")
    result = desk.run("--template", f"@{template}")
    assert result.exit_code == 0
    assert "1 answered by earlier runs" in result.stderr
    assert {key: answer["text"] for key, answer in desk.answers.items()} == {
        "a.txt": "Say first",
        "b.txt": "Say second",
    }


def test_standard_input_may_be_a_table_or_compressed(desk: Desk) -> None:
    desk.source = "-"  # type: ignore[assignment] # standard input
    assert desk.run("--template", "Say {text}", stdin=b"id;text\n1;one\n").exit_code == 0
    assert desk.run(stdin=gzip.compress(b'{"id": "2", "prompt": "two"}\n')).exit_code == 0
    assert {key: answer["text"] for key, answer in desk.answers.items()} == {"1": "Say one", "2": "two"}


def test_the_records_of_an_s3_object_are_answered(desk: Desk) -> None:
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="prompts")
        client.put_object(Bucket="prompts", Key="in/1.jsonl", Body=b'{"id": "p1", "prompt": "Hi"}\n')
        desk.source = "s3://prompts/in/"  # type: ignore[assignment] # no path
        result = desk.run()
        client.close()
    assert result.exit_code == 0, result.stderr
    assert desk.answers["p1"]["text"] == "Hi"


def test_an_openai_batch_is_answered_in_openai_s_format_and_its_failures_can_be_rerun(desk: Desk) -> None:
    def request(key: str, text: str, **more: Any) -> dict[str, Any]:
        content = {"model": "gpt-x", "messages": [{"role": "user", "content": text}], **more}
        return {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": content}

    desk.lines(request("c1", "Hi"), request("c2", "Ho"), request("c3", "Hu", seed=7))
    desk.stub.script = refuse(400, "ValidationException", "Input is too long for requested model.", "Ho")
    assert desk.run().exit_code == 2
    assert json.loads(desk.failures.read_text())["custom_id"] == "c2"
    assert ["body.seed" in reject["reason"] for reject in rejects(desk)] == [True]
    desk.stub.script = lambda stub, prompt: (200, "", body(prompt))
    desk.source = desk.failures
    assert desk.run().exit_code == 0
    lines = [json.loads(line) for line in desk.output.read_text().splitlines()]
    assert [line["custom_id"] for line in lines] == ["c1", "c2"]
    answer = lines[1]["response"]["body"]
    assert (answer["model"], answer["choices"][0]["message"]["content"]) == (MODEL, "Ho")
    advised = CliRunner().invoke(
        main, ["quota", "advise", str(desk.output), "--model", MODEL, "--endpoint-url", "http://127.0.0.1:9"]
    )
    assert "not an answer" not in advised.output


def test_an_answer_in_openai_s_format_is_checked_against_its_schema(desk: Desk) -> None:
    schema = desk.folder / "schema.json"
    schema.write_text('{"type": "object", "required": ["city"]}')
    for key, text in (("c1", '{"city": "Rome"}'), ("c2", "Rome")):
        content = {"messages": [{"role": "user", "content": text}]}
        line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": content}
        with desk.source.open("a") as file:
            file.write(json.dumps(line) + "\n")
    assert desk.run("--schema", str(schema)).exit_code == 1
    assert [json.loads(line)["custom_id"] for line in desk.output.read_text().splitlines()] == ["c1"]
    assert json.loads(desk.failures.read_text())["custom_id"] == "c2"


def test_a_program_reads_the_same_inputs(desk: Desk) -> None:
    folder = desk.folder / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("first")
    with BedrockClient(MODEL, endpoint_url=desk.stub.url) as client:
        with BatchRun(folder, desk.output, client=client, template="Say {text}") as run:
            assert [(answer["id"], answer["text"]) for answer in run] == [("a.txt", "Say first")]
        with pytest.raises(ValueError, match="is inside the input directory"):
            BatchRun(folder, folder / "answers.jsonl", client=client, template="Say {text}")
        with pytest.raises(ValueError, match="contains no bucket"):
            BatchRun("s3:///key", desk.output, client=client)


def test_the_command_to_continue_does_not_repeat_the_template(desk: Desk) -> None:
    desk.lines({"id": 1, "text": "a"})
    desk.stub.script = refuse(400, "ValidationException", "Input is too long for requested model.")
    result = desk.run("--template", "Our secret: {text}")
    assert result.exit_code == 1
    assert "--template ..." in result.stderr
    assert "Our secret" not in result.stderr
    assert "--template @" in desk.run(f"--template=@{file_with(desk.folder, 'Say {text}')}").stderr.replace("=", " ")


def test_failures_are_run_again_with_the_same_template(desk: Desk) -> None:
    desk.lines({"id": 1, "text": "a"})
    desk.stub.script = refuse(400, "ValidationException", "Input is too long for requested model.")
    desk.run("--template", "Say {text}")
    desk.stub.script = lambda stub, prompt: (200, "", body(prompt))
    desk.source = desk.failures
    assert desk.run("--template", "Say {text}").exit_code == 0
    assert desk.answers[1]["text"] == "Say a"


def test_a_changed_template_is_refused_unless_the_change_is_allowed(desk: Desk) -> None:
    desk.lines({"id": "p1", "text": "a"})
    assert desk.run("--template", "Say {text}").exit_code == 0
    assert desk.run("--template", "Say {text}").exit_code == 0
    refused = desk.run("--template", "Sing {text}")
    assert refused.exit_code == 2
    assert "belong to other requests" in refused.stderr
    assert desk.run("--template", "Sing {text}", "--on-change", "ask").exit_code == 0
    assert desk.stub.prompts == ["Say a", "Sing a"]
    assert desk.answers["p1"]["text"] == "Sing a"


def test_invalid_lines_are_rejected_and_do_not_count_as_done(desk: Desk) -> None:
    desk.lines({"id": "p1", "prompt": "Hi"}, "nonsense", {"id": "p1", "prompt": "twice"})
    desk.run()
    assert [(reject["line"], reject["reason"][:8]) for reject in rejects(desk)] == [(2, "not JSON"), (3, 'the id "')]
    desk.lines({"id": "p1", "prompt": "Hi"})
    assert desk.run().exit_code == 0
    assert rejects(desk) == []


def test_a_rejects_file_that_cannot_be_written_ends_the_run_and_is_named(desk: Desk) -> None:
    desk.lines("nonsense")
    (desk.folder / "answers.jsonl.rejects.jsonl").mkdir()
    result = desk.run()
    assert result.exit_code == 1
    assert f"Stopped: {desk.output}.rejects.jsonl: " in result.stderr


@pytest.mark.parametrize(
    ("source", "options", "says"),
    [
        ("texts", [], "Pass --template 'Summarize: {text}'"),
        ("texts", ["--template", "x"], "the template contains no name in braces"),
        ("texts", ["--template", "@nowhere.txt"], "nowhere.txt cannot be read: No such file"),
        ("texts", ["--template", "{text}", "-o", "texts/answers.jsonl"], "--output is in the directory INPUT"),
        ("table.csv", [], 'no column "id", only "key", "prompt"'),
        ("s3:///key", [], "contains no bucket"),
        ("nowhere.jsonl", [], "does not exist"),
    ],
)
def test_an_invalid_input_is_refused_before_anything_is_sent(
    source: str, options: list[str], says: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.folder)
    (desk.folder / "texts").mkdir()
    (desk.folder / "texts" / "a.txt").write_text("first")
    (desk.folder / "table.csv").write_text("key,prompt\n1,Hi\n")
    desk.source = source  # type: ignore[assignment] # as it is written in a shell
    result = desk.run(*options)
    assert (result.exit_code, desk.stub.prompts) == (2, [])
    assert says in result.stderr


def file_with(folder: Path, text: str) -> Path:
    path = folder / "template.txt"
    path.write_text(text)
    return path
