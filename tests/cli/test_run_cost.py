"""`bedrock run --max-cost` and `BatchRun(max_cost=...)`: the limit is kept, whatever happens, and costs are said."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from support.desk import MODEL, Hold, refuse

from aws_bedrock_inference import (
    AsyncBatchRun,
    AsyncBedrockClient,
    BatchRun,
    BatchStopped,
    BedrockClient,
    Pipeline,
    Quota,
    Retry,
)
from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from support.desk import Desk

# The stub's answers have 3 tokens of input and 5 of output, at 0.06 and 0.24 dollars for a million.
EACH = (3 * 0.06 + 5 * 0.24) / 1_000_000


def cost_in_journal(desk: Desk) -> Any:
    result = CliRunner().invoke(main, ["run", "status", str(desk.output), "--json"])
    found = json.loads(result.stdout)
    return found["cost"], found["cost_unknown"]


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_limit_in_the_middle_of_a_run_ends_it_in_order(desk: Desk, concurrency: int) -> None:
    desk.prompts(60)
    result = desk.run("--max-cost", f"{20 * EACH:.8f}", "--max-tokens", "5", "--concurrency", str(concurrency))
    assert result.exit_code == 3
    answered = len(desk.answers)
    assert 20 <= answered < 20 + concurrency
    assert len(desk.stub.prompts) == answered, "what was sent and paid for was not kept"
    assert f"Stopped: the cost limit of ${20 * EACH:.6f} is reached" in result.stderr
    assert f"60 records: {answered} answered, 0 failed, {60 - answered} missing" in result.stderr
    assert f"Cost ${answered * EACH:.6f}" in result.stderr
    assert "To continue with a higher --max-cost, run: bedrock run" in result.stderr
    assert not desk.failures.exists()
    assert cost_in_journal(desk) == (pytest.approx(answered * EACH), 0)


def test_a_run_that_goes_on_counts_what_was_spent_before(desk: Desk) -> None:
    desk.prompts(60)
    limit = ["--max-tokens", "5", "--concurrency", "1"]
    desk.run("--max-cost", f"{10 * EACH:.8f}", *limit)
    again = desk.run("--max-cost", f"{10 * EACH:.8f}", *limit)
    assert (again.exit_code, len(desk.stub.prompts)) == (3, 10)
    more = desk.run("--max-cost", f"{25 * EACH:.8f}", *limit)
    assert (more.exit_code, len(desk.answers)) == (3, 25)
    assert f"Cost ${15 * EACH:.6f}" in more.stderr
    assert f"with earlier runs: cost ${25 * EACH:.6f} of ${25 * EACH:.6f}" in more.stderr
    rest = desk.run("--max-cost", "1")
    assert (rest.exit_code, len(desk.stub.prompts)) == (0, 60)


def test_what_a_killed_run_has_spent_counts_for_the_next(desk: Desk) -> None:
    desk.prompts(60)
    hold = desk.stub.script = Hold(at=12)
    limit = ["--max-cost", f"{20 * EACH:.8f}", "--max-tokens", "5", "--concurrency", "1"]
    child = desk.child(*limit)
    assert hold.reached.wait(30)
    child.kill()
    child.communicate()
    hold.let_go.set()
    assert cost_in_journal(desk) == (pytest.approx(11 * EACH), 0)
    result = desk.run(*limit)
    assert (result.exit_code, len(desk.answers)) == (3, 20)
    assert len(desk.stub.prompts) == 21, "only what was in flight at the kill was sent twice"


def test_the_limit_holds_with_policies_from_a_file_too(desk: Desk, tmp_path: Path) -> None:
    policies = tmp_path / "policies.toml"
    policies.write_text("[quota]\nrpm = 100000\n")
    desk.prompts(30)
    more = ["--max-cost", f"{5 * EACH:.8f}", "--max-tokens", "5", "--concurrency", "1"]
    result = desk.run("--config", str(policies), *more)
    assert (result.exit_code, len(desk.answers)) == (3, 5)


def test_a_limit_that_a_file_of_policies_has_fails_no_record_either(desk: Desk, tmp_path: Path) -> None:
    policies = tmp_path / "policies.toml"
    policies.write_text(f"max_cost = {5 * EACH:.8f}\n")
    desk.prompts(30)
    result = desk.run("--config", str(policies), "--max-tokens", "5", "--concurrency", "4")
    assert (result.exit_code, desk.failures.exists()) == (3, False)
    assert len(desk.stub.prompts) == len(desk.answers)


def test_failed_attempts_fill_no_bill(desk: Desk) -> None:
    desk.prompts(4)
    desk.stub.script = refuse(400, "ValidationException", "Input is too long for requested model.", "prompt 2")
    result = desk.run("--max-tokens", "5")
    assert (result.exit_code, len(desk.answers)) == (1, 3)
    assert cost_in_journal(desk) == (pytest.approx(3 * EACH), 0)


def test_answers_that_do_not_fit_a_schema_were_paid_for_too(desk: Desk, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    desk.prompts(2)
    result = desk.run("--schema", str(schema), "--max-tokens", "5")
    assert (result.exit_code, len(desk.stub.prompts)) == (1, 6)
    assert cost_in_journal(desk) == (pytest.approx(6 * EACH), 0)


def test_answers_of_a_file_that_had_no_journal_are_said_to_have_an_unknown_cost(desk: Desk) -> None:
    desk.prompts(3)
    desk.run("--max-tokens", "5")
    (desk.folder / "answers.jsonl.journal").unlink()
    desk.prompts(5)
    result = desk.run("--max-tokens", "5", "--max-cost", "1")
    assert f"Cost ${2 * EACH:.6f}\n" in result.stderr
    assert f"with earlier runs: cost ${2 * EACH:.6f} of $1.00, unknown for 3 answers" in result.stderr
    assert cost_in_journal(desk) == (pytest.approx(2 * EACH), 3)


@pytest.mark.parametrize("limit", [[], ["--max-cost", "1"]])
def test_a_price_that_is_not_known_is_said(desk: Desk, limit: list[str]) -> None:
    desk.prompts(7)
    result = desk.run("--model", "amazon.nova-unheard-of-v1:0", "--progress", "json", *limit)
    if limit:
        assert (result.exit_code, desk.stub.prompts) == (3, [])
        assert "the price of amazon.nova-unheard-of-v1:0 in us-east-1 is unknown" in result.stderr
        assert "7 records: 0 answered, 0 failed, 7 missing" in result.stderr
        return
    assert result.exit_code == 0
    assert "Cost unknown for 7 answers" in result.stderr
    assert "$0" not in result.stderr
    last = json.loads(re.findall(r"^\{.*", result.stderr, re.MULTILINE)[-1])
    assert (last["cost"], last["cost_unknown"]) == (None, 7)
    assert cost_in_journal(desk) == (None, 7)
    shown = CliRunner().invoke(main, ["run", "status", str(desk.output)])
    assert "  cost unknown for 7 answers\n" in shown.stdout


def test_progress_for_programs_has_the_cost_and_its_limit(desk: Desk) -> None:
    desk.prompts(3)
    result = desk.run("--progress", "json", "--max-cost", "2", "--max-tokens", "5")
    last = json.loads(re.findall(r"^\{.*", result.stderr, re.MULTILINE)[-1])
    assert last["cost"] == pytest.approx(3 * EACH)
    assert (last["cost_before"], last["cost_unknown"], last["max_cost"]) == (0.0, 0, 2.0)


def test_a_dry_run_says_what_all_would_cost_at_most(desk: Desk) -> None:
    desk.prompts(10)
    result = desk.run("--dry-run", "--max-tokens", "1000000")
    found = re.search(
        r"About ([\d,]+) input tokens, and up to ([\d,]+) output tokens\nUp to \$([\d.,]+),", result.stderr
    )
    assert found is not None, result.stderr
    tokens_in, tokens_out = (int(number.replace(",", "")) for number in found.groups()[:2])
    assert tokens_out == 10_000_000
    assert found[3] == f"{(tokens_in * 0.06 + tokens_out * 0.24) / 1_000_000:,.2f}"


def test_a_dry_run_says_that_a_price_is_not_known(desk: Desk) -> None:
    desk.lines({"id": 1, "prompt": "Hi"}, {"id": 2, "prompt": "Ho", "tier": "reserved"})
    some = desk.run("--dry-run", "--max-tokens", "5").stderr
    assert "Up to $0.0000" in some
    assert "The price is unknown for 1 of them" in some
    none = desk.run("--dry-run", "--model", "amazon.nova-unheard-of-v1:0").stderr
    assert "The price is unknown for all of them" in none
    assert "$" not in none


def test_a_simulated_run_costs_what_its_recorded_usages_cost(desk: Desk, tmp_path: Path) -> None:
    desk.prompts(80)
    command = ["run", str(desk.source), "-o", str(desk.output), "--model", "us.amazon.nova-lite-v1:0"]
    limit, concurrency = 0.0008, 16
    more = ["--max-tokens", "200", "--max-cost", str(limit), "--concurrency", str(concurrency), "--simulate"]
    result = CliRunner().invoke(main, [*command, *more])
    assert result.exit_code == 3, result.output
    costs = [
        (answer["usage"]["input_tokens"] * 0.06 + answer["usage"]["output_tokens"] * 0.24) / 1_000_000
        for answer in desk.answers.values()
    ]
    assert cost_in_journal(desk) == (pytest.approx(sum(costs)), 0)
    assert limit <= sum(costs) <= limit + concurrency * max(costs)


def in_program(desk: Desk, kind: str, **options: Any) -> tuple[list[str], dict[str, int]]:
    """Return the ids that a run answers until it stops, and its counts."""
    pipeline = Pipeline(Retry(attempts=1), Quota())
    found: list[str] = []

    def blocking() -> dict[str, int]:
        with (
            BedrockClient(MODEL, endpoint_url=desk.stub.url, pipeline=pipeline) as client,
            BatchRun(desk.source, desk.output, client=client, concurrency=1, max_tokens=5, **options) as run,
        ):
            with pytest.raises(BatchStopped, match="the cost limit of"):
                found.extend(answer["id"] for answer in run)
            client.invoke("not of the run, so it is not refused", max_tokens=5)
            assert run.cost == pytest.approx(len(found) * EACH)
            return run.counts

    async def read(run: AsyncBatchRun) -> None:
        async for answer in run:
            found.append(answer["id"])  # noqa: PERF401 - those that came before it stopped count

    async def asynchronous() -> dict[str, int]:
        async with (
            AsyncBedrockClient(MODEL, endpoint_url=desk.stub.url, pipeline=pipeline) as client,
            AsyncBatchRun(desk.source, desk.output, client=client, concurrency=1, max_tokens=5, **options) as run,
        ):
            with pytest.raises(BatchStopped, match="the cost limit of"):
                await read(run)
            await client.invoke("not of the run, so it is not refused", max_tokens=5)
            return run.counts

    return found, blocking() if kind == "blocking" else asyncio.run(asynchronous())


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
def test_a_program_has_the_same_limit_for_its_run_alone(desk: Desk, kind: str) -> None:
    desk.prompts(20)
    found, counts = in_program(desk, kind, max_cost=4 * EACH)
    assert (len(found), counts) == (4, {"answered": 4, "failed": 0, "missing": 16})
    found, counts = in_program(desk, kind, max_cost=9 * EACH)
    assert (len(found), counts["answered"]) == (9, 9)
    assert cost_in_journal(desk) == (pytest.approx(9 * EACH), 0)


def test_a_program_is_told_at_once_that_a_limit_is_none(desk: Desk) -> None:
    desk.prompts(1)
    with BedrockClient(MODEL, endpoint_url=desk.stub.url) as client, pytest.raises(ValueError, match="US dollars"):
        BatchRun(desk.source, desk.output, client=client, max_cost=0)
