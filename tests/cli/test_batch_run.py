"""`BatchRun` and its asyncio counterpart, against a stub of the service."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.desk import MODEL, body, refuse

from aws_bedrock_inference import (
    AsyncBatchRun,
    AsyncBedrockClient,
    BatchRun,
    BatchStopped,
    BedrockClient,
    Pipeline,
    Retry,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.desk import Desk


@pytest.fixture
def client(desk: Desk) -> Iterator[BedrockClient]:
    with BedrockClient(MODEL, endpoint_url=desk.stub.url, pipeline=Pipeline(Retry(attempts=1))) as client:
        yield client


async def in_asyncio(desk: Desk, *, stop_after: int | None = None, **options: Any) -> list[dict[str, Any]]:
    """Return the answers that an asyncio run yields."""
    answers = []
    async with (
        AsyncBedrockClient(MODEL, endpoint_url=desk.stub.url, pipeline=Pipeline(Retry(attempts=1))) as client,
        AsyncBatchRun(desk.source, desk.output, client=client, **options) as run,
    ):
        async for answer in run:
            answers.append(answer)
            if len(answers) == stop_after:
                break
    return answers


def blocking(
    desk: Desk, client: BedrockClient, *, stop_after: int | None = None, **options: Any
) -> list[dict[str, Any]]:
    """Return the answers that a blocking run yields."""
    answers = []
    with BatchRun(desk.source, desk.output, client=client, **options) as run:
        for answer in run:
            answers.append(answer)
            if len(answers) == stop_after:
                break
    return answers


@pytest.fixture(params=["blocking", "asyncio"])
def batch(request: pytest.FixtureRequest, desk: Desk, client: BedrockClient) -> Any:
    if request.param == "blocking":
        return lambda **options: blocking(desk, client, **options)
    return lambda **options: asyncio.run(in_asyncio(desk, **options))


def test_each_answer_is_yielded_as_it_is_in_the_output(desk: Desk, batch: Any) -> None:
    desk.prompts(50)
    given = batch()
    assert {answer["id"]: answer for answer in given} == desk.answers
    assert len(given) == len(desk.stub.prompts) == 50


def test_the_next_run_yields_earlier_answers_without_sending_them_again(desk: Desk, batch: Any) -> None:
    desk.prompts(200)
    assert len(batch(stop_after=5, concurrency=4)) == 5
    asked = len(desk.stub.prompts)
    assert 5 <= asked < 200
    assert len({answer["id"] for answer in batch()}) == 200
    assert len(desk.stub.prompts) == 200


def test_an_answer_that_was_yielded_is_durable(desk: Desk, client: BedrockClient) -> None:
    desk.prompts(20)
    with BatchRun(desk.source, desk.output, client=client, concurrency=2) as run:
        for answer in run:
            assert run.counts["answered"] >= 1
            assert any(
                line == answer for rows in run._journal.answers() for line in (json.loads(row[1]) for row in rows)
            )


def test_failures_are_yielded_with_their_reason(desk: Desk, client: BedrockClient) -> None:
    desk.prompts(3)
    desk.stub.script = refuse(400, "ValidationException", "Input is too long for requested model.", "prompt 2")
    with BatchRun(desk.source, desk.output, client=client) as run:
        run.wait()
        assert run.counts == {"answered": 2, "failed": 1, "missing": 0}
        (failed,) = run.failures()
    assert (failed["id"], failed["error"]["cause"]) == ("p2", "input-too-long")


def test_a_stopped_run_raises_after_its_answers(desk: Desk, batch: Any) -> None:
    desk.prompts(30)
    desk.stub.script = refuse(403, "AccessDeniedException", "You don't have access to the model.")
    with pytest.raises(BatchStopped, match="every call fails with AccessDeniedException"):
        batch()


def test_a_problem_with_a_file_is_raised_before_any_request(desk: Desk, batch: Any) -> None:
    desk.prompts(3)
    desk.output.write_text("my diary\n")
    with pytest.raises(ValueError, match="is not an answer of an earlier run"):
        batch()
    desk.output.unlink()
    batch()
    desk.lines({"id": "p1", "prompt": "another"})
    with pytest.raises(ValueError, match="Choose another output file"):
        batch()
    assert len(desk.stub.prompts) == 3


def test_a_slow_reader_delays_no_call(desk: Desk, client: BedrockClient) -> None:
    desk.prompts(40)
    all_asked = threading.Event()

    def script(stub: Any, prompt: str) -> Any:
        if len(stub.prompts) == 40:
            all_asked.set()
        return 200, "", body(prompt)

    desk.stub.script = script
    with BatchRun(desk.source, desk.output, client=client, concurrency=2) as run:
        answers = iter(run)
        next(answers)
        assert all_asked.wait(30)
        assert sum(1 for _ in answers) == 39
