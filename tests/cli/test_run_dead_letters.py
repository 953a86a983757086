"""`bedrock run --dead-letters`: a failed record is one dead letter until it is answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from support.desk import MODEL, Desk, body, refuse

from aws_bedrock_inference import DeadLetter, DeadLetterQueue
from aws_bedrock_inference.batch.carry_out import governing
from aws_bedrock_inference.batch.job import Job
from aws_bedrock_inference.cli import main
from aws_bedrock_inference.policies.config import load
from aws_bedrock_inference.testing import simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INVALID = (400, "ValidationException", "The request is invalid.")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[DeadLetterQueue]:
    made = DeadLetterQueue(tmp_path / "dead.db")
    yield made
    made.close()


def store(desk: Desk) -> str:
    return f"sqlite://{desk.folder / 'dead.db'}"


def kept(desk: Desk, *more: str) -> Any:
    return desk.run("--dead-letters", store(desk), *more)


def records(queue: DeadLetterQueue, state: str = "dead") -> list[str]:
    return sorted(letter.summary.tags["record"] for letter in queue.letters(state=state, tag="run=answers.jsonl"))


def test_each_failure_is_one_letter_however_often_the_run_is_repeated(desk: Desk, queue: DeadLetterQueue) -> None:
    desk.prompts(4)
    desk.stub.script = refuse(*INVALID, "prompt 2", "prompt 4")
    for _ in range(2):
        result = kept(desk, "--max-tokens", "50")
        assert result.exit_code == 1
        assert f"2 failures stored as dead letters in {queue.store.place}" in result.stderr
        assert records(queue) == ["p2", "p4"]
    (letter,) = [each for each in queue.letters() if each.summary.tags["record"] == "p2"]
    assert letter.request == {"modelId": MODEL, "max_tokens": 50, "prompt": "prompt 2"}
    assert letter["metadata"] == {"input": str(desk.source), "attempts": 1}
    assert (letter.summary.model, letter.summary.region) == (MODEL, "us-east-1")
    assert letter.cause == json.loads(desk.failures.read_text().splitlines()[0])["error"]["cause"]
    assert INVALID[2] in letter["error"]


def test_letters_of_answered_records_are_discarded_so_that_nothing_is_paid_twice(
    desk: Desk, queue: DeadLetterQueue
) -> None:
    desk.prompts(3)
    desk.stub.script = refuse(*INVALID, "prompt 2", "prompt 3")
    kept(desk)
    desk.stub.script = refuse(*INVALID, "prompt 3")
    result = kept(desk)
    assert "1 failure stored as dead letters" in result.stderr
    assert "1 dead letter discarded" in result.stderr
    assert (records(queue), records(queue, "discarded")) == (["p3"], ["p2"])


def test_the_run_stores_the_letters_instead_of_the_dead_letter_policy(desk: Desk, queue: DeadLetterQueue) -> None:
    """A record can be repeated and answered after one of its calls failed permanently."""
    config = desk.folder / "policies.toml"
    config.write_text(f'[dead_letters]\nstore = "{store(desk)}"\ntags = {{ team = "search" }}\n')
    _, pipeline = governing(Job(source=desk.source, output=desk.output, model=MODEL, pipeline=load(config)))
    assert not [policy for policy in pipeline.policies if isinstance(policy, DeadLetter)]
    desk.prompts(2)
    desk.stub.script = refuse(*INVALID, "prompt 2")
    assert "1 failure stored" in desk.run("--config", str(config)).stderr
    (letter,) = queue.letters(state="all")
    assert (letter.summary.tags["record"], letter.summary.tags["team"]) == ("p2", "search")


def test_a_run_that_stops_at_its_failure_limit_stores_its_letters(desk: Desk, queue: DeadLetterQueue) -> None:
    desk.prompts(20)
    desk.stub.script = refuse(*INVALID, "prompt 3")
    assert "1 failure stored" in kept(desk, "--max-failures", "1", "--concurrency", "1").stderr
    assert records(queue) == ["p3"]


def test_letters_of_records_of_every_form_can_be_redriven(desk: Desk, queue: DeadLetterQueue) -> None:
    image = {"image": {"format": "png", "source": {"bytes": "iVBORw=="}}}
    said = {"role": "user", "content": [{"text": "Hi"}, image]}
    titan = {"inputText": "Ho", "textGenerationConfig": {"maxTokenCount": 9}}
    chat = {"model": "any", "messages": [{"role": "user", "content": "Hey"}], "max_tokens": 7}
    desk.lines(
        {"id": 1, "prompt": "plain", "system": "Be brief."},
        {"recordId": "r1", "modelInput": {"messages": [said]}},
        {"recordId": "r2", "modelInput": titan},
        {"custom_id": "c1", "method": "POST", "url": "/v1/chat/completions", "body": chat},
    )
    desk.stub.script = refuse(*INVALID)
    kept(desk, "--concurrency", "1")
    assert records(queue) == ["1", "c1", "r1", "r2"]
    refused = sorted(desk.stub.bodies, key=json.dumps)
    desk.stub.script, desk.stub.bodies = refuse(*INVALID, "none"), []
    arguments = ["dlq", "redrive", "--tag", "run=answers.jsonl", "--store", store(desk), "--endpoint-url"]
    result = CliRunner().invoke(main, [*arguments, desk.stub.url, "--remedied", next(queue.letters()).cause])
    assert result.exit_code == 0, result.output
    assert sorted(desk.stub.bodies, key=json.dumps) == refused
    assert records(queue, "redriven") == ["1", "c1", "r1", "r2"]


def test_one_letter_is_redriven_by_its_id(desk: Desk, queue: DeadLetterQueue) -> None:
    desk.prompts(2)
    with simulator(faults=[{"kind": "error", "code": "ValidationException"}]) as sim:
        at = ["--endpoint-url", sim.url]
        assert kept(desk, *at).exit_code == 1
        first, second = queue.letters()
        sim.scenario()
        result = CliRunner().invoke(main, ["dlq", "redrive", first.id, "--store", store(desk), *at])
        assert result.exit_code == 0, result.output
    answered, other = queue.get(first.id), queue.get(second.id)
    assert answered is not None
    assert answered.answer["output"]["message"]["content"][0]["text"]
    assert other is not None
    assert (answered.state, other.state) == ("redriven", "dead")


def test_runs_whose_outputs_have_one_name_share_a_store(desk: Desk, queue: DeadLetterQueue, tmp_path: Path) -> None:
    desk.prompts(1)
    desk.stub.script = refuse(*INVALID)
    kept(desk)
    (tmp_path / "other").mkdir()
    desk.output = tmp_path / "other" / "answers.jsonl"
    desk.stub.script = refuse(*INVALID, "none")
    assert "discarded" not in kept(desk).stderr
    assert records(queue) == ["p1"]


def test_an_id_that_looks_like_a_secret_has_one_letter_too(desk: Desk, queue: DeadLetterQueue) -> None:
    secret = "nyKiC4WPMe0gGNRKVluOyD3Nd34LpnjHvIwerho2"
    desk.lines({"id": secret, "prompt": "Hi"})
    desk.stub.script = refuse(*INVALID)
    for _ in range(2):
        kept(desk)
        assert len(list(queue.letters())) == 1
    desk.stub.script = refuse(*INVALID, "none")
    kept(desk)
    assert not list(queue.letters())


def test_a_run_that_stops_early_because_every_call_fails_stores_no_letter(desk: Desk, queue: DeadLetterQueue) -> None:
    desk.prompts(20)
    desk.stub.script = refuse(403, "AccessDeniedException", "You don't have access to the model.")
    result = kept(desk, "--concurrency", "2")
    assert result.exit_code == 3
    assert "dead letters" not in result.stderr.replace("--dead-letters", "")
    assert not list(queue.letters(state="all"))


def test_a_store_that_cannot_be_written_is_reported_and_does_not_end_the_run(desk: Desk) -> None:
    desk.prompts(2)

    def script(stub: Any, prompt: str) -> Any:
        (desk.folder / "dead.db").write_bytes(b"no letters are in here" * 99)
        return INVALID if prompt == "prompt 1" else (200, "", body(prompt))

    desk.stub.script = script
    result = kept(desk)
    assert (result.exit_code, set(desk.answers)) == (1, {"p2"})
    (told,) = [line for line in result.stderr.splitlines() if "Failures were not stored as dead letters: " in line]
    assert told.endswith(f"They are in {desk.failures}.")
    assert json.loads(desk.failures.read_text())["id"] == "p1"


def test_an_invalid_store_is_refused_before_anything_is_sent(desk: Desk) -> None:
    desk.prompts(1)
    result = desk.run("--dead-letters", "redis://here")
    assert (result.exit_code, desk.stub.prompts) == (2, [])
    assert "Dead letters cannot be stored at" in result.stderr
