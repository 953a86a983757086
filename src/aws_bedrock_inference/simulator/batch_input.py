"""Read the input of a batch job from S3, and apply the checks that the service makes in the state `Validating`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.simulator import strict
from aws_bedrock_inference.simulator.error_texts import text
from aws_bedrock_inference.simulator.s3 import Denied, Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.simulator.job_settings import Batch
    from aws_bedrock_inference.simulator.s3 import S3, File


class Record(NamedTuple):
    """One line of an input file of a batch job: the name of the file relative to the input folder, the number of the
    line, and its text.
    """

    file: str
    number: int
    line: bytes


class Invalid(Exception):
    """Raised if the validation of a job fails. The message is the reason."""


def read(s3: S3, given: dict[str, Any], region: str, arn: str, limits: Batch) -> list[Record]:
    """Read the input of a job from S3 and return its records. `given` is the body of the request that created the
    job. Raises Invalid.
    """
    source = given["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
    where, output = Location.of(source), Location.of(given["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])
    try:
        for bucket in dict.fromkeys((where.bucket, output.bucket)):
            if (home := s3.region(bucket)) and home != region:
                raise _invalid("region", bucket=bucket, home=home, region=region)
        files = s3.files(where)
        if not files:
            raise _invalid("no-files", uri=source)
        _check_sizes(files, limits)
        records = [record for file in files for record in _records(s3, where, file)]
    except Denied as error:
        raise _invalid("s3", problem=error) from error
    if len(records) > limits.records:
        raise _invalid("too-many", arn=arn, records=len(records), limit=limits.records)
    for record in records:
        _check_record(record)
    if len(records) < limits.minimum:
        raise _invalid("too-few", arn=arn, records=len(records), minimum=limits.minimum)
    return records


def _records(s3: S3, where: Location, file: File) -> Iterator[Record]:
    folder = where.key.rpartition("/")[0] if where.key.endswith(".jsonl") else where.key.rstrip("/")
    name = file.key.removeprefix(folder).lstrip("/")
    for number, line in enumerate(s3.lines(where.bucket, file.key), 1):
        if line.strip():
            yield Record(name, number, line)


def _check_sizes(files: list[File], limits: Batch) -> None:
    for file in files:
        if file.size > limits.file_bytes:
            raise _invalid("file-size", key=file.key, size=file.size, limit=limits.file_bytes)
    size = sum(file.size for file in files)
    if size > limits.job_bytes:
        raise _invalid("job-size", size=size, limit=limits.job_bytes)


def _check_record(record: Record) -> None:
    try:
        found = strict.loads(record.line)
    except ValueError as error:
        raise _invalid("not-json", file=record.file, line=record.number) from error
    if not isinstance(found, dict) or not isinstance(found.get("modelInput"), dict):
        raise _invalid("no-model-input", file=record.file, line=record.number)


def _invalid(name: str, **values: object) -> Invalid:
    return Invalid(text("batch", name, **values))
