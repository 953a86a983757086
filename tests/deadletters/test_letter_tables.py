"""A DynamoDB table as store: created on request, its errors explained, readable by programs from AWS's documents."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from hashlib import shake_256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError
from deadletters.conftest import NOON
from support.doubles import session

from aws_bedrock_inference import DeadLetterQueue
from aws_bedrock_inference.deadletters import dynamodb_table
from aws_bedrock_inference.deadletters.dynamodb import DynamoLetters
from aws_bedrock_inference.deadletters.filters import Wanted, wanted
from aws_bedrock_inference.deadletters.letter import NEWEST
from aws_bedrock_inference.stores.request import StoreUnavailable, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

# Text that no compression makes small enough for an item.
LARGE = shake_256(b"large").hexdigest(600_000)


@pytest.fixture
def aws(moto_url: str, alone: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Creates boto3's own clients, and directs this package's clients to the same endpoint."""
    for name, value in {
        "AWS_ENDPOINT_URL": moto_url,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    made: list[Any] = []

    def client(service: str) -> Any:
        made.append(session().client(service, endpoint_url=moto_url))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def queue(aws: Any) -> Iterator[DeadLetterQueue]:
    made = DeadLetterQueue(f"dead-{uuid4().hex[:8]}")
    yield made
    made.close()


def by_hand(aws: Any, name: str) -> None:
    """Create a table as the documents' program needs it."""
    aws("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_a_table_is_created_on_request_with_all_its_settings(queue: DeadLetterQueue, aws: Any) -> None:
    name, client = queue.store.table, aws("dynamodb")  # type: ignore[attr-defined]
    done = queue.create()
    assert len(done) == 3
    table = client.describe_table(TableName=name)["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["by-state"]
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert (expiry["AttributeName"], expiry["TimeToLiveStatus"]) == ("expires", "ENABLED")
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert queue.create() == []


def test_lists_and_redrives_never_scan(queue: DeadLetterQueue) -> None:
    queue.create()
    asked: list[str] = []
    store: Any = queue.store
    store._client().meta.events.register("before-call.dynamodb", lambda model, **_: asked.append(model.name))
    kept = [queue.store_failed_request({"prompt": str(n)}, "ThrottlingException: slow") for n in range(3)]
    asked.clear()
    assert len(queue.get_failed_requests()) == 3
    assert asked == ["Query", "BatchGetItem"]
    assert queue.discard(str(kept[0]))
    assert queue.redrive(Answering()).sent == 2
    assert queue.stats().states == {"redriven": 2, "discarded": 1}
    assert {"Query", "GetItem", "UpdateItem"} <= {*asked}
    assert "Scan" not in asked


class Answering:
    """A client that answers everything."""

    def invoke(self, **request: Any) -> Any:
        return {"output": request["prompt"]}


@pytest.mark.parametrize("choice", [{"until": -1}, {"since": "1h", "until": "2h"}, {"since": 1e15}])
def test_an_impossible_time_range_gives_a_valid_query(choice: Any) -> None:
    values = dynamodb_table.query_of("dead", "dead", wanted(lambda: NOON, **choice), newest=True)
    since, until = (float(values["ExpressionAttributeValues"][name]["N"]) for name in (":since", ":until"))
    assert 0 <= since <= until <= 1e12


def test_a_manually_created_table_works_and_reports_what_it_lacks(
    queue: DeadLetterQueue, aws: Any, caplog: Any
) -> None:
    store: Any = queue.store
    by_hand(aws, store.table)
    with caplog.at_level(logging.WARNING):
        kept = [str(queue.store_failed_request({"prompt": str(n), "temperature": 0.2}, "no")) for n in range(5)]
        assert {letter.id for letter in queue.get_failed_requests()} == {*kept}
    assert caplog.text.count("each list reads the complete table") == 1
    first = queue.page(2)
    rest = queue.page(10, after=first.cursor)
    assert {letter.id for letter in (*first.letters, *rest.letters)} == {*kept}
    assert queue.redrive(Answering(), limit=2).sent == 2
    assert len(queue.create()) == 3
    assert queue.stats().states == {"dead": 3, "redriven": 2}


def test_items_written_by_the_program_of_aws_s_documents_are_letters(queue: DeadLetterQueue, aws: Any) -> None:
    store: Any = queue.store
    by_hand(aws, store.table)
    item: dict[str, Any] = {
        "id": {"S": "theirs"},
        "timestamp": {"S": "2026-11-29T10:00:00.123456"},
        "request": {"M": {"prompt": {"S": "Why?"}, "max_tokens": {"N": "20"}, "picture": {"B": b"\x00"}}},
        "error": {"S": "An error occurred (ThrottlingException) when calling the Converse operation: slow"},
        "metadata": {"M": {"user": {"S": "u"}}},
    }
    client = aws("dynamodb")
    client.put_item(TableName=store.table, Item=item)
    client.put_item(TableName=store.table, Item={**item, "id": {"S": "done"}, "retried": {"S": "2026-11-29T11:00:00"}})
    for adopted in (1, 0):  # scanned, then in the index
        (letter,) = queue.letters()
        assert letter["request"] == {"prompt": "Why?", "max_tokens": 20, "picture": b"\x00"}
        assert (letter.id, letter["timestamp"], letter["metadata"]) == ("theirs", item["timestamp"]["S"], {"user": "u"})
        assert letter.cause.startswith("throttled")
        assert any("2 letters were added to the index" in line for line in queue.create()) is bool(adopted)
    assert queue.redrive(Answering()).sent == 1
    assert queue.stats().states == {"redriven": 2}


def test_a_large_letter_is_stored_in_s3_if_a_bucket_is_set(queue: DeadLetterQueue, aws: Any) -> None:
    queue.create()
    store: Any = queue.store
    with pytest.raises(StoreUnusable, match=r"an item can have at most 400 KB. Name an S3 bucket.*bucket=NAME"):
        queue.store_failed_request({"prompt": LARGE}, "no")
    kept = str(queue.store_failed_request({"prompt": "word " * 200_000}, "ThrottlingException: slow"))  # compressed
    assert queue.redrive(Answering()).sent == 1
    bucket = f"dead-{uuid4().hex[:8]}"
    with_bucket = DeadLetterQueue(f"dynamodb://{store.table}?bucket={bucket}&region=us-east-1")
    with pytest.raises(StoreUnusable, match="the S3 bucket for large dead letters does not exist"):
        with_bucket.store_failed_request({"prompt": LARGE}, "no")
    s3 = aws("s3")
    s3.create_bucket(Bucket=bucket)
    kept = str(with_bucket.store_failed_request({"prompt": LARGE}, "ThrottlingException: slow"))
    assert with_bucket.redrive(Answering()).sent == 1
    letter = with_bucket.get(kept)
    assert letter is not None
    assert (letter.request, letter.answer) == ({"prompt": LARGE}, {"output": LARGE})
    assert len(s3.list_objects_v2(Bucket=bucket)["Contents"]) == 2
    with_bucket.close()


def test_a_letter_whose_s3_object_is_missing_does_not_hide_the_others(
    queue: DeadLetterQueue, aws: Any, caplog: Any
) -> None:
    queue.create()
    store: Any = queue.store
    bucket = f"dead-{uuid4().hex[:8]}"
    s3 = aws("s3")
    s3.create_bucket(Bucket=bucket)
    with_bucket = DeadLetterQueue(f"dynamodb://{store.table}?bucket={bucket}&region=us-east-1")
    gone = str(with_bucket.store_failed_request({"prompt": LARGE}, "ThrottlingException: slow"))
    kept = str(with_bucket.store_failed_request({"prompt": "Why?"}, "ThrottlingException: slow"))
    s3.delete_object(Bucket=bucket, Key=f"dead-letters/{store.table}/{gone}")  # as a lifecycle rule does
    assert [letter.id for letter in with_bucket.get_failed_requests()] == [kept]
    assert f"s3://{bucket}/dead-letters/{store.table}/{gone} cannot be read: NoSuchKey" in caplog.text
    report = with_bucket.redrive(Answering())
    assert (report.sent, report.refused) == (1, 1)
    with pytest.raises(
        StoreUnusable, match=f"letter {gone}: the stored content of the dead letter is empty or was deleted"
    ):
        with_bucket.get(gone)
    assert with_bucket.discard(gone)
    with_bucket.close()


def test_an_answer_that_is_too_large_is_not_stored_and_the_letter_counts_as_redriven(
    queue: DeadLetterQueue, caplog: Any
) -> None:
    queue.create()
    kept = str(queue.store_failed_request({"prompt": "Why?"}, "ThrottlingException: slow"))

    class Verbose:
        def invoke(self, **_: Any) -> Any:
            return {"output": LARGE}

    assert queue.redrive(Verbose()).sent == 1
    letter = queue.get(kept)
    assert letter is not None
    assert (letter.state, letter.answer) == ("redriven", None)
    assert "was not stored: it does not fit into the item" in caplog.text


def test_a_missing_table_is_reported_with_how_to_create_it(queue: DeadLetterQueue) -> None:
    for use in (queue.get_failed_requests, queue.stats, lambda: queue.store_failed_request({}, "no")):
        with pytest.raises(StoreUnusable, match=r"does not exist. Create it with `bedrock dlq create --store dead-"):
            use()


def answered(queue: DeadLetterQueue, status: int, code: str, message: str) -> None:
    """Let every request to the table be answered so."""

    class Raw:
        def stream(self, **_: Any) -> Any:
            yield json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}).encode()

    store: Any = queue.store
    client = store._client()
    headers: Any = {"content-type": "application/json"}
    client.meta.events.register("before-send.dynamodb", lambda **_: AWSResponse("url", status, headers, Raw()))


NOT_AUTHORIZED = "User: arn:aws:iam::111122223333:user/u is not authorized to perform: dynamodb:PutItem on resource: t"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((400, "AccessDeniedException", NOT_AUTHORIZED), StoreUnusable),
        ((400, "UnrecognizedClientException", "The security token is invalid."), StoreUnusable),
        ((400, "ThrottlingException", "Throughput exceeds the current capacity."), StoreUnavailable),
        ((500, "InternalServerError", "Internal server error"), StoreUnavailable),
        ((400, "OddException", "never heard of"), StoreUnusable),
    ],
)
def test_an_error_of_the_table_is_reported_in_one_sentence(
    queue: DeadLetterQueue, monkeypatch: pytest.MonkeyPatch, answer: Any, kind: Any
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's own waits
    answered(queue, *answer)
    with pytest.raises(StoreUnavailable, match=f"PutItem failed with {answer[1]}") as raised:
        queue.store_failed_request({"prompt": "Why?"}, "no")
    assert type(raised.value) is kind
    assert "111122223333" not in str(raised.value)


def test_an_unreachable_table_is_reported(queue: DeadLetterQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://dynamodb.example")

    store: Any = queue.store
    store._client().meta.events.register("before-call.dynamodb", unreachable)
    with pytest.raises(StoreUnavailable, match=r"cannot be used: Could not connect"):
        queue.store_failed_request({"prompt": "Why?"}, "no")


def test_a_missing_region_is_reported(alone: None) -> None:
    with pytest.raises(StoreUnavailable, match="You must specify a region"):
        DeadLetterQueue().store_failed_request({}, "no")


def test_a_letter_of_a_newer_version_is_refused(queue: DeadLetterQueue, aws: Any) -> None:
    queue.create()
    store: Any = queue.store
    kept = str(queue.store_failed_request({"prompt": "Why?"}, "no"))
    aws("dynamodb").update_item(
        TableName=store.table,
        Key={"id": {"S": kept}},
        UpdateExpression="SET summary = :s",
        ExpressionAttributeValues={":s": {"S": f'{{"format": {NEWEST + 1}}}'}},
    )
    for use in (lambda: queue.get(kept), queue.get_failed_requests, queue.stats):
        with pytest.raises(StoreUnusable, match="a newer version of this package"):
            use()


def test_a_change_repeated_after_a_lost_answer_succeeds_for_the_same_owner(queue: DeadLetterQueue) -> None:
    queue.create()
    kept = str(queue.store_failed_request({"prompt": "Why?"}, "no"))
    letter = queue.get(kept)
    assert letter is not None
    claimed = replace(letter.summary, state="claimed", version=2, owner="me")
    assert queue.store.update(claimed, 1)
    assert queue.store.update(claimed, 1)  # as boto3 repeats it
    assert not queue.store.update(replace(claimed, owner="another"), 1)


def test_a_repeated_write_by_boto3_does_not_undo_a_later_change(queue: DeadLetterQueue) -> None:
    queue.create()
    kept = str(queue.store_failed_request({"prompt": "Why?"}, "no"))
    first = queue.store.get(kept)
    assert first is not None
    assert queue.discard(kept)
    queue.store.put(first)  # its answer was lost, and so boto3 repeats it
    letter = queue.get(kept)
    assert letter is not None
    assert letter.state == "discarded"


def test_a_refusal_by_boto3_is_one_sentence_without_a_secret(alone: None, aws: Any) -> None:
    for url, words in {
        "endpoint_url=nonsense": "Invalid endpoint: nonsense",
        "endpoint_url=http://user:hunter2@127.0.0.1:1": "Could not connect",
        "region=mars 1": "a supported format",
    }.items():
        queue = DeadLetterQueue(f"dynamodb://dead?{url}")
        with pytest.raises(StoreUnavailable, match=words) as raised:
            queue.store_failed_request({"prompt": "Why?"}, "no")
        assert "hunter2" not in str(raised.value)
        assert "no letter" not in str(raised.value)
        assert len(str(raised.value).splitlines()) == 1
        queue.close()


@pytest.mark.parametrize(("name", "kind"), [("name", "S"), ("id", "N")])
def test_a_table_with_a_different_key_is_refused_and_not_changed(
    queue: DeadLetterQueue, aws: Any, name: str, kind: str
) -> None:
    store: Any = queue.store
    aws("dynamodb").create_table(
        TableName=store.table,
        KeySchema=[{"AttributeName": name, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind}],
        BillingMode="PAY_PER_REQUEST",
    )
    with pytest.raises(StoreUnusable, match="only key must be the partition key `id`, a string"):
        queue.create()


def test_creating_a_table_waits_for_its_index(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    states = ["CREATING", "CREATING", "ACTIVE"]

    class Slow:
        def describe_table(self, **_: Any) -> Any:
            return {"Table": {"TableStatus": "ACTIVE", "GlobalSecondaryIndexes": [{"IndexStatus": states.pop(0)}]}}

    monkeypatch.setattr("aws_bedrock_inference.clock.sleep", waits.append)
    dynamodb_table._await(Slow(), "t")
    assert waits == [2.0, 2.0]


def test_pages_of_the_index_are_read_until_the_list_is_full(queue: DeadLetterQueue) -> None:
    queue.create()
    for number in range(6):
        queue.store_failed_request({"prompt": "x" * 20_000}, "ThrottlingException: slow", tags={"n": str(number % 2)})
    store = queue.store
    assert isinstance(store, DynamoLetters)
    page = store.page("dead", Wanted(tags=(("n", "1"),)), 2, None, newest=True, whole=True)
    rest = store.page("dead", Wanted(tags=(("n", "1"),)), 2, page.after, newest=True, whole=True)
    assert (len(page.records), len(rest.records), rest.after) == (2, 1, None)
