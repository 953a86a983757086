"""Call servers that discard packets, stop in the middle of an answer, or send it byte by byte. Each call must end at
its deadline, with the blocking and with the asynchronous client.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from typing import TYPE_CHECKING

from aws_bedrock_inference import AsyncBedrockClient, BedrockClient, BedrockError
from stress.server import MODEL, stream, unary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE, GRACE = 1.0, 1.0
DRIP = 0.05


def nothing(_: str) -> Iterator[bytes]:
    yield from ()


def half(text: str) -> Iterator[bytes]:
    yield unary(text)[:150]


def drip(text: str) -> Iterator[bytes]:
    for byte in unary(text):
        yield bytes([byte])


def headers(_: str) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-More: 1\r\n"


def informational(_: str) -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n"


def chunks(_: str) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"0"


def half_stream(text: str) -> Iterator[bytes]:
    yield stream(text)[:400]


WAYS: list[Callable[[str], Iterator[bytes]]] = [nothing, half, drip, headers, informational, chunks, half_stream]


class Peer:
    """A server that begins to answer in one of these ways, and never completes the answer."""

    def __init__(self, way: Callable[[str], Iterator[bytes]]) -> None:
        self._way = way
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        client.recv(65536)
        try:
            for part in self._way("x" * 300):
                client.sendall(part)
                time.sleep(DRIP)
            time.sleep(60.0)
        except OSError:
            pass


def late(url: str, *, streamed: bool) -> float:
    client = BedrockClient(MODEL, endpoint_url=url, region_name="us-east-1", timeout=DEADLINE)
    started = time.monotonic()
    try:
        if streamed:
            list(client.invoke_stream("x"))
        else:
            client.invoke("x")
    except BedrockError:
        return time.monotonic() - started - DEADLINE
    raise AssertionError("an answer that was never sent")


async def alate(url: str, *, streamed: bool) -> float:
    async with AsyncBedrockClient(MODEL, endpoint_url=url, region_name="us-east-1", timeout=DEADLINE) as client:
        started = time.monotonic()
        try:
            if streamed:
                async for _ in client.invoke_stream("x"):
                    pass
            else:
                await client.invoke("x")
        except BedrockError:
            return time.monotonic() - started - DEADLINE
    raise AssertionError("an answer that was never sent")


def main() -> None:
    results: dict[str, float] = {}
    for way in WAYS:
        url = Peer(way).url
        for streamed in (False, True):
            name = f"{way.__name__}{' streamed' if streamed else ''}"
            results[name] = late(url, streamed=streamed)
            results[f"asyncio {name}"] = asyncio.run(alate(url, streamed=streamed))
    wrong = [name for name, over in results.items() if over > GRACE]
    worst = max(results, key=lambda name: results[name])
    detail = f"at most {results[worst]:.2f} s after the deadline ({worst})"
    print(json.dumps({"trials": len(results), "wrong": len(wrong), "detail": detail}))


if __name__ == "__main__":
    main()
