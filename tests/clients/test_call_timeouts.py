"""A call may have its own timeout: seconds for the whole call, or a `Timeout` for each attempt."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import MESSAGES, REPLY
from support.wire import Wire, answer

from aws_bedrock_inference import BedrockError, InvalidRequest, Pipeline, Retry, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable

OK = answer(REPLY)
BODY = b'{"messages": []}'

CALLS: list[Any] = [
    pytest.param(lambda client, **more: client.invoke("Why?", **more), id="invoke"),
    pytest.param(lambda client, **more: client.invoke("Why?", stream=True, **more), id="invoke with stream"),
    pytest.param(lambda client, **more: client.invoke_stream("Why?", **more), id="invoke_stream"),
    pytest.param(lambda client, **more: client.converse(messages=MESSAGES, **more), id="converse"),
    pytest.param(lambda client, **more: client.converse_stream(messages=MESSAGES, **more), id="converse_stream"),
    pytest.param(lambda client, **more: client.invoke_model(body=BODY, **more), id="invoke_model"),
    pytest.param(
        lambda client, **more: client.invoke_model_with_response_stream(body=BODY, **more),
        id="invoke_model_with_response_stream",
    ),
    pytest.param(
        lambda client, **more: client.count_tokens(input={"converse": {"messages": MESSAGES}}, **more),
        id="count_tokens",
    ),
]


@pytest.mark.parametrize("timeout", [0.05, Timeout(first_byte=0.05, first_content=0.05)])
@pytest.mark.parametrize("make_call", CALLS)
def test_the_timeout_of_a_call_ends_it(face: Any, make_call: Callable[..., Any], timeout: Any) -> None:
    with Wire(("stall", b"")) as wire:
        client = face.open(wire.url, pipeline=Pipeline(Retry(attempts=1)), timeout=600.0)
        with pytest.raises(BedrockError) as raised:
            face.whole(make_call(client, timeout=timeout))
    assert isinstance(raised.value, TimeoutError)


def test_the_timeout_of_a_call_applies_to_that_call_alone(face: Any) -> None:
    with Wire(OK) as wire:
        client = face.open(wire.url, timeout=600.0)
        short, usual = (client._make_call("converse", {"messages": MESSAGES}, timeout) for timeout in (5, None))
        assert (short.deadline - short.arrived, usual.deadline - usual.arrived) == pytest.approx((5, 600))
        attempt = client._make_call("converse", {"messages": MESSAGES}, Timeout(idle=7))
        assert (attempt.timeout.idle, attempt.deadline - attempt.arrived) == pytest.approx((7, 600))
        assert face.get(client.invoke("Why?", timeout=inf)).stop_reason


@pytest.mark.parametrize("make_call", CALLS)
def test_an_invalid_timeout_is_refused(face: Any, make_call: Callable[..., Any]) -> None:
    with Wire(OK) as wire:
        client = face.open(wire.url)
        for timeout in (0, -1, nan, "5", True, [5]):
            with pytest.raises(InvalidRequest, match=r"timeout=.*: pass seconds above 0"):
                face.whole(make_call(client, timeout=timeout))
            with pytest.raises(ValueError, match=r"timeout=.*: pass seconds above 0"):
                face.open(wire.url, timeout=timeout)
        assert wire.received == []
