"""The results of a job, read from S3 and joined to its inputs by record id, in the order of the inputs.

AWS promises no order of the outputs. Both are read side by side: an output that comes before its input's turn is put
aside in a temporary file, so memory holds an id and a place of each, and nothing where the orders agree.
"""

from __future__ import annotations

import json
import tempfile
from functools import lru_cache
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.dialects.request import is_converse
from aws_bedrock_inference.jobs.preparing import CONVERSE, NATIVE
from aws_bedrock_inference.jobs.values import EXPIRED, JobRecord, RecordError
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.s3 import S3Location, listed, opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aws_bedrock_inference.jobs.values import JobStatus
    from aws_bedrock_inference.knowledge.explain import Explanation

_INPUT, _OUTPUT = ".jsonl", ".jsonl.out"


class Records:
    """The records of a job that has ended. Each iteration reads them anew."""

    def __init__(self, s3: Any, job: JobStatus) -> None:
        self._s3 = s3
        self._job = job

    def __iter__(self) -> Iterator[JobRecord]:
        """Yield each record once: those of the input in its order, then outputs whose input is not there.

        Raises `OSError` if the output cannot be read.
        """
        missing = f"the job ended without it ({self._job['aws_status']})"
        with tempfile.TemporaryFile() as aside:
            outputs = _Outputs(self._lines(output_of(self._job), _OUTPUT), aside)
            for record_id, body in self._inputs():
                line = outputs.take(record_id)
                yield _record(line) if line is not None else JobRecord(record_id, body, error=_error(0, missing))
            for line in outputs.others():
                yield _record(line)

    def _inputs(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield id and body of the inputs; none if they cannot be read, and the outputs' own order then holds."""
        location = S3Location.parse(self._job["input_s3_uri"])
        try:
            for line in self._lines(location, _INPUT):
                yield str(line["recordId"]), line.get("modelInput") or {}
        except OSError as error:
            LOGGER.warning(
                "the input of job %s cannot be read; its records have no order: %s", self._job["name"], error
            )

    def _lines(self, location: S3Location | None, suffix: str) -> Iterator[dict[str, Any]]:
        """Yield the records in the lines of all files there whose names end with `suffix`; AWS gives an id to those
        that have none, so only their outputs are known.
        """
        for item in listed(self._s3, location) if location is not None else ():
            if item.location.key.endswith(suffix):
                with opened(self._s3, item) as file:
                    yield from (line for line in _objects(file, item.location) if "recordId" in line)


class Joined:
    """The records of several jobs, one job after the other."""

    def __init__(self, parts: Sequence[Iterable[JobRecord]]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[JobRecord]:
        return chain.from_iterable(self._parts)


def output_of(job: JobStatus) -> S3Location:
    """Return the prefix of what a job writes: its id, below the output that it was given."""
    output = S3Location.parse(job["output_s3_uri"])
    assert output is not None  # noqa: S101 - AWS takes no other
    prefix = output.key if output.key.endswith("/") or not output.key else f"{output.key}/"
    return S3Location(output.bucket, f"{prefix}{job['job_id'].rpartition('/')[2]}/")


class _Outputs:
    """Lines of outputs, taken by record id in any order, each once."""

    def __init__(self, lines: Iterator[dict[str, Any]], aside: IO[bytes]) -> None:
        self._lines = lines
        self._aside = aside
        self._places: dict[str, int] = {}
        self._taken: set[str] = set()

    def take(self, record_id: str) -> dict[str, Any] | None:
        """Return the output with this id; None if there is none, or it was taken."""
        if record_id in self._taken:
            return None
        if record_id in self._places:
            return self._taken_from(record_id)
        for line in self._lines:
            if str(line["recordId"]) == record_id:
                self._taken.add(record_id)
                return line
            self._put(line)
        return None

    def others(self) -> Iterator[dict[str, Any]]:
        """Yield all outputs that nobody took."""
        for line in self._lines:
            self._put(line)
        yield from map(self._taken_from, list(self._places))

    def _put(self, line: dict[str, Any]) -> None:
        record_id = str(line["recordId"])
        if record_id not in self._taken and record_id not in self._places:
            self._places[record_id] = self._aside.seek(0, 2)
            self._aside.write(json.dumps(line).encode() + b"\n")

    def _taken_from(self, record_id: str) -> dict[str, Any]:
        self._taken.add(record_id)
        self._aside.seek(self._places.pop(record_id))
        line: dict[str, Any] = json.loads(self._aside.readline())
        return line


def _objects(lines: Iterable[bytes], location: S3Location) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            LOGGER.warning("%s, line %d is not JSON; its record counts as missing", location, number)
            continue
        if isinstance(value, dict):
            yield value


def _record(line: dict[str, Any]) -> JobRecord:
    """Return the record of a line of output, which has `modelOutput` or `error`."""
    record_id, body, error = str(line["recordId"]), line.get("modelInput") or {}, line.get("error")
    if isinstance(error, dict):
        return JobRecord(
            record_id, body, error=_error(error.get("errorCode") or 0, str(error.get("errorMessage") or ""))
        )
    return JobRecord(record_id, body, line.get("modelOutput"))


def _error(code: int, message: str) -> RecordError:
    return RecordError(code, message, _explained(code, message))


@lru_cache(256)
def _explained(code: int, message: str) -> Explanation:
    if not code:
        return explain(EXPIRED, service="bedrock")
    return explain(response_of(code, message), service="bedrock-runtime")


def response_of(code: int, message: str) -> dict[str, Any]:
    """Return the error of a record as boto3's dictionary of an error."""
    return {"Error": {"Code": str(code), "Message": message}, "ResponseMetadata": {"HTTPStatusCode": code}}


class FoundInput(NamedTuple):
    """An input in S3: its place, the form of its bodies, and a name for its content."""

    location: S3Location
    invocation: str
    digest: str


def found_input(s3: Any, uri: str) -> FoundInput:
    """Return what the file, or the files of the folder, at `uri` are. Raises `ValueError` where there is none."""
    location = S3Location.parse(uri)
    if location is None:
        raise ValueError("input_s3_uri: give a URL such as s3://BUCKET/PREFIX/FILE.jsonl, or of a folder of such files")
    items = [item for item in listed(s3, location) if item.location.key.endswith(_INPUT)]
    if not items:
        raise ValueError(f"{uri} has no {_INPUT} file with content. Give a file, or a folder that ends with /")
    with opened(s3, items[0]) as file:
        first = next(_objects(file, items[0].location), {})
    body = first.get("modelInput")
    if not isinstance(body, dict) or not body:
        raise ValueError(f'{items[0].location} begins with no record: {{"recordId": ..., "modelInput": {{...}}}}')
    names = [f"{item.location} {item.etag}" for item in items]
    return FoundInput(location, CONVERSE if is_converse(body) else NATIVE, "\n".join(names))
