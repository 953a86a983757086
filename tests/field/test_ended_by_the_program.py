"""A call that the program itself ends (a cancelled task, Ctrl-C, a closed or dropped stream) is not a failure."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import FRAMES
from support.client_faces import Asyncio, Blocking
from support.doubles import World
from support.wire import Wire, eventually, stream

from aws_bedrock_inference import AsyncBedrockClient, BedrockClient, StreamBroken, explain, resilient
from aws_bedrock_inference.drivers.abandoned import OpenFlow, reaper
from aws_bedrock_inference.events import CallEnded
from aws_bedrock_inference.fault import Origin
from aws_bedrock_inference.listeners import Listeners
from aws_bedrock_inference.log import LOGGER

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = stream(*FRAMES)


@pytest.fixture(autouse=True)
def _nothing_left_of_other_tests() -> None:
    """The garbage collector ends earlier streams before the test starts to listen."""

    def flow() -> Iterator[Any]:
        yield

    gc.collect()
    ended = threading.Event()
    last = OpenFlow(flow(), Listeners(), lambda _: ended.set())  # type: ignore[arg-type]
    reaper.keep(last)  # starts the thread
    reaper.abandon(last)
    assert ended.wait(60)
    reaper.release(last)


class Heard:
    """The ends of a client's calls, and the lines of the log."""

    def __init__(self, client: Any, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, logger=LOGGER.name)
        self.ends: list[CallEnded] = []
        self.caplog = caplog
        client.listen(lambda event: self.ends.append(event) if isinstance(event, CallEnded) else None)

    def is_the_programs_doing(self) -> bool:
        """Return whether one call ended, by the program, and nobody on call is woken by that."""
        [end] = self.ends
        assert end.fault is not None
        assert (end.fault.origin, end.fault.cause) == (Origin.CALLER, "abandoned")
        ours = [
            each for each in self.caplog.records if each.name == LOGGER.name
        ]  # asyncio tells of destroyed tasks, too
        [(level, line)] = [(each.levelname, each.getMessage()) for each in ours]
        return level == "DEBUG" and "was ended by the program after" in line


def interrupt(client: Any, by: type[BaseException]) -> None:
    """Raise `by` where the client waits for an answer."""

    def send(_: Any) -> Any:
        raise by

    client._driver._send = send


def test_a_stream_that_is_closed_early_is_not_a_failure(client_face: Any, caplog: pytest.LogCaptureFixture) -> None:
    with Wire(WHOLE) as wire:
        client = client_face.open(wire.url)
        heard = Heard(client, caplog)
        answer = client.invoke_stream("Why?", max_tokens=9)
        assert next(client_face.items(answer)) == "Because "
        client_face.leave(answer)
        client_face.leave(answer)
    assert heard.is_the_programs_doing()
    assert heard.ends[0].usage is not None  # what came is paid for


def test_a_dropped_stream_is_not_a_failure(client_face: Any, caplog: pytest.LogCaptureFixture) -> None:
    with Wire(WHOLE) as wire:
        client = client_face.open(wire.url)
        heard = Heard(client, caplog)
        answer = [client.invoke_stream("Why?", max_tokens=9)]
        assert next(client_face.items(answer[0])) == "Because "
        answer.clear()
        gc.collect()
        assert eventually(lambda: bool(heard.ends and caplog.records))
    assert heard.is_the_programs_doing()


def test_a_closed_generator_around_a_stream_is_not_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    client_face = Blocking()

    def pieces(client: BedrockClient) -> Iterator[str]:
        with client.invoke_stream("Why?", max_tokens=9) as answer:
            yield from answer

    with Wire(WHOLE) as wire:
        client = client_face.open(wire.url)
        heard = Heard(client, caplog)
        reading: Any = pieces(client)
        assert next(reading) == "Because "
        reading.close()
        assert heard.is_the_programs_doing()
        client_face.end()


