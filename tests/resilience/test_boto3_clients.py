"""`resilient(client)`: the features that botocore builds on a client still work, and its own retries are off."""

from __future__ import annotations

import io
import pickle
import socket
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from support.doubles import session
from support.injected import Script, answer, error, lost, refused

from aws_bedrock_inference import Breaker, CircuitOpen, DeadlineTooClose, Pipeline, Quota, Retry, resilient

if TYPE_CHECKING:
    from pathlib import Path

    from support.doubles import World

SLOW = error("SlowDown", 503)
THROUGHPUT = error("ProvisionedThroughputExceededException")


def a_bucket(client: Any, *keys: str) -> str:
    name = f"b-{uuid4()}"
    client.create_bucket(Bucket=name)
    for key in keys:
        client.put_object(Bucket=name, Key=key, Body=b"x")
    return name


def test_the_wrapped_client_keeps_its_type_and_methods(bare: Any) -> None:
    own = bare("s3")
    client = resilient(own)
    assert isinstance(client, type(own))
    assert client.meta is own.meta
    assert client.exceptions is own.exceptions
    assert type(client).__name__ == "S3"
    assert {*dir(type(own))} <= {*dir(type(client))}
    assert client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"}).startswith("http")


def test_paginators_waiters_and_transfers_are_resilient_too(enduring: Any, tmp_path: Path) -> None:
    client, script = enduring("s3")
    bucket = a_bucket(client, "a", "b")
    script.then(SLOW)
    client.get_waiter("bucket_exists").wait(Bucket=bucket)
    script.then(SLOW, refused)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    assert [found["Key"] for page in pages for found in page["Contents"]] == ["a", "b"]
    (tmp_path / "file").write_bytes(b"content")
    script.then(SLOW)
    client.upload_file(str(tmp_path / "file"), bucket, "c")
    assert client.get_object(Bucket=bucket, Key="c")["Body"].read() == b"content"


def test_a_boto3_resource_can_use_the_client(moto_url: str, enduring: Any) -> None:
    client, script = enduring("dynamodb")
    dynamodb: Any = session().resource("dynamodb", endpoint_url=moto_url)
    dynamodb.meta.client.close()
    dynamodb.meta.client = client
    key: Any = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
    names: Any = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}
    table = dynamodb.create_table(TableName="things", BillingMode="PAY_PER_REQUEST", **key, **names)
    script.then(THROUGHPUT, THROUGHPUT)
    table.put_item(Item={"id": "1"})
    assert table.get_item(Key={"id": "1"})["Item"] == {"id": "1"}


