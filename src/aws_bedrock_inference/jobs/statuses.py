"""Translate the job statuses that the API returns into the words of AWS's documentation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.jobs.values import COMPLETED, ENDED, FAILED, STOPPED, JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

# Source: botocore 1.44.8, ModelInvocationJobStatus; a running job keeps AWS's word, in capitals.
_WORDS = {"PartiallyCompleted": COMPLETED, "Expired": FAILED}


def status_of(job: Mapping[str, Any]) -> JobStatus:
    """Return the status of a job from its description in `GetModelInvocationJob` or in a list."""
    word = job["status"]
    status = _status(word)
    failed, total = job.get("errorRecordCount") or 0, job.get("totalRecordCount") or 0
    return JobStatus(
        job_id=job["jobArn"],
        name=job["jobName"],
        model_id=job["modelId"],
        status=status,
        aws_status=word,
        error=job.get("message") or _default_error(word, status, failed, total),
        total=total,
        processed=job.get("processedRecordCount") or 0,
        succeeded=job.get("successRecordCount") or 0,
        failed=failed,
        submitted=job.get("submitTime"),
        modified=job.get("lastModifiedTime"),
        ended=job.get("endTime"),
        expires=job.get("jobExpirationTime"),
        input_s3_uri=job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"],
        output_s3_uri=job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"],
        client_token=job.get("clientRequestToken") or "",
    )


def has_ended(word: str) -> bool:
    """Return whether AWS's word for a status means that the job has ended."""
    return _status(word) in ENDED


def _status(word: str) -> str:
    return _WORDS.get(word) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).upper()


def _default_error(word: str, status: str, failed: int, total: int) -> str | None:
    if word == "Expired":
        return "the job expired before all its records were processed"
    if failed or word == "PartiallyCompleted":
        return f"{failed:,} of {total:,} records failed"
    return {FAILED: "AWS states no reason", STOPPED: "the job was stopped"}.get(status)


def check_ended(job: JobStatus) -> None:
    """Raise `ValueError` if the job is still running."""
    if job["status"] not in ENDED:
        raise ValueError(f"job {job['job_id']} has not ended ({job['status']}). Use wait_for_job() to wait for its end")
