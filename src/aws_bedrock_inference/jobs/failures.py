"""Store the failed records of a job as dead letters. Each record gets one dead letter, even if the result is read
several times.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Outcome, Route
from aws_bedrock_inference.deadletters.making import letter_of_error
from aws_bedrock_inference.dialects.media_json import with_bytes
from aws_bedrock_inference.dialects.request import is_converse
from aws_bedrock_inference.jobs.reading import response_of
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.raising import error_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
    from aws_bedrock_inference.exceptions import BedrockError
    from aws_bedrock_inference.jobs.values import JobRecord, JobStatus, RecordError

_PAGE = 1000


def keep_failures(records: Iterable[JobRecord], job: JobStatus, queue: DeadLetterQueue, region: str) -> None:
    """Store a dead letter for each failed record, unless an earlier reader of this job has stored it.

    Each dead letter has three tags: the job's id, the record's position in the results, and the record's id. The job's
    id and the position show whether a record already has a dead letter. The record's id is not used for this: if it
    looks like a secret, it is stored in masked form. Raises `StoreUnavailable`.
    """
    name = job["job_id"].rpartition("/")[2]
    there, route = _kept(queue, name), Route(job["model_id"], region)
    for number, record in enumerate(records):
        if record.error is None or str(number) in there:
            continue
        request = _request(record, job["model_id"])
        error = _exception(record.error, route, "invoke_model" if "body" in request else "converse")
        tags = {"job": name, "record": record.record_id, "number": str(number)}
        queue.keep(letter_of_error(request, error, {"job": job["name"]}, queue.store.now(), tags))


def _kept(queue: DeadLetterQueue, name: str) -> set[str]:
    """Return the positions of the records of this job that already have a dead letter, in any state."""
    there, after = set[str](), None
    while True:
        summaries, after = queue.page_of_summaries(_PAGE, state="all", after=after, tag=f"job={name}")
        there.update(summary.tags["number"] for summary in summaries)
        if after is None:
            return there


def _request(record: JobRecord, model_id: str) -> dict[str, Any]:
    """Return the request for a record, in the form in which a client would send it."""
    if is_converse(record.input):
        return {"modelId": model_id, **with_bytes(record.input)}
    return {"modelId": model_id, "body": json.dumps(record.input)}


def _exception(error: RecordError, route: Route, operation: str) -> BedrockError:
    fault = classify(response_of(error.code, error.message), service="bedrock-runtime")
    return error_of(Outcome(fault=fault), operation, route)
