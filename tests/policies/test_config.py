"""The recommended pipeline from a file: the options of `standard`, and a message for each mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from support.answers import REPLY
from support.doubles import session
from support.wire import Wire, answer

from aws_bedrock_inference import (
    BedrockClient,
    Cache,
    Degrade,
    Filtered,
    MaxCost,
    Quota,
    Resume,
    Retry,
    load,
    standard,
)
from aws_bedrock_inference.batch.carry_out import governing
from aws_bedrock_inference.batch.job import Job
from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = """
filtered = "I can't answer that."
degrade = "Busy, try later."
on_interrupt = "continue"
max_cost = 40

[quota]
rpm = 500
tpm = 200_000
shares = { batch = 0.2 }

[cache]
ttl = 600

[retry]
attempts = 3
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "bedrock.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_file_can_set_every_option_of_standard(written: Any) -> None:
    pipeline = load(written(WHOLE))
    by_kind: dict[type, Any] = {type(policy): policy for policy in pipeline.policies}
    same = standard(
        Quota(rpm=500),
        cache=Cache(),
        filtered="no",
        degrade=Degrade("x"),
        on_interrupt="continue",
        retry=Retry(),
        max_cost=40,
    )
    assert list(by_kind) == [type(policy) for policy in same.policies]
    assert (by_kind[Quota].rpm, by_kind[Quota].tpm, by_kind[Retry].attempts) == (500, 200_000, 3)
    assert (by_kind[Cache].ttl, by_kind[Resume].on_interrupt) == (600, "continue")
    assert by_kind[MaxCost].limit == 40
    assert by_kind[Degrade].substitute == "Busy, try later."
    assert isinstance(by_kind[Filtered], Filtered)


def test_an_empty_file_gives_the_recommended_pipeline(written: Any) -> None:
    assert repr(load(written(""))) == repr(standard())


def test_short_forms_of_options_are_accepted(written: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/answers.db"
    policies = load(written(f'cache = "{url}"\nretry = "outside"\nfiltered = "raise"')).policies
    assert next(policy for policy in policies if isinstance(policy, Retry)).attempts == 1
    assert (tmp_path / "answers.db").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quota = 5", "quota = 5: set a table"),
        ("[quota]\nrps = 5", "quota has no option 'rps'; allowed here: concurrency, discovered, rpm, shares"),
        ("[quota]\nrpm = 0", r"Quota\(rpm=0\): pass a number above 0"),
        ("[quota]\ndiscovered = 1", "quota.discovered = 1: set it to true or false"),
        (
            "[cash]\nttl = 5",
            "has no option 'cash'; allowed here: cache, dead_letters, degrade, fallback, filtered, max_cost",
        ),
        ('retry = "inside"', r"standard\(retry=.*'outside'"),
        (
            "[retry]\nchance = 5",
            "retry has no option 'chance'; only Python code can set this option; allowed here: attempts, jitter",
        ),
        ("[cache]\nurls = 5", "cache has no option 'urls'; allowed here: max_entries, sampled"),
        ('on_interrupt = "again"', "pass one of raise, restart, continue"),
        ("[fallback]\ntargets = []", "set a list of model ids or tables"),
        ('[fallback]\ntargets = [{ region_name = "us-west-2" }]', "the table has no model_id"),
        (
            '[fallback]\ntargets = [{ model_id = "m", model = "n" }]',
            "has no option 'model'; allowed here: endpoint_url, model_id",
        ),
        ('[fallback]\ntargets = ["m"]\nsome = 1', "allowed here: attempts, on, reserve, targets, within"),
        ("degrade = 5", r"Degrade\(5\): pass the text"),
        ("max_cost = 0", r"MaxCost\(0\): pass a number of US dollars"),
        ('max_cost = "40"', r"MaxCost\(<str>\): pass a number of US dollars"),
        ("[cache]\nttl = -1", "ttl"),
        ("a = = b", "the file is not valid TOML"),
    ],
)
def test_each_mistake_in_a_file_has_a_message(written: Any, text: str, said: str) -> None:
    path = written(text)
    with pytest.raises(ValueError, match=said) as raised:
        load(path)
    assert str(raised.value).startswith(str(path))


def test_a_client_accepts_the_pipeline_of_a_file(written: Any, alone: None) -> None:
    with Wire(answer(REPLY)) as wire:
        pipeline = load(written("[cache]\nsampled = true"))
        with BedrockClient(
            "amazon.nova-lite-v1:0", pipeline=pipeline, session=session(), endpoint_url=wire.url
        ) as client:
            assert [client.invoke("Why?", max_tokens=9).text for _ in range(2)] == ["Because of Rayleigh."] * 2
        assert len(wire.received) == 1


def test_a_run_accepts_the_pipeline_of_a_file(written: Any, tmp_path: Path) -> None:
    source, output = tmp_path / "prompts.jsonl", tmp_path / "answers.jsonl"
    source.write_text('{"id": "1", "prompt": "Why?"}\n{"id": "2", "prompt": "Why?"}\n', encoding="utf-8")
    config = written("[quota]\nrpm = 600\n[cache]\nsampled = true")
    command = ["run", str(source), "-o", str(output), "--config", str(config), "--simulate"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert len({json.loads(line)["text"] for line in output.read_text(encoding="utf-8").splitlines()}) == 1
    twice = CliRunner().invoke(main, [*command, "--rpm", "5"])
    assert twice.exit_code == 2
    assert "--rpm and --config both set the quota" in twice.output


def test_a_run_refuses_a_pipeline_with_substitute_answers(written: Any) -> None:
    """Failed records are written to the file of failures and can be run again."""
    quota, pipeline = governing(
        Job(source=Path("in"), output=Path("out"), model="m", pipeline=load(written('degrade = "Busy."')))
    )
    kinds = [type(policy) for policy in pipeline.policies]
    assert Degrade not in kinds
    assert kinds[-1] is Quota
    assert pipeline.policies[-1] is quota
