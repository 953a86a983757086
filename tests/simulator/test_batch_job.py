"""A batch job by itself, without a server or S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from aws_bedrock_inference.simulator import batch_input, batch_records
from aws_bedrock_inference.simulator.batch_input import Record
from aws_bedrock_inference.simulator.batch_job import Job
from aws_bedrock_inference.simulator.batch_records import Answered
from aws_bedrock_inference.simulator.job_settings import JobRule
from aws_bedrock_inference.simulator.request import Asked
from aws_bedrock_inference.simulator.settings import Scenario

if TYPE_CHECKING:
    import pytest

NOVA = Asked("Converse", "amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", "batch", "us-east-1", "")


def test_a_job_stays_due_until_a_chunk_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waits for the work of a job that is due, so it never sees the counts of half a chunk."""
    rule = JobRule(submitted=1, validating=1, scheduled=1, in_progress=100, chunk=50)
    job = Job("arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/a", {}, NOVA, rule, Scenario(), 0.0)
    seen: list[tuple[float, int]] = []

    def answer(record: Record, *_: Any) -> Answered:
        seen.append((job.due(), job.processed))
        return Answered(record.file, record.line, failed=False)

    monkeypatch.setattr(batch_input, "read", lambda *_: [Record("a.jsonl", each, b"{}") for each in range(200)])
    monkeypatch.setattr(batch_records, "answer", answer)
    job.run(60.0, cast("Any", None))
    assert seen == [(28.0, 0)] * 50 + [(53.0, 50)] * 50
    assert job.processed == job.succeeded == 100
