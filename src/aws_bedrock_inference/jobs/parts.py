"""Split one file of records into the inputs of several jobs, or into several files of one job, and upload them."""

from __future__ import annotations

import io
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.jobs.splitting import Slice, files_of, jobs_of
from aws_bedrock_inference.jobs.uploading import input_location, upload

if TYPE_CHECKING:
    from aws_bedrock_inference.jobs.creating import Order
    from aws_bedrock_inference.jobs.limits import JobLimits
    from aws_bedrock_inference.jobs.preparing import Prepared
    from aws_bedrock_inference.jobs.splitting import Part
    from aws_bedrock_inference.s3 import S3Location

_LONGEST_NAME = 56  # AWS's maximum is 63; the rest is for the number of the part


def upload_parts(s3: Any, output: S3Location, lines: Prepared, order: Order, limits: JobLimits) -> list[dict[str, Any]]:
    """Upload the lines, and return the parts for `Groups.create`. Each part describes one job: its parameters
    (`order`), the URI of its input, and the number of its records.

    At most one file is in memory. Parts that already exist in S3 are not uploaded again. Raises `ValueError` for a line
    that is larger than the maximum file of a job.
    """
    jobs = jobs_of(lines.file, limits)
    parts = []
    for number, job in enumerate(jobs, 1):
        own = order
        if len(jobs) > 1:
            own = replace(order, token=f"{order.token}-p{number}", name=f"{order.name[:_LONGEST_NAME]}-p{number}")
        files = files_of(lines.file, job, limits)
        if len(files) == 1:
            place = input_location(output, own.input_name)
            _upload(s3, lines, job, place)
        else:
            for index, file in enumerate(files, 1):
                _upload(s3, lines, file, input_location(output, f"{own.input_name}/{index:04}"))
            place = input_location(output, own.input_name)
            place = place._replace(key=f"{place.key.removesuffix('.jsonl')}/")
        parts.append({"order": asdict(own), "input": str(place), "records": job.records})
    return parts


def _upload(s3: Any, lines: Prepared, part: Part, place: S3Location) -> None:
    file = io.BufferedReader(Slice(lines.file, part))
    upload(s3, replace(lines, file=file, size=part.size, records=part.records), place)
