"""Measure the time that `resilient` adds to a call of a boto3 client. The transport is a stub.

Runs without and with `resilient` alternate. Each row is the median of the differences between two successive runs, in
microseconds of CPU per call. The spread is from the smallest to the largest difference. The client without `resilient`
is boto3 with one attempt.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import botocore
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from aws_bedrock_inference import Quota, resilient

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS, CALLS = 31, 200
ONCE = Config(retries={"total_max_attempts": 1})


class Case(NamedTuple):
    service: str
    method: str
    params: dict[str, Any]
    body: bytes = b"{}"


CASES = [
    Case("dynamodb", "get_item", {"TableName": "t", "Key": {"id": {"S": "1"}}}),
    Case("s3", "put_object", {"Bucket": "b", "Key": "k", "Body": b"x"}, b""),
    Case("sqs", "send_message", {"QueueUrl": "https://sqs.us-east-1.amazonaws.com/1/q", "MessageBody": "m"}),
    Case("lambda", "invoke", {"FunctionName": "f", "Payload": b"{}"}),
    Case(
        "logs",
        "put_log_events",
        {"logGroupName": "g", "logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "m"}]},
    ),
    Case(
        "events", "put_events", {"Entries": [{"Detail": "{}"}]}, b'{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}'
    ),
]


class Raw:
    """A response body with the interface of urllib3."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, **_: Any) -> Any:
        yield self.body

    def read(self, *_: Any) -> bytes:
        return self.body


def stubbed(session: boto3.Session, case: Case) -> Any:
    client: Any = session.client(case.service, config=ONCE)  # type: ignore[call-overload]

    length: Any = {"content-length": str(len(case.body))}

    def answer(**_: Any) -> AWSResponse:
        return AWSResponse("https://stub", 200, length, Raw(case.body))

    client.meta.events.register_first("before-send", answer)
    return client


def run(method: Callable[..., Any], params: dict[str, Any]) -> float:
    started = time.process_time()
    for _ in range(CALLS):
        method(**params)
    return (time.process_time() - started) / CALLS * 1e6


def differences(bare: Any, guarded: Any, case: Case) -> tuple[list[float], float]:
    one, other = getattr(bare, case.method), getattr(guarded, case.method)
    run(one, case.params), run(other, case.params)
    pairs = [(run(one, case.params), run(other, case.params)) for _ in range(RUNS)]
    return [more - less for less, more in pairs], median(less for less, _ in pairs)


def alone(guarded: Any, case: Case) -> float:
    """Measure the time of `resilient` without botocore, which is replaced by a function that does nothing. The result
    does not contain the variation of botocore's own time.
    """
    answer = {"ResponseMetadata": {}, "FailedEntryCount": 0, "Entries": [{}]}
    guarded._calls._send_once = lambda _, __: answer  # noqa: SLF001 - only here
    method = getattr(guarded, case.method)
    return min(run(method, case.params) for _ in range(RUNS))


def main() -> None:
    session = boto3.Session("AKIDEXAMPLE", "secret", region_name="us-east-1")
    print(f"Overhead of resilient() a call, CPU us, Python {sys.version.split()[0]}, botocore {botocore.__version__}")
    print(f"  {'':34}{'added':>7}   {'smallest to largest':22}{'bare call':>10}")
    for case in CASES:
        for title, quota in (("", None), (" + quota", Quota(rpm=6e9))):
            guarded = resilient(stubbed(session, case), quota=quota)
            added, bare = differences(stubbed(session, case), guarded, case)
            name = f"{case.service}.{case.method}{title}"
            print(f"  {name:34}{median(added):7.1f}   {f'({min(added):.1f} to {max(added):.1f})':22}{bare:10.0f}")
    print("  goal: at most 15")
    for case in CASES:
        least = alone(resilient(stubbed(session, case)), case)
        print(f"  {case.service + '.' + case.method:34}{least:7.1f}   around a botocore that does nothing")


if __name__ == "__main__":
    main()
