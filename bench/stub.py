"""The server's side of HTTP for benchmarks. It reads whole requests, and a subclass writes the answers."""

from __future__ import annotations

import asyncio
from typing import Any


class Requests(asyncio.Protocol):
    """Reads requests and calls `answer` with the body of each. `answer` writes the response to `transport`."""

    def __init__(self) -> None:
        self.transport: Any = None
        self._read = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n") + 4) >= 4:
            head = self._read[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self._read) < end + length:
                return
            body, self._read = self._read[end : end + length], self._read[end + length :]
            self.answer(body)

    def answer(self, body: bytes) -> None:
        """Answer one request."""
        raise NotImplementedError


async def serve(protocol: type[Requests]) -> None:
    """Serve on a free port, and print the port."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
