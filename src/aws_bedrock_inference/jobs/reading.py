"""Read the results of a job from S3, and join them to its inputs by record id, in the order of the inputs.

The outputs can be in any order. To find the output of an input record, outputs are read until the right one is found.
The other outputs that were read are stored for later records (see `outputs.py`).
"""

from __future__ import annotations

import json
import tempfile
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.dialects.failed import failure_of
from aws_bedrock_inference.dialects.request import is_converse
from aws_bedrock_inference.jobs.outputs import Outputs, id_of
from aws_bedrock_inference.jobs.preparing import CONVERSE, NATIVE
from aws_bedrock_inference.jobs.values import COMPLETED, EXPIRED, JobRecord, RecordError
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.s3 import S3Location, listed, opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aws_bedrock_inference.jobs.values import JobStatus
    from aws_bedrock_inference.knowledge.explain import Explanation

_INPUT, _OUTPUT = ".jsonl", ".jsonl.out"


class Records:
    """The records of a job that has ended. Each iteration reads the records from S3 again."""

    def __init__(self, s3: Any, job: JobStatus) -> None:
        self._s3 = s3
        self._job = job

    def __iter__(self) -> Iterator[JobRecord]:
        """Yield each record of the job once.

        First come the records with an id, and then the records without an id, both in the order of the input. Outputs
        for which no input was found come last. Raises `OSError` if the output cannot be read or no longer exists.
        """
        unnamed = False
        with tempfile.TemporaryFile() as aside:
            outputs = Outputs(self._lines(output_of(self._job), _OUTPUT), aside)
            for record_id, body in self._inputs():
                if record_id is None:
                    unnamed = True
                elif (line := outputs.take(record_id, body)) is not None:
                    yield _record(line)
                elif not outputs.took(record_id, body):
                    yield self._missing(record_id, body, outputs)
            for _, body in (each for each in self._inputs() if each[0] is None) if unnamed else ():
                line = outputs.take_like(body)
                yield _record(line) if line is not None else self._missing("", body, outputs)
            for line in outputs.others():
                yield _record(line)

    def _inputs(self) -> Iterator[tuple[str | None, dict[str, Any]]]:
        """Yield the id and the body of each input line. If the input cannot be read, log a warning and stop: `__iter__`
        then yields the remaining records in the order of the output.
        """
        location = S3Location.parse(self._job["input_s3_uri"])
        try:
            for line in self._lines(location, _INPUT):
                if "modelInput" in line or "recordId" in line:
                    yield id_of(line), line.get("modelInput") or {}
        except OSError as error:
            LOGGER.warning(
                "the input of job %s cannot be read, so its records are not in input order: %s",
                self._job["name"],
                error,
            )

    def _missing(self, record_id: str, body: dict[str, Any], outputs: Outputs) -> JobRecord:
        """Return a `JobRecord` with an error, for a record of the input that has no output line.

        Raises `OSError` if the output contains no lines, although AWS reports that records of the job succeeded. In
        this case, the output was removed or moved.
        """
        job = self._job
        if not outputs.found and job["status"] == COMPLETED and job["succeeded"]:
            raise OSError(
                f"{output_of(job)} contains no output, but AWS counts {job['succeeded']:,} records with an output. The "
                "output was removed or moved. Restore it, or create the job again with another client_token"
            )
        return JobRecord(
            record_id, body, error=_not_reached(f"the job ended before it processed this record ({job['aws_status']})")
        )

    def _lines(self, location: S3Location | None, suffix: str) -> Iterator[dict[str, Any]]:
        """Read each file at `location` with a name that ends with `suffix`, and yield the lines of the file."""
        for item in listed(self._s3, location) if location is not None else ():
            if item.location.key.endswith(suffix):
                with opened(self._s3, item) as file:
                    yield from _objects(file, item.location)


