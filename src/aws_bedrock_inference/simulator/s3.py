"""The part of an S3 endpoint that a simulated batch job needs: reading and writing objects."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 1 << 20
_SECONDS = 10  # the time limit to connect, and the limit for each answer


class Denied(Exception):
    """Raised if an object or a bucket cannot be read or written. The message is the reason in S3's words."""


class File(NamedTuple):
    """An object of a bucket."""

    key: str
    size: int


class Location(NamedTuple):
    """A place in S3: a bucket, and a key or a prefix."""

    bucket: str
    key: str

    @classmethod
    def of(cls, uri: str) -> Location:
        """Return the location of an `s3://` address."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return cls(bucket, key)


class S3:
    """An S3 endpoint. The credentials are those that botocore finds, for example in the environment. If botocore finds
    none, invented credentials are used.
    """

    def __init__(self, endpoint: str, region: str) -> None:
        from botocore.client import Config  # noqa: PLC0415 - slow to import; only batch jobs need it
        from botocore.session import Session  # noqa: PLC0415 - the same

        session = Session()
        if not session.get_credentials():
            session.set_credentials("simulator", "simulator")
        config = Config(
            connect_timeout=_SECONDS,
            read_timeout=_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 2},
            s3={"addressing_style": "path"},
        )
        self._client = session.create_client("s3", region, endpoint_url=endpoint, config=config)

    def region(self, bucket: str) -> str:
        """Return the Region of a bucket, or an empty string if the endpoint does not report one. Raises Denied."""
        headers = self._ask("head_bucket", Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
        region: str = headers.get("x-amz-bucket-region", "")
        return region

    def files(self, where: Location) -> list[File]:
        """Return the JSONL files at a location: the file itself, or all files in the folder. Raises Denied."""
        if where.key.endswith(".jsonl"):
            head = self._ask("head_object", Bucket=where.bucket, Key=where.key)
            return [File(where.key, head["ContentLength"])]
        prefix = where.key and where.key.rstrip("/") + "/"
        found: list[File] = []
        token: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", Bucket=where.bucket, Prefix=prefix, **token)
            found += [File(each["Key"], each["Size"]) for each in page.get("Contents", ())]
            if not page.get("IsTruncated"):
                return [file for file in found if file.key.endswith(".jsonl")]
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def lines(self, bucket: str, key: str) -> Iterator[bytes]:
        """Return the lines of an object. Raises Denied."""
        body = self._ask("get_object", Bucket=bucket, Key=key)["Body"]
        with closing(body), _in_s3s_words():
            yield from body.iter_lines(_PIECE)

    def write(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object. Raises Denied."""
        self._ask("put_object", Bucket=bucket, Key=key, Body=body)

    def _ask(self, operation: str, **params: Any) -> Any:
        with _in_s3s_words():
            return getattr(self._client, operation)(**params)


@contextmanager
def _in_s3s_words() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Denied(str(error)) from error
