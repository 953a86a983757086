"""The two transports behind one face, so that every test can be run through both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from support.doubles import session

from aws_bedrock_inference.transports.asynchronous import AiohttpTransport
from aws_bedrock_inference.transports.blocking import BlockingTransport
from aws_bedrock_inference.transports.endpoint import Endpoint, find_endpoint

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call, Outcome


class Blocking:
    def __init__(self) -> None:
        self._opened: list[BlockingTransport] = []

    def open(self, url: str | Endpoint) -> Any:
        endpoint = url if isinstance(url, Endpoint) else find_endpoint(session(), endpoint_url=url)
        self._opened.append(BlockingTransport(endpoint))
        return self._opened[-1]

    def send(self, transport: Any, call: Call) -> Outcome:
        return transport.send(call)  # type: ignore[no-any-return]

    def next(self, source: Any) -> Any:
        return source.next()

    def end(self) -> None:
        for transport in self._opened:
            transport.close()


class Asyncio:
    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self._opened: list[AiohttpTransport] = []

    def open(self, url: str | Endpoint) -> Any:
        endpoint = url if isinstance(url, Endpoint) else find_endpoint(session(), endpoint_url=url)
        self._opened.append(AiohttpTransport(endpoint))
        return self._opened[-1]

    def send(self, transport: Any, call: Call) -> Outcome:
        return self.runner.run(transport.send(call))  # type: ignore[no-any-return]

    def next(self, source: Any) -> Any:
        return self.runner.run(source.next())

    def end(self) -> None:
        for transport in self._opened:
            self.runner.run(transport.close())
        self.runner.close()
