"""A closed client sends nothing and says so; calls in flight end by themselves."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import FRAMES, MESSAGES, REPLY, UNAVAILABLE
from support.client_faces import at_once
from support.wire import Wire, answer, stream

from aws_bedrock_inference import ClientClosed, Refused
from aws_bedrock_inference.events import CallEnded

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 60.0
OK = answer(REPLY)
BODY = b'{"messages": []}'

CALLS: list[Any] = [
    pytest.param(lambda client: client.invoke("Why?"), id="invoke"),
    pytest.param(lambda client: client.invoke("Why?", stream=True), id="invoke with stream"),
    pytest.param(lambda client: client.invoke_stream("Why?"), id="invoke_stream"),
    pytest.param(lambda client: client.converse(messages=MESSAGES), id="converse"),
    pytest.param(lambda client: client.converse_stream(messages=MESSAGES), id="converse_stream"),
    pytest.param(lambda client: client.invoke_model(body=BODY), id="invoke_model"),
    pytest.param(
        lambda client: client.invoke_model_with_response_stream(body=BODY), id="invoke_model_with_response_stream"
    ),
    pytest.param(lambda client: client.count_tokens(input={"converse": {"messages": MESSAGES}}), id="count_tokens"),
]


def close(face: Any, client: Any) -> None:
    face.get(client.aclose() if hasattr(client, "aclose") else client.close())


@pytest.mark.parametrize("make_call", CALLS)
def test_a_closed_client_raises_and_sends_nothing(face: Any, make_call: Callable[[Any], Any]) -> None:
    heard: list[Any] = []
    with Wire(OK) as wire:
        client = face.open(wire.url)
        face.get(client.invoke("warm"))
        client.listen(heard.append)
        close(face, client)
        close(face, client)
        for _ in range(2):
            with pytest.raises(ClientClosed, match="the client is closed") as raised:
                face.whole(make_call(client))
        assert len(wire.received) == 1
    assert isinstance(raised.value, Refused)
    assert raised.value.attempts == 0
    assert [type(event) for event in heard] == [CallEnded] * 2


def test_a_stream_that_has_not_started_does_not_start_after_closing(face: Any) -> None:
    with Wire(stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        pieces_of = client.invoke_stream("Why?")
        close(face, client)
        with pytest.raises(ClientClosed):
            list(face.items(pieces_of))
        with pytest.raises(ClientClosed):
            _ = pieces_of.reply
        assert wire.received == []


def test_closing_the_client_ends_a_call_between_two_attempts(face: Any) -> None:
    with Wire(UNAVAILABLE, OK) as wire:
        client = face.open(wire.url, pipeline=at_once())
        client.pipeline.policies[2]._chance = lambda: 0.5

        async def aclose(_: float) -> None:
            await client.aclose()

        client._driver._sleep = aclose if hasattr(client, "aclose") else lambda _: client.close()
        with pytest.raises(ClientClosed) as raised:
            face.get(client.invoke("Why?"))
        assert len(wire.received) == 1
    assert raised.value.attempts == 1
    assert "ServiceUnavailableException" in raised.value.__notes__[0]


def test_an_open_stream_can_be_read_to_its_end_after_closing(face: Any) -> None:
    with Wire(stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        pieces_of = client.invoke_stream("Why?")
        items = face.items(pieces_of)
        pieces = [next(items)]
        close(face, client)
        assert "".join([*pieces, *items]) == "Because of Rayleigh."
        assert pieces_of.reply.stop_reason == "end_turn"
        assert len(wire.received) == 1


class Late(Wire):
    """A server that answers only when the test allows it."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.answer = threading.Event()
        super().__init__(OK)

    def _perform(self, client: Any, act: Any) -> bool:
        self.asked.release()
        assert self.answer.wait(LIMIT)
        return super()._perform(client, act)


def test_calls_in_flight_complete_after_closing(face: Any) -> None:
    with Late() as wire:
        client = face.open(wire.url)
        if hasattr(client, "aclose"):
            replies = face.get(closed_meanwhile(client, wire))
        else:
            replies = []
            threads = [
                threading.Thread(target=lambda: replies.append(client.invoke("Why?")), daemon=True) for _ in range(5)
            ]
            for thread in threads:
                thread.start()
            assert all(wire.asked.acquire(timeout=LIMIT) for _ in threads)
            client.close()
            wire.answer.set()
            for thread in threads:
                thread.join(LIMIT)
        assert len(replies) == 5
        assert len(wire.received) == 5


async def closed_meanwhile(client: Any, wire: Late) -> list[Any]:
    calls = asyncio.gather(*(client.invoke("Why?") for _ in range(5)))
    for _ in range(5):
        assert await asyncio.to_thread(wire.asked.acquire, timeout=LIMIT)
    await client.aclose()
    wire.answer.set()
    return await calls
