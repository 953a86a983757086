"""Batches that succeed in part: only the failed items are sent again, and the answer looks like that of one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from botocore.exceptions import ClientError
from support.doubles import session
from support.injected import Script, answer, error, lost

from aws_bedrock_inference import resilient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def scripted(alone: None, world: Any) -> Iterator[Callable[..., tuple[Any, Script]]]:
    """Creates resilient clients whose service is only the script."""
    made = []

    def client(service: str, *answers: Any, **options: Any) -> tuple[Any, Script]:
        made.append(session().client(service))
        script = Script(made[-1]).then(*answers)
        return resilient(made[-1], clock=world.clock, sleep=world.sleep, **options), script

    yield client
    for used in made:
        used.close()


def plain(response: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name != "ResponseMetadata"}


def put(key: str) -> dict[str, Any]:
    return {"PutRequest": {"Item": {"id": {"S": key}}}}


def test_unprocessed_items_are_written_by_a_retry(scripted: Any, world: Any) -> None:
    client, script = scripted(
        "dynamodb",
        answer(
            {
                "UnprocessedItems": {"t": [put("2"), put("3")]},
                "ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 1.0, "Table": {"CapacityUnits": 1.0}}],
                "ItemCollectionMetrics": {"t": [{"SizeEstimateRangeGB": [0.0]}]},
            }
        ),
        answer({"UnprocessedItems": {"t": [put("3")]}}),
        answer(
            {
                "UnprocessedItems": {},
                "ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 2.0, "Table": {"CapacityUnits": 2.0}}],
                "ItemCollectionMetrics": {"t": [{"SizeEstimateRangeGB": [1.0]}]},
            }
        ),
    )
    items = {"t": [put("1"), put("2"), put("3")]}
    response = client.batch_write_item(RequestItems=items, ReturnConsumedCapacity="TOTAL")
    assert [len(request["RequestItems"]["t"]) for request in script.sent] == [3, 2, 1]
    assert all(request["ReturnConsumedCapacity"] == "TOTAL" for request in script.sent)
    assert plain(response) == {
        "UnprocessedItems": {},
        "ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 3.0, "Table": {"CapacityUnits": 3.0}}],
        "ItemCollectionMetrics": {"t": [{"SizeEstimateRangeGB": [0.0]}, {"SizeEstimateRangeGB": [1.0]}]},
    }
    assert response["ResponseMetadata"]["RetryAttempts"] == 2
    assert len(world.sleeps) == 2
    assert items == {"t": [put("1"), put("2"), put("3")]}


def test_unprocessed_keys_are_read_by_a_retry(scripted: Any) -> None:
    one, two = ({"id": {"S": key}} for key in "12")
    client, script = scripted(
        "dynamodb",
        answer({"Responses": {"t": [one]}, "UnprocessedKeys": {"t": {"Keys": [two]}, "u": {"Keys": [one]}}}),
        answer({"Responses": {"t": [two], "u": [one]}, "UnprocessedKeys": {}}),
    )
    response = client.batch_get_item(RequestItems={"t": {"Keys": [one, two]}, "u": {"Keys": [one]}})
    assert plain(response) == {"Responses": {"t": [one, two], "u": [one]}, "UnprocessedKeys": {}}
    assert script.sent[1]["RequestItems"] == {"t": {"Keys": [two]}, "u": {"Keys": [one]}}


def test_items_unprocessed_after_the_last_attempt_remain_in_the_answer(scripted: Any) -> None:
    left = answer({"UnprocessedItems": {"t": [put("2")]}})
    client, script = scripted("dynamodb", *[left] * 50)
    response = client.batch_write_item(RequestItems={"t": [put("1"), put("2")]})
    assert response["UnprocessedItems"] == {"t": [put("2")]}
    assert 2 < len(script.requests) < 20


def test_a_later_failure_does_not_hide_the_part_that_succeeded(scripted: Any) -> None:
    client, script = scripted(
        "dynamodb", answer({"UnprocessedItems": {"t": [put("2")]}}), error("AccessDeniedException", 400)
    )
    response = client.batch_write_item(RequestItems={"t": [put("1"), put("2")]})
    assert response["UnprocessedItems"] == {"t": [put("2")]}
    assert len(script.requests) == 2


def test_a_batch_that_fails_completely_raises(scripted: Any) -> None:
    client, _ = scripted("dynamodb", error("AccessDeniedException", 400))
    with pytest.raises(ClientError):
        client.batch_write_item(RequestItems={"t": [put("1")]})


class Positional(NamedTuple):
    service: str
    method: str
    entries: str
    results: str
    number: str
    result: str
    more: dict[str, str]
    entry: Callable[[str], dict[str, Any]]


POSITIONAL = [
    Positional(
        "events", "put_events", "Entries", "Entries", "FailedEntryCount", "EventId", {}, lambda n: {"Detail": n}
    ),
    Positional(
        "kinesis",
        "put_records",
        "Records",
        "Records",
        "FailedRecordCount",
        "SequenceNumber",
        {"StreamName": "s"},
        lambda name: {"Data": b"x", "PartitionKey": name},
    ),
    Positional(
        "firehose",
        "put_record_batch",
        "Records",
        "RequestResponses",
        "FailedPutCount",
        "RecordId",
        {"DeliveryStreamName": "s"},
        lambda name: {"Data": name.encode()},
    ),
]


@pytest.mark.parametrize("form", POSITIONAL, ids=[form.method for form in POSITIONAL])
def test_failed_entries_are_sent_again_and_answers_keep_their_places(form: Positional, scripted: Any) -> None:
    internal, throttled = (
        {"ErrorCode": code, "ErrorMessage": "m"} for code in ("InternalFailure", "ThrottlingException")
    )
    client, script = scripted(
        form.service,
        answer({form.number: 2, form.results: [{form.result: "a"}, internal, {form.result: "c"}, throttled]}),
        answer({form.number: 1, form.results: [{form.result: "b"}, throttled]}),
        answer({form.number: 0, form.results: [{form.result: "d"}]}),
    )
    response = getattr(client, form.method)(**{form.entries: [form.entry(name) for name in "abcd"]}, **form.more)
    assert [result[form.result] for result in response[form.results]] == ["a", "b", "c", "d"]
    assert response[form.number] == 0
    first, second, third = (request[form.entries] for request in script.sent)
    assert second == [first[1], first[3]]
    assert third == [first[3]]


def test_entries_with_a_permanent_error_are_sent_once(scripted: Any) -> None:
    never = {"ErrorCode": "AccessDeniedException", "ErrorMessage": "no"}
    client, script = scripted(
        "events",
        answer({"FailedEntryCount": 2, "Entries": [never, {"ErrorCode": "InternalFailure"}]}),
        answer({"FailedEntryCount": 0, "Entries": [{"EventId": "b"}]}),
    )
    response = client.put_events(Entries=[{"Detail": "a"}, {"Detail": "b"}])
    assert response["Entries"] == [never, {"EventId": "b"}]
    assert response["FailedEntryCount"] == 1
    assert [entry["Detail"] for entry in script.sent[1]["Entries"]] == ["b"]


def test_rejected_log_events_are_reported_not_repeated(scripted: Any) -> None:
    client, script = scripted("logs", answer({"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}}))
    response = client.put_log_events(
        logGroupName="g", logStreamName="s", logEvents=[{"timestamp": 1, "message": "old"}]
    )
    assert response["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert len(script.requests) == 1


def failed(name: str, *, sender: bool) -> dict[str, Any]:
    return {"Id": name, "SenderFault": sender, "Code": "InternalError", "Message": "m"}


@pytest.mark.parametrize(
    ("method", "entry"),
    [
        ("send_message_batch", {"MessageBody": "m"}),
        ("delete_message_batch", {"ReceiptHandle": "r"}),
        ("change_message_visibility_batch", {"ReceiptHandle": "r", "VisibilityTimeout": 3}),
    ],
)
def test_messages_that_failed_through_no_fault_of_the_sender_are_sent_again(
    method: str, entry: dict[str, Any], scripted: Any
) -> None:
    client, script = scripted(
        "sqs",
        answer({"Successful": [{"Id": "b"}], "Failed": [failed("a", sender=False), failed("c", sender=True)]}),
        answer({"Failed": [failed("a", sender=False)]}),
        answer({"Successful": [{"Id": "a"}]}),
    )
    entries = [{"Id": name, **entry} for name in "abc"]
    response = getattr(client, method)(QueueUrl="https://sqs.us-east-1.amazonaws.com/1/q", Entries=entries)
    assert [result["Id"] for result in response["Successful"]] == ["a", "b"]
    assert response["Failed"] == [failed("c", sender=True)]
    assert [[one["Id"] for one in request["Entries"]] for request in script.sent] == [["a", "b", "c"], ["a"], ["a"]]


def test_a_lost_answer_to_a_retry_reports_the_rest_as_failed(enduring: Any, bare: Any) -> None:
    client, script = enduring("sqs")
    queue = bare("sqs").create_queue(QueueName="rest")["QueueUrl"]
    script.then(answer({"Successful": [{"Id": "b"}], "Failed": [failed("a", sender=False)]}), lost)
    response = client.send_message_batch(QueueUrl=queue, Entries=[{"Id": name, "MessageBody": "m"} for name in "ab"])
    assert [result["Id"] for result in response["Failed"]] == ["a"]
    assert len(script.requests) == 2


def test_objects_that_were_not_deleted_are_deleted_by_a_retry(scripted: Any) -> None:
    client, script = scripted(
        "s3",
        answer(
            b"<DeleteResult><Deleted><Key>a</Key></Deleted>"
            b"<Error><Key>b</Key><Code>InternalError</Code><Message>m</Message></Error>"
            b"<Error><Key>c</Key><Code>AccessDenied</Code><Message>m</Message></Error></DeleteResult>"
        ),
        answer(b"<DeleteResult><Deleted><Key>b</Key></Deleted></DeleteResult>"),
    )
    response = client.delete_objects(Bucket="b", Delete={"Objects": [{"Key": key} for key in "abc"], "Quiet": False})
    assert [result["Key"] for result in response["Deleted"]] == ["a", "b"]
    assert [result["Key"] for result in response["Errors"]] == ["c"]
    assert b"<Key>a</Key>" not in script.requests[1].body
