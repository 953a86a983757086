"""Streamed answers as boto3's events or as text, blocking and asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.clients.reply import Reply, reply_of
from aws_bedrock_inference.dialects.stream import text_in
from aws_bedrock_inference.flow import ABANDONED
from aws_bedrock_inference.made import Interrupted, Replaced
from aws_bedrock_inference.raising import error_of

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.drivers.asynchronous import AsyncStream
    from aws_bedrock_inference.drivers.blocking import Stream


NOTICE = "\n[Stream was interrupted. Retrying...]\n"
"""The notice in the text of a stream that starts again. The words are from AWS's documents."""


class _Ending:
    """Base class of the blocking and the asyncio streams. It checks how a stream ended, and creates its answer."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.head: dict[str, Any] = {}

    def check(self, outcome: Outcome | None) -> None:
        """Raise the exception of a broken stream. A stream that the consumer closed is not broken."""
        if outcome is not None and outcome.fault not in (None, ABANDONED):
            raise error_of(outcome, self.call.operation, self.call.route)

    def reply(self, outcome: Outcome | None) -> Reply:
        """Return the complete answer of the stream. Raises `ValueError` if the stream has not ended."""
        if outcome is None:
            raise ValueError("the stream has not ended; read it to its end before you use `reply`")
        if outcome.fault is ABANDONED:
            raise ValueError(
                "the stream was closed before its end, so `reply` does not exist; "
                "call again, and read the stream to its end"
            )
        if outcome.fault is not None:
            raise error_of(outcome, self.call.operation, self.call.route)
        whole = outcome._replace(value=outcome.value.response(self.head))
        return reply_of(whole, self.call.route)


class EventStream(_Ending):
    """An iterator over the events of a stream, in boto3's form. It raises an exception if the stream breaks. Closing
    the iterator early releases all of its resources.
    """

    def __init__(self, stream: Stream, call: Call) -> None:
        super().__init__(call)
        self._stream = stream

    def begin(self) -> None:
        """Read the stream up to its first content. Do nothing if the stream was already read that far. Faults before
        the first content are retried.
        """
        if self.head:
            return
        for head in self._stream:
            self.head = head.response
            return
        self.check(self._stream.outcome)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of the stream (all events, or the fault), or None until the stream has ended."""
        return self._stream.outcome

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if not self.head:
            self.begin()
        for event in self._stream:
            return event
        self.check(self._stream.outcome)
        raise StopIteration

    def close(self) -> None:
        """Close the stream without reading the rest."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncEventStream(_Ending):
    """An iterator over the events of a stream, in boto3's form. It raises an exception if the stream breaks. Closing
    the iterator early releases all of its resources.
    """

    def __init__(self, stream: AsyncStream, call: Call) -> None:
        super().__init__(call)
        self._stream = stream

    async def begin(self) -> None:
        """Read the stream up to its first content. Do nothing if the stream was already read that far. Faults before
        the first content are retried.
        """
        if self.head:
            return
        async for head in self._stream:
            self.head = head.response
            return
        self.check(self._stream.outcome)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of the stream (all events, or the fault), or None until the stream has ended."""
        return self._stream.outcome

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if not self.head:
            await self.begin()
        async for event in self._stream:
            return event
        self.check(self._stream.outcome)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the stream without reading the rest."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class TextStream:
    """An iterator over the text of an answer. After the end, `reply` has the usage and the stop reason."""

    def __init__(self, events: EventStream) -> None:
        self._events = events

    @property
    def events(self) -> EventStream:
        """The same answer as events in boto3's form. If the stream breaks and the answer starts again, an `Interrupted`
        marks this point. Read either these events or the text, not both.
        """
        return self._events

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        for event in self._events:
            if text := _text(event):
                return text
        raise StopIteration

    @property
    def reply(self) -> Reply:
        """The complete answer. Raises `ValueError` if the stream has not ended yet."""
        return self._events.reply(self._events.outcome)

    def close(self) -> None:
        """Close the stream without reading the rest."""
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncTextStream:
    """An iterator over the text of an answer. After the end, `reply` has the usage and the stop reason."""

    def __init__(self, events: AsyncEventStream) -> None:
        self._events = events

    @property
    def events(self) -> AsyncEventStream:
        """The same answer as events in boto3's form. If the stream breaks and the answer starts again, an `Interrupted`
        marks this point. Read either these events or the text, not both.
        """
        return self._events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        async for event in self._events:
            if text := _text(event):
                return text
        raise StopAsyncIteration

    @property
    def reply(self) -> Reply:
        """The complete answer. Raises `ValueError` if the stream has not ended yet."""
        return self._events.reply(self._events.outcome)

    async def aclose(self) -> None:
        """Close the stream without reading the rest."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _text(event: dict[str, Any] | Interrupted | Replaced) -> str:
    if isinstance(event, Interrupted):
        return NOTICE
    if isinstance(event, Replaced):
        return f"\n{event.message}" if event.shown else event.message
    return text_in(event)