class Joined:
    """The records of several jobs, one job after the other."""

    def __init__(self, parts: Sequence[Iterable[JobRecord]]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[JobRecord]:
        return chain.from_iterable(self._parts)


def output_of(job: JobStatus) -> S3Location:
    """Return the S3 prefix of the output of a job. The prefix is the job's output URI, followed by the last part of the
    job's id.
    """
    output = S3Location.parse(job["output_s3_uri"])
    assert output is not None  # noqa: S101 - AWS accepts only S3 URIs
    prefix = output.key if output.key.endswith("/") or not output.key else f"{output.key}/"
    return S3Location(output.bucket, f"{prefix}{job['job_id'].rpartition('/')[2]}/")


def _objects(lines: Iterable[bytes], location: S3Location) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            LOGGER.warning("%s, line %d is not JSON; its record is treated as missing", location, number)
            continue
        if isinstance(value, dict):
            yield value


def _record(line: dict[str, Any]) -> JobRecord:
    """Return the record that an output line describes. If the line has neither `modelOutput` nor `error`, the record
    has an error that states this. It also has an error if its output is an error that the model reports.
    """
    record_id, body, output = id_of(line) or "", line.get("modelInput") or {}, line.get("modelOutput")
    if error := line.get("error"):
        return JobRecord(record_id, body, error=_error(error))
    if isinstance(output, dict) and (failure := failure_of(output)) is not None:
        reported = {"errorCode": failure.code or failure.status, "errorMessage": failure.message}
        return JobRecord(record_id, body, error=_error(reported))
    if output is None:
        return JobRecord(record_id, body, error=_not_reached("its output line has neither an output nor an error"))
    return JobRecord(record_id, body, output)


def _error(error: Any) -> RecordError:
    """Return the `error` of an output line as a `RecordError`. Usually, `error` is a dictionary with `errorCode` and
    `errorMessage`.
    """
    members = error if isinstance(error, dict) else {"errorMessage": error}
    code = str(members.get("errorCode") or "")
    message = str(members.get("errorMessage") or "")
    return RecordError(int(code) if code.isdecimal() else 0, message, _explained(code, message))


def _not_reached(message: str) -> RecordError:
    return RecordError(0, message, explain(EXPIRED, service="bedrock"))


@lru_cache(256)
def _explained(code: str, message: str) -> Explanation:
    return explain(response_of(code, message) if code else message, service="bedrock-runtime")


def response_of(code: int | str, message: str) -> dict[str, Any]:
    """Return the error of a record in the form of a boto3 error response."""
    return {
        "Error": {"Code": str(code), "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": int(code) if str(code).isdecimal() else 0},
    }


class FoundInput(NamedTuple):
    """An input in S3: its location, and the operation for which its bodies are written (`Converse` or `InvokeModel`).
    `digest` contains the URI and the ETag of each file.
    """

    location: S3Location
    invocation: str
    digest: str


def found_input(s3: Any, uri: str) -> FoundInput:
    """Return the input at `uri`, which is the URI of a file or a folder. Raises `ValueError` if the input does not
    exist or is not valid.
    """
    location = S3Location.parse(uri)
    if location is None:
        raise ValueError("input_s3_uri: pass the URL of a file, such as s3://BUCKET/PREFIX/FILE.jsonl, or of a folder")
    is_place = not location.key or location.key.endswith((_INPUT, "/"))
    items = [item for item in listed(s3, location) if item.location.key.endswith(_INPUT)] if is_place else []
    if not items:
        raise ValueError(f"{uri} contains no {_INPUT} file with content. Pass a file, or a folder that ends with /")
    with opened(s3, items[0]) as file:
        first = next(_objects(file, items[0].location), {})
    body = first.get("modelInput")
    if not isinstance(body, dict) or not body:
        raise ValueError(
            f"the first line of {items[0].location} is not a record. Write each line in the form "
            '{"recordId": ..., "modelInput": {...}}'
        )
    names = [f"{item.location} {item.etag}" for item in items]
    return FoundInput(location, CONVERSE if is_converse(body) else NATIVE, "\n".join(names))
