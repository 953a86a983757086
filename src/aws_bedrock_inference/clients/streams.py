"""Answers as they come: boto3's events, and plain text, in both worlds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.clients.reply import Reply, reply_of
from aws_bedrock_inference.exceptions import error_of
from aws_bedrock_inference.streaming import ABANDONED

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.drivers.asynchronous import AsyncStream
    from aws_bedrock_inference.drivers.blocking import Stream


class _Ending:
    """What both worlds do when a stream has ended."""

    def __init__(self, call: Call, finish: Callable[[Call, Outcome], None]) -> None:
        self.call = call
        self.head: dict[str, Any] = {}
        self._finish = finish
        self._finished = False

    def end(self, outcome: Outcome | None) -> None:
        """Finish the call, once."""
        if outcome is not None and not self._finished:
            self._finished = True
            self._finish(self.call, outcome)

    def check(self, outcome: Outcome | None) -> None:
        """Raise what broke the stream; that the consumer itself has closed it is no break."""
        self.end(outcome)
        if outcome is not None and outcome.fault not in (None, ABANDONED):
            raise error_of(outcome, self.call.operation, self.call.route)

    def reply(self, outcome: Outcome | None) -> Reply:
        """Return what the stream added up to."""
        if outcome is None:
            raise ValueError("the stream has not ended: read it to its end before asking for the reply")
        whole = outcome._replace(value=outcome.value.response(self.head))
        return reply_of(whole, self.call.route)


class EventStream(_Ending):
    """boto3's events of a stream, one by one. Raises when the stream breaks; closing it early gives everything back."""

    def __init__(self, stream: Stream, call: Call, finish: Callable[[Call, Outcome], None]) -> None:
        super().__init__(call, finish)
        self._stream = stream

    def begin(self) -> None:
        """Go as far as the first content, unless that was done: from here on, faults can be seen."""
        if self.head:
            return
        for head in self._stream:
            self.head = head.response
            return
        self.check(self._stream.outcome)

    @property
    def outcome(self) -> Outcome | None:
        """How the stream ended; None while it has not."""
        return self._stream.outcome

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[str, Any]:
        for event in self._stream:
            return event  # type: ignore[no-any-return]
        self.check(self._stream.outcome)
        raise StopIteration

    def close(self) -> None:
        """Abandon what has not been read."""
        self._stream.close()
        self.end(self._stream.outcome)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncEventStream(_Ending):
    """boto3's events of a stream, one by one. Raises when the stream breaks; closing it early gives everything back."""

    def __init__(self, stream: AsyncStream, call: Call, finish: Callable[[Call, Outcome], None]) -> None:
        super().__init__(call, finish)
        self._stream = stream

    async def begin(self) -> None:
        """Go as far as the first content, unless that was done: from here on, faults can be seen."""
        if self.head:
            return
        async for head in self._stream:
            self.head = head.response
            return
        self.check(self._stream.outcome)

    @property
    def outcome(self) -> Outcome | None:
        """How the stream ended; None while it has not."""
        return self._stream.outcome

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        async for event in self._stream:
            return event  # type: ignore[no-any-return]
        self.check(self._stream.outcome)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Abandon what has not been read."""
        await self._stream.aclose()
        self.end(self._stream.outcome)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class TextStream:
    """The text of an answer, piece by piece; `reply` has usage and stop reason once it has ended."""

    def __init__(self, events: EventStream) -> None:
        self._events = events

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        self._events.begin()
        for event in self._events:
            if text := _text(event):
                return text
        raise StopIteration

    @property
    def reply(self) -> Reply:
        """The whole answer; `ValueError` while the stream has not ended."""
        return self._events.reply(self._events.outcome)

    def close(self) -> None:
        """Abandon what has not been read."""
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncTextStream:
    """The text of an answer, piece by piece; `reply` has usage and stop reason once it has ended."""

    def __init__(self, events: AsyncEventStream) -> None:
        self._events = events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        await self._events.begin()
        async for event in self._events:
            if text := _text(event):
                return text
        raise StopAsyncIteration

    @property
    def reply(self) -> Reply:
        """The whole answer; `ValueError` while the stream has not ended."""
        return self._events.reply(self._events.outcome)

    async def aclose(self) -> None:
        """Abandon what has not been read."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _text(event: dict[str, Any]) -> str:
    text: str = event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
    return text
