"""Six services that throttle, fail and disappear: all work completes, and no unsafe operation runs twice."""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from support.doubles import session
from support.injected import answer, error, late, lost, refused

if TYPE_CHECKING:
    from collections.abc import Callable

TRUST = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)


class Work(NamedTuple):
    """One write to a service: its setup, the operation, how often it was executed, and how the service throttles."""

    service: str
    prepare: Callable[[Any], dict[str, Any]]
    method: str
    done: Callable[[Any, dict[str, Any]], int]
    throttle: Any
    safe: bool | None  # None: a second one is refused by name


def table(client: Any) -> dict[str, Any]:
    name = f"t-{uuid4()}"
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return {"TableName": name}


def an_item(client: Any) -> dict[str, Any]:
    return {**table(client), "Item": {"id": {"S": "1"}}}


def a_count(client: Any) -> dict[str, Any]:
    return {
        **table(client),
        "Key": {"id": {"S": "1"}},
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }


def counted(client: Any, params: dict[str, Any]) -> int:
    item = client.get_item(TableName=params["TableName"], Key=params["Key"]).get("Item", {"n": {"N": "0"}})
    return int(item["n"]["N"])


def an_object(client: Any) -> dict[str, Any]:
    bucket = f"b-{uuid4()}"
    client.create_bucket(Bucket=bucket)
    return {"Bucket": bucket, "Key": "k", "Body": b"content"}


def stored(client: Any, params: dict[str, Any]) -> int:
    return int(client.get_object(Bucket=params["Bucket"], Key="k")["Body"].read() == b"content")


