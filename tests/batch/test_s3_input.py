"""Objects of S3 as input."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import IncompleteReadError
from moto import mock_aws

from aws_bedrock_inference import s3
from aws_bedrock_inference.batch.inputs import open_input
from aws_bedrock_inference.batch.records import BadLine, Record
from aws_bedrock_inference.s3 import S3Location, S3Object, opened

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

BUCKET = "prompts-of-tests"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setattr("boto3.DEFAULT_SESSION", None)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        made = boto3.client("s3")
        made.create_bucket(Bucket=BUCKET)
        yield made
        made.close()


@pytest.fixture
def bucket(client: Any) -> Iterator[Any]:
    """The client of a bucket that is empty."""
    yield client
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])


def put(client: Any, **objects: bytes) -> None:
    for key, content in objects.items():
        client.put_object(Bucket=BUCKET, Key=key.replace("__", "/"), Body=content)


def read(key: str) -> list[Record | BadLine]:
    location = S3Location.parse(f"s3://{BUCKET}/{key}")
    assert location is not None
    return list(open_input(location))


def keys(key: str) -> list[str]:
    return [item.key for item in read(key) if isinstance(item, Record)]


def prompts(*ids: str) -> bytes:
    return b"".join(b'{"id": "%s", "prompt": "Hi"}\n' % each.encode() for each in ids)


def test_an_object_is_read_and_each_record_has_its_url_and_line(bucket: Any) -> None:
    put(bucket, **{"in.jsonl": prompts("a") + b"nonsense\n"})
    record, bad = read("in.jsonl")
    assert isinstance(record, Record)
    assert (record.key, record.file, record.number) == ("a", f"s3://{BUCKET}/in.jsonl", 1)
    assert str(bad).startswith(f"s3://{BUCKET}/in.jsonl, line 2: not JSON")


def test_a_prefix_reads_all_its_objects_in_any_form(bucket: Any) -> None:
    put(
        bucket,
        **{
            "in/1.jsonl": prompts("a"),
            "in/2.csv": b"id,prompt\nb,Hi\n",
            "in/3.jsonl.gz": gzip.compress(prompts("c")),
            "in/_SUCCESS": b"{}",
            "in/.part": b"{}",
            "in/empty": b"",
            "in/more/4.jsonl": prompts("d", "a"),
            "out/5.jsonl": prompts("e"),
        },
    )
    assert keys("in/") == ["a", "b", "c", "d"]
    assert [item.problem[:23] for item in read("in/") if isinstance(item, BadLine)] == ['the id "a" appears on a']
    assert keys("in/m") == ["d", "a"]
    assert keys("") == ["a", "b", "c", "d", "e"]


def test_a_large_object_is_read_in_pieces(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_PIECE", 100)
    wanted = [f"p{number}" for number in range(200)]
    put(bucket, **{"in.jsonl": prompts(*wanted), "packed": gzip.compress(prompts(*wanted))})
    assert keys("in.jsonl") == wanted
    assert keys("packed") == wanted


def test_an_object_that_changes_during_the_read_ends_it(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_PIECE", 50)
    put(bucket, **{"in.jsonl": prompts("a", "b", "c")})
    found = open_input(S3Location(BUCKET, "in.jsonl"))
    assert isinstance(next(found), Record)
    put(bucket, **{"in.jsonl": prompts("d", "e", "f")})
    with pytest.raises(OSError, match="changed while it was read"):
        list(found)


@pytest.mark.parametrize("key", ["gone.jsonl", "gone/", "empty.jsonl"])
def test_an_empty_prefix_or_object_is_refused(key: str, bucket: Any) -> None:
    put(bucket, **{"gone/_SUCCESS": b"{}"})
    with pytest.raises(ValueError, match="contains no object with content"):
        read(key)


def test_a_refusal_by_s3_is_explained(bucket: Any) -> None:
    with pytest.raises(OSError, match=r"s3://another-bucket/in/: NoSuchBucket.*") as caught:
        list(open_input(S3Location("another-bucket", "in/")))
    assert len(str(caught.value)) > 80, "what to do is missing"


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("s3://b/k", S3Location("b", "k")),
        ("S3://b/k//l m", S3Location("b", "k//l m")),
        ("s3://b", S3Location("b", "")),
        ("s3://b/", S3Location("b", "")),
        ("s3:/b/k", None),
        ("prompts.jsonl", None),
    ],
)
def test_the_forms_of_s3_urls_are_read(text: str, location: S3Location | None) -> None:
    assert S3Location.parse(text) == location


def test_a_url_without_a_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="contains no bucket"):
        S3Location.parse("s3:///key")


class Breaking:
    """A client whose answers break off `times` times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.wanted: list[tuple[str, str]] = []

    def get_object(self, *, Bucket: str, Key: str, Range: str, IfMatch: str) -> dict[str, Any]:  # noqa: N803 - S3's names
        self.wanted.append((Range, IfMatch))
        return {"Body": self}

    def read(self) -> bytes:
        if self.times:
            self.times -= 1
            raise IncompleteReadError(actual_bytes=1, expected_bytes=4)
        return b"text"


def test_an_interrupted_piece_is_requested_again() -> None:
    client = Breaking(2)
    file: io.BufferedReader = opened(client, S3Object(S3Location("b", "k"), 4, '"e"'))
    assert file.read() == b"text"
    assert client.wanted == [(f"bytes=0-{s3._PIECE - 1}", '"e"')] * 3
    with pytest.raises(OSError, match="s3://b/k: "):
        opened(Breaking(3), S3Object(S3Location("b", "k"), 4, '"e"')).read()