@pytest.mark.parametrize("by", [KeyboardInterrupt, asyncio.CancelledError, SystemExit])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_interruption_before_the_answer_is_not_a_failure(
    client_face: Any, caplog: pytest.LogCaptureFixture, by: type[BaseException], streamed: Any
) -> None:
    client = client_face.open("http://127.0.0.1:9")
    heard = Heard(client, caplog)
    interrupt(client, by)
    with pytest.raises(by):
        client_face.get(client.converse_stream(messages=[]) if streamed else client.invoke("Why?", max_tokens=9))
    assert heard.is_the_programs_doing()


def test_a_reading_task_cancelled_by_a_disconnect_is_not_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """ASGI servers do this; a reader that continues nonetheless gets the reason for the end."""
    client_face = Asyncio()

    async def leave(client: AsyncBedrockClient, heard: Heard) -> None:
        answer = client.invoke_stream("Why?", max_tokens=9)
        assert await anext(answer) == "Because "
        never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer.events._stream._open.source.next = lambda: never  # type: ignore[union-attr]
        async with answer:
            reading = asyncio.ensure_future(anext(answer))
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert heard.is_the_programs_doing()
        with pytest.raises(StreamBroken) as raised:
            await anext(answer)
        assert (raised.value.origin, raised.value.received) == (Origin.CALLER, "")

    with Wire(WHOLE) as wire:
        client = client_face.open(wire.url)
        client_face.get(leave(client, Heard(client, caplog)))
        client_face.end()


def test_a_cancelled_call_is_not_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    client_face = Asyncio()

    async def cancel(client: AsyncBedrockClient) -> None:
        asking = asyncio.ensure_future(client.invoke("Why?", max_tokens=9))
        await sent.wait()
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()

    sent = asyncio.Event()
    client = client_face.open("http://127.0.0.1:9")
    heard = Heard(client, caplog)

    async def send(_: Any) -> Any:
        sent.set()
        await asyncio.get_running_loop().create_future()

    client._driver._send = send
    client_face.get(cancel(client))
    assert heard.is_the_programs_doing()
    client_face.end()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # asyncio reports destroyed tasks
def test_a_call_whose_task_is_destroyed_is_not_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    client_face = Asyncio()
    client = client_face.open("http://127.0.0.1:9")
    heard = Heard(client, caplog)

    async def send(_: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    client._driver._send = send
    asking = client.invoke("Why?", max_tokens=9)
    client_face.get(asyncio.sleep(0))
    loop = asyncio.new_event_loop()
    task = [loop.create_task(asking)]
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    task.clear()
    del asking, loop
    gc.collect()
    assert eventually(lambda: bool(heard.ends))
    assert heard.ends[0].fault is not None
    assert heard.ends[0].fault.origin is Origin.CALLER
    client_face.end()


def test_interrupted_wrapped_functions_are_not_failures(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    ends: list[Any] = []
    caplog.set_level(logging.INFO, logger=LOGGER.name)

    @resilient(clock=world.clock, sleep=world.sleep, listener=ends.append)
    def ask() -> None:
        raise KeyboardInterrupt

    @resilient(clock=world.clock, listener=ends.append)
    async def wait() -> None:
        raise asyncio.CancelledError

    with pytest.raises(KeyboardInterrupt):
        ask()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(wait())
    assert [end.fault.origin for end in ends] == [Origin.CALLER] * 2
    assert caplog.records == []


def test_a_failure_is_still_a_warning(client_face: Any, caplog: pytest.LogCaptureFixture) -> None:
    with Wire(("cut", stream(*FRAMES[:2], end=False))) as wire:
        client = client_face.open(wire.url)
        heard = Heard(client, caplog)
        with pytest.raises(StreamBroken):
            list(client_face.items(client.invoke_stream("Why?", max_tokens=9)))
    assert heard.ends[-1].fault is not None
    assert heard.ends[-1].fault.origin is not Origin.CALLER
    assert "WARNING" in {each.levelname for each in caplog.records}


def test_the_catalogue_explains_the_code_of_an_interruption() -> None:
    found = explain("StreamInterrupted: a cancellation or another exception interrupted the reading of the stream")
    assert (found.cause, found.decision.value) == ("abandoned", "FAIL")
