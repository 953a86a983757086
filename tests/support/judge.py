"""boto3 as the reference: its requests and results, in a form that can be compared with this package's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.wire import Wire

OUR_OWN = {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "authorization", "x-amz-date", "accept-encoding"}


def plain(response: dict[str, Any]) -> dict[str, Any]:
    """boto3's response with its body read, without the words it has for its own retries."""
    metadata = {name: value for name, value in response["ResponseMetadata"].items() if name != "MaxAttemptsReached"}
    body = {"body": response["body"].read()} if "body" in response else {}
    return {**response, "ResponseMetadata": metadata, **body}


def assert_same_requests(wire: Wire) -> None:
    """boto3 called first and this package second: the two requests were the same, except for the sender and the
    time."""
    theirs, ours = wire.received
    assert (ours.method, ours.target, ours.body) == (theirs.method, theirs.target, theirs.body)
    assert {**ours.headers, **dict.fromkeys(OUR_OWN)} == {**theirs.headers, **dict.fromkeys(OUR_OWN)}
