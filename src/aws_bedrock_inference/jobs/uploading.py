"""Upload the input of a job to S3, in parts.

The caller derives the key of the object from the content of the input. Therefore, an object with this key and the same
size already contains the input, and the upload is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.resilience.functions import known_fault
from aws_bedrock_inference.s3 import S3Location

if TYPE_CHECKING:
    from aws_bedrock_inference.jobs.preparing import Prepared

# 4 threads upload 8 MB each, and 4 more parts wait for a thread. S3's limit of 10,000 parts allows 80 GB.
_PART, _THREADS = 8 << 20, 4


def input_location(output: S3Location, name: str) -> S3Location:
    """Return the location in S3 of the input file `name`. It is below the location of the output."""
    return S3Location(output.bucket, f"{output.key}inputs/{name}.jsonl")


def upload(s3: Any, lines: Prepared, location: S3Location) -> None:
    """Upload the lines, unless S3 already contains an object of the same size at `location`.

    After an upload, the file `lines.file` is closed.
    """
    from s3transfer.manager import TransferConfig, TransferManager  # noqa: PLC0415 - heavy, and only needed for an upload

    if _size(s3, location) == lines.size:
        return
    config = TransferConfig(
        multipart_chunksize=_PART, max_request_concurrency=_THREADS, max_in_memory_upload_chunks=_THREADS
    )
    with TransferManager(s3, config) as manager:
        manager.upload(lines.file, location.bucket, location.key).result()


def _size(s3: Any, location: S3Location) -> int | None:
    """Return the size of an object. Return None if it does not exist, or if the caller may not list the bucket.

    The size is read with ListObjectsV2, not with HeadObject. Before the upload, the object usually does not exist.
    HeadObject would then fail, and this package would log an error.
    """
    try:
        found = s3.list_objects_v2(Bucket=location.bucket, Prefix=location.key, MaxKeys=1).get("Contents", ())
    except ClientError as error:
        if known_fault(error).kind is Kind.DENIED:
            return None
        raise
    return next((item["Size"] for item in found if item["Key"] == location.key), None)