def role(url: str) -> str:
    """Create a separate role for each test: any `mock_aws` in this process clears the server's state."""
    iam = session().client("iam", endpoint_url=url)
    made = iam.create_role(RoleName=f"r-{uuid4()}", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.close()
    return str(made)


def a_function(client: Any) -> dict[str, Any]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("main.py", "def handler(event, context): ...")
    return {
        "FunctionName": f"f-{uuid4()}",
        "Runtime": "python3.11",
        "Role": role(client.meta.endpoint_url),
        "Handler": "main.handler",
        "Code": {"ZipFile": content.getvalue()},
    }


def functions(client: Any, params: dict[str, Any]) -> int:
    return [found["FunctionName"] for found in client.list_functions()["Functions"]].count(params["FunctionName"])


def a_message(client: Any) -> dict[str, Any]:
    return {"QueueUrl": client.create_queue(QueueName=f"q-{uuid4()}")["QueueUrl"], "MessageBody": "m"}


def an_ordered_message(client: Any) -> dict[str, Any]:
    queue = client.create_queue(
        QueueName=f"q-{uuid4()}.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    )
    return {"QueueUrl": queue["QueueUrl"], "MessageBody": "m", "MessageGroupId": "g"}


def messages(client: Any, params: dict[str, Any]) -> int:
    names = ["ApproximateNumberOfMessages"]
    found = client.get_queue_attributes(QueueUrl=params["QueueUrl"], AttributeNames=names)["Attributes"]
    return int(found[names[0]])


def log_events(client: Any) -> dict[str, Any]:
    names = {"logGroupName": f"g-{uuid4()}", "logStreamName": "s"}
    client.create_log_group(logGroupName=names["logGroupName"])
    client.create_log_stream(**names)
    return {**names, "logEvents": [{"timestamp": time.time_ns() // 1_000_000, "message": "m"}]}


def logged(client: Any, params: dict[str, Any]) -> int:
    names = {name: params[name] for name in ("logGroupName", "logStreamName")}
    return len(client.get_log_events(**names, startFromHead=True)["events"])


def a_rule(client: Any) -> dict[str, Any]:
    return {"Name": f"r-{uuid4()}", "EventPattern": json.dumps({"source": ["s"]})}


def rules(client: Any, params: dict[str, Any]) -> int:
    return len(client.list_rules(NamePrefix=params["Name"])["Rules"])


THROUGHPUT = error("ProvisionedThroughputExceededException")
THROTTLE = error("ThrottlingException")
WORKS = [
    Work("s3", an_object, "put_object", stored, error("SlowDown", 503), safe=True),
    Work(
        "dynamodb", an_item, "put_item", lambda c, p: c.scan(TableName=p["TableName"])["Count"], THROUGHPUT, safe=True
    ),
    Work("dynamodb", a_count, "update_item", counted, THROUGHPUT, safe=False),
    Work("lambda", a_function, "create_function", functions, error("TooManyRequestsException", 429), safe=None),
    Work("events", a_rule, "put_rule", rules, THROTTLE, safe=True),
    Work("logs", log_events, "put_log_events", logged, THROTTLE, safe=False),
    Work("sqs", a_message, "send_message", messages, error("RequestThrottled", 403), safe=False),
    Work("sqs", an_ordered_message, "send_message", messages, error("RequestThrottled", 403), safe=True),
]


def works(*, safe: bool | None = None) -> pytest.MarkDecorator:
    chosen = [work for work in WORKS if safe is None or work.safe is safe]
    names = [f"{work.service}-{work.method}-{work.prepare.__name__}" for work in chosen]
    return pytest.mark.parametrize("work", chosen, ids=names)


@works()
def test_throttles_and_refused_connections_are_survived(work: Work, enduring: Any, bare: Any, world: Any) -> None:
    client, script = enduring(work.service)
    params = work.prepare(bare(work.service))
    script.then(work.throttle, refused, work.throttle)
    response = getattr(client, work.method)(**params)
    assert response["ResponseMetadata"]["RetryAttempts"] == 3
    assert len(script.requests) == 4
    assert len(world.sleeps) == 3
    assert work.done(bare(work.service), params) == 1


@works(safe=True)
@pytest.mark.parametrize("fault", [lost, late])
def test_a_safe_write_is_retried_if_its_answer_is_lost(work: Work, fault: Any, enduring: Any, bare: Any) -> None:
    client, script = enduring(work.service)
    params = work.prepare(bare(work.service))
    script.then(fault)
    getattr(client, work.method)(**params)
    assert len(script.requests) == 2
    assert work.done(bare(work.service), params) == 1


@works(safe=False)
@pytest.mark.parametrize(("fault", "kind"), [(lost, ConnectionClosedError), (late, ReadTimeoutError)])
def test_an_unsafe_write_is_never_done_twice(work: Work, fault: Any, kind: Any, enduring: Any, bare: Any) -> None:
    client, script = enduring(work.service)
    params = work.prepare(bare(work.service))
    script.then(work.throttle, fault)
    with pytest.raises(kind) as caught:
        getattr(client, work.method)(**params)
    assert len(script.requests) == 2
    assert work.done(bare(work.service), params) == 1
    assert any("may or may not have executed" in note for note in caught.value.__notes__)
    assert caught.value.fault.decision.value == "RETRY_LIMITED"
    assert caught.value.outcome.attempts == 2


def test_an_operation_that_the_caller_declares_safe_is_retried(enduring: Any, bare: Any) -> None:
    client, script = enduring("logs", safe=["put_log_events"])
    params = log_events(bare("logs"))
    script.then(answer({}), late)
    client.put_log_events(**params)
    client.put_log_events(**params)
    assert len(script.requests) == 3


def test_a_failure_after_a_lost_answer_notes_that_an_earlier_attempt_may_have_succeeded(
    enduring: Any, bare: Any
) -> None:
    client, script = enduring("lambda")
    params = a_function(bare("lambda"))
    script.then(lost)
    with pytest.raises(client.exceptions.ResourceConflictException) as caught:
        client.create_function(**params)
    assert functions(bare("lambda"), params) == 1
    assert any("executed an earlier attempt" in note for note in caught.value.__notes__)


def test_a_server_error_is_retried_if_the_service_confirms_the_failure(enduring: Any, bare: Any) -> None:
    client, script = enduring("sqs")
    params = a_message(bare("sqs"))
    script.then(error("InternalError", 500), error("ServiceUnavailable", 503))
    client.send_message(**params)
    assert messages(bare("sqs"), params) == 1


@pytest.mark.parametrize("fault", [error("InternalServerError", 500), answer(b"<html>", 502), answer(b"<html>", 504)])
def test_an_unsafe_operation_with_an_unknown_result_is_not_retried(fault: Any, enduring: Any, bare: Any) -> None:
    client, script = enduring("dynamodb")
    params = a_count(bare("dynamodb"))
    script.then(fault)
    with pytest.raises(ClientError) as caught:
        client.update_item(**params)
    assert len(script.requests) == 1
    assert any("may or may not have executed" in note for note in caught.value.__notes__)


def test_an_idempotency_token_is_the_same_in_every_attempt(enduring: Any, bare: Any) -> None:
    client, script = enduring("dynamodb")
    item = an_item(bare("dynamodb"))
    script.then(lost, THROUGHPUT)
    client.transact_write_items(TransactItems=[{"Put": item}])
    tokens = {request["ClientRequestToken"] for request in script.sent}
    assert len(script.requests) == 3
    assert len(tokens) == 1


def test_an_error_of_the_caller_is_not_retried(enduring: Any, bare: Any) -> None:
    client, script = enduring("dynamodb")
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        client.get_item(TableName="none", Key={"id": {"S": "1"}})
    assert len(script.requests) == 1
    assert caught.value.fault.decision.value == "FAIL"
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
