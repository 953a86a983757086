"""The blocking, the streaming and the asyncio client behind one face, so that every test runs through each."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from support.doubles import session

from aws_bedrock_inference import (
    AsyncBedrockClient,
    BedrockClient,
    BedrockStreamingClient,
    Breaker,
    Deadline,
    Pipeline,
    Quota,
    Resume,
    Retry,
)
from aws_bedrock_inference.clients.streams import AsyncTextStream, TextStream

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "amazon.nova-lite-v1:0"


def at_once(quota: Quota | None = None) -> Pipeline:
    """Return the recommended policies with a random source that always gives a wait of 0, and a quota that delays no
    call. The quota is configured, because an unknown one is learned from the first throttle in real time."""
    ample = Quota(rpm=600_000)
    dice: Any = {"chance": lambda: 0.0}
    return Pipeline(Deadline(), Resume(**dice), Retry(**dice), Breaker(), quota if quota is not None else ample)


class Blocking:
    make: Any = BedrockClient

    def __init__(self) -> None:
        self._opened: list[Any] = []

    def open(self, url: str, **options: Any) -> Any:
        if "quota" not in options:
            options.setdefault("pipeline", at_once())
        options.setdefault("session", session())
        self._opened.append(type(self).make(MODEL, endpoint_url=url, **options))
        return self._opened[-1]

    def get(self, value: Any) -> Any:
        """Return the value, awaited where it is to be awaited."""
        return value

    def items(self, stream: Any) -> Iterator[Any]:
        """Read the stream as far as the items are wanted."""
        return iter(stream)

    def whole(self, value: Any) -> Any:
        """Return the value, or all items when it is a stream."""
        value = self.get(value)
        return list(self.items(value)) if isinstance(value, (TextStream, AsyncTextStream)) else value

    def leave(self, stream: Any) -> None:
        stream.close()

    def end(self) -> None:
        for client in self._opened:
            client.close()


class Streaming(Blocking):
    make = BedrockStreamingClient


class Asyncio(Blocking):
    make = AsyncBedrockClient

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()

    def get(self, value: Any) -> Any:
        async def awaited() -> Any:
            return await value

        return self._runner.run(awaited()) if inspect.isawaitable(value) else value

    def items(self, stream: Any) -> Iterator[Any]:
        while (item := self.get(anext(stream, None))) is not None:
            yield item

    def leave(self, stream: Any) -> None:
        self.get(stream.aclose())

    def end(self) -> None:
        for client in self._opened:
            self.get(client.aclose())
        self._runner.close()
