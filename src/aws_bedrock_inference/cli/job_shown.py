"""Print batch jobs and their records as text and as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console

from aws_bedrock_inference.cli.quota_usage import aligned, print_lines
from aws_bedrock_inference.events import JobCreated, JobPollFailed, JobProgressed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from aws_bedrock_inference.jobs.values import JobRecord, JobStatus


@contextlib.contextmanager
def writing(output: Path) -> Iterator[IO[str]]:
    """Open a file for the `with` block. `-` is standard output.

    A regular file is replaced only at the end of the block, so that an interrupted command does not change an existing
    file.
    """
    if str(output) == "-":
        yield sys.stdout
        return
    whole = not output.exists() or output.is_file()
    target = output.resolve() if whole else output
    part = target.with_name(f".{target.name}.{os.getpid()}.part") if whole else target
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        if whole:
            part.replace(target)
    finally:
        if whole:
            part.unlink(missing_ok=True)


def line_of(job: JobStatus) -> str:
    """Return a job as JSON."""
    return json.dumps(job, default=str)


def details(job: JobStatus) -> str:
    """Return the facts of a job, one per line."""
    facts = (
        ("Job", job["job_id"]),
        ("Name", job["name"]),
        ("Model", job["model_id"]),
        ("Status", f"{job['status']} ({job['aws_status']})"),
        ("Error", job["error"]),
        ("Records", f"{job['processed']:,} of {job['total']:,} processed, {job['failed']:,} failed"),
        ("Submitted", job["submitted"]),
        ("Ended", job["ended"]),
        ("Expires", job["expires"]),
        ("Input", job["input_s3_uri"]),
        ("Output", job["output_s3_uri"]),
    )
    return "\n".join(f"{name + ':':<20}{value}" for name, value in facts if value)


def print_jobs(jobs: Iterable[JobStatus]) -> None:
    """Print jobs as a table."""
    rows = [("Job", "Name", "Status", "Records", "Submitted"), *map(_row, jobs)]
    print_lines(Console(highlight=False), list(aligned(rows, "<<<><")))


def _row(job: JobStatus) -> tuple[str, ...]:
    submitted = f"{job['submitted']:%Y-%m-%d %H:%M}" if job["submitted"] else ""
    return job["job_id"], job["name"], job["aws_status"], f"{job['processed']:,}/{job['total']:,}", submitted


def record_line(record: JobRecord) -> str:
    """Return a record as a line of JSON with the fields of AWS's output. If the record failed, the field `error` also
    contains the cause of the error, whether to retry (`decision`), and what to do (`advice`).
    """
    line: dict[str, Any] = {"recordId": record.record_id, "modelInput": record.input}
    if record.error is None:
        line["modelOutput"] = record.output
    else:
        known = record.error.explanation
        line["error"] = {
            "errorCode": record.error.code,
            "errorMessage": record.error.message,
            "cause": known.cause,
            "decision": known.decision.value,
            "advice": known.remedies[0].do if known.remedies else "",
        }
    return json.dumps(line, ensure_ascii=False)


def progress(event: object) -> str:
    """Return the line to print for an event. Return an empty text if nothing is printed for the event."""
    if isinstance(event, JobCreated):
        return "A job with this content exists already." if event.adopted else f"Created job {event.name}."
    if isinstance(event, JobProgressed):
        counts = f", {event.processed:,} of {event.total:,} records, {event.failed:,} failed" if event.total else ""
        return f"{event.aws_status} after {event.waited:,.0f} s{counts}."
    if isinstance(event, JobPollFailed):
        return f"The status is unknown now ({event.fault.code}). The next request follows in {event.wait:.0f} s."
    return ""