def test_a_temporary_failure_of_dns_is_retried_as_boto3_retries_it(
    bare: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = resilient(bare("s3"), clock=world.clock, sleep=world.sleep)
    failures = iter([socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")] * 2)
    found = socket.getaddrinfo

    def look_up(*query: Any) -> Any:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        return found(*query)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    client.list_buckets()
    assert len(world.sleeps) == 2


@pytest.mark.parametrize("mode", ["standard", "legacy", "adaptive"])
def test_botocore_s_own_retries_are_off(mode: Any, bare: Any, world: Any) -> None:
    own = bare("s3", config=Config(retries={"mode": mode, "total_max_attempts": 4}))
    client = resilient(own, pipeline=Pipeline(), clock=world.clock, sleep=world.sleep)
    script = Script(own).then(SLOW)
    with pytest.raises(ClientError):
        client.list_buckets()
    assert len(script.requests) == 1
    left = own.meta.events._emitter._handlers.prefix_search("needs-retry.s3.GetObject")
    assert [handler.__qualname__.split(".")[0] for handler in left] == ["_update_status_code", "S3RegionRedirectorv2"]


def test_wrapping_a_client_again_replaces_the_policies(bare: Any, world: Any) -> None:
    own = bare("s3")
    once = resilient(own, clock=world.clock, sleep=world.sleep)
    twice = resilient(once, pipeline=Pipeline(), clock=world.clock, sleep=world.sleep)
    script = Script(own).then(SLOW)
    with pytest.raises(ClientError):
        twice.list_buckets()
    assert len(script.requests) == 1
    assert isinstance(twice, type(own))


def test_a_file_is_sent_completely_in_every_attempt(enduring: Any, bare: Any) -> None:
    client, script = enduring("s3")
    bucket = a_bucket(bare("s3"))
    body = io.BytesIO(b"headcontent")
    body.seek(4)
    script.then(lost, SLOW)
    client.put_object(Bucket=bucket, Key="k", Body=body)
    assert bare("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"content"


def test_a_body_that_cannot_be_read_again_is_sent_once(alone: None, world: Any) -> None:
    class Pipe:
        def read(self, size: int = -1) -> bytes:
            return b""

    own = session().client("s3")  # botocore accepts an unseekable body only over TLS; nothing leaves this machine
    client = resilient(own, clock=world.clock, sleep=world.sleep)
    script = Script(own).then(SLOW)
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket="b", Key="k", Body=Pipe(), ContentLength=0)
    assert len(script.requests) == 1
    assert any("cannot be read a second time" in note for note in caught.value.__notes__)


def test_parameters_are_encoded_once_for_all_attempts(enduring: Any) -> None:
    client, script = enduring("ec2")
    script.then(error("RequestLimitExceeded", 503), answer(b"<R/>"))
    client.run_instances(MinCount=1, MaxCount=1, UserData="plain")
    first, second = (request.body for request in script.requests)
    assert first == second


def test_the_exception_is_botocore_s_own_with_the_known_facts(enduring: Any) -> None:
    client, script = enduring("dynamodb")
    script.then(THROUGHPUT, *[error("InternalServerError", 500)] * 20)
    with pytest.raises(client.exceptions.InternalServerError) as caught:
        client.list_tables()
    raised: Any = caught.value
    assert raised.response["ResponseMetadata"]["RetryAttempts"] == len(script.requests) - 1
    assert raised.outcome.attempts == len(script.requests) > 2
    assert raised.fault.cause == "internal-server-error"
    assert raised.fault.advice in raised.__notes__
    assert "gave up: no attempts are left" in raised.__notes__[0]
    assert sum(note.startswith("earlier attempt: ") for note in raised.__notes__) == raised.outcome.attempts - 1
    assert pickle.loads(pickle.dumps(raised.outcome)) == raised.outcome  # noqa: S301 - our own


def test_a_damaged_answer_is_requested_again(enduring: Any) -> None:
    client, script = enduring("dynamodb")
    script.then(answer({"TableNames": ["dam"]}, x_amz_crc32="1"))
    assert "dam" not in client.list_tables()["TableNames"]
    assert len(script.requests) == 2


def test_invalid_parameters_and_unrelated_exceptions_are_raised_immediately(enduring: Any) -> None:
    client, script = enduring("dynamodb")
    with pytest.raises(ParamValidationError):
        client.get_item(TableName="t")

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    script.then(broken)
    with pytest.raises(ZeroDivisionError):
        client.list_tables()
    assert len(script.requests) == 1


def test_a_wait_requested_by_the_service_is_respected(enduring: Any, world: Any) -> None:
    client, script = enduring("lambda")
    script.then(error("TooManyRequestsException", 429, Retry_After="7"), answer({"Functions": []}))
    client.list_functions()
    assert world.sleeps == [7.0]


def test_the_timeout_bounds_all_attempts_together(enduring: Any, world: Any) -> None:
    client, script = enduring("lambda", timeout=5)
    script.then(error("TooManyRequestsException", 429, Retry_After="7"))
    with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
        client.list_functions()
    assert "the next attempt would start after the deadline" in caught.value.__notes__[0]
    assert world.sleeps == []


def test_an_unhealthy_service_gets_no_calls_and_invalid_input_opens_no_circuit(enduring: Any) -> None:
    client, script = enduring("dynamodb", pipeline=Pipeline(Breaker(failures=3)))
    for _ in range(10):
        with pytest.raises(ClientError):
            client.get_item(TableName="none", Key={"id": {"S": "1"}})
    script.then(*[error("InternalServerError", 500)] * 30)
    raised = []
    for _ in range(30):
        with pytest.raises((ClientError, CircuitOpen)) as caught:
            client.list_tables()
        raised.append(type(caught.value).__name__)
    assert raised.count("InternalServerError") < 12
    assert raised[-1] == "CircuitOpen"


def test_a_refusal_after_real_failures_raises_the_real_one(enduring: Any) -> None:
    client, script = enduring("dynamodb", timeout=20, pipeline=Pipeline(Retry(), Breaker(failures=2)))
    script.then(*[error("InternalServerError", 500)] * 30)
    with pytest.raises(client.exceptions.InternalServerError) as caught:
        client.list_tables()
    assert caught.value.outcome.attempts == len(script.requests)


def test_a_refusal_before_sending_raises_its_own_exception(enduring: Any, world: Any) -> None:
    client, _ = enduring("dynamodb", timeout=1, quota=Quota(rpm=1))
    client.list_tables()
    with pytest.raises(DeadlineTooClose):
        client.list_tables()


def test_listeners_get_retries_and_ends(enduring: Any) -> None:
    heard: list[Any] = []
    client, script = enduring("dynamodb", listener=heard.append)
    script.then(THROUGHPUT)
    client.list_tables()
    assert [type(event).__name__ for event in heard] == ["RetryScheduled", "CallEnded"]
    assert str(heard[1].route) == "dynamodb in us-east-1"
    assert heard[1].attempts == 2


def test_each_bedrock_model_has_its_own_circuit(alone: None, world: Any) -> None:
    heard: list[Any] = []
    own = session().client("bedrock-runtime", endpoint_url="http://127.0.0.1:9")
    client = resilient(own, listener=heard.append, clock=world.clock, sleep=world.sleep)
    Script(own).then(answer({}), answer({}))
    for model in ("amazon.nova-lite-v1:0", "us.amazon.nova-pro-v1:0"):
        client.invoke_model(modelId=model, body=b"{}")
    assert [event.route.health_key for event in heard] == [
        "|us-east-1|amazon.nova-lite-v1:0",
        "|us-east-1|us.amazon.nova-pro-v1:0",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"safe": ["put_itme"]}, "put_itme"),
        ({"timeout": 0}, "timeout=0"),
        ({"quota": Quota(rpm=1), "pipeline": Pipeline()}, "either quota= or pipeline="),
    ],
)
def test_invalid_options_are_refused(options: Any, message: str, bare: Any) -> None:
    with pytest.raises(ValueError, match=message):
        resilient(bare("dynamodb"), **options)


def test_an_object_that_is_neither_a_client_nor_a_function_is_refused() -> None:
    with pytest.raises(TypeError, match="a boto3 client or a function, not Session"):
        resilient(boto3.Session(region_name="us-east-1"))
