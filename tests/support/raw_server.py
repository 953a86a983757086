"""A server that a test writes byte by byte, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from support.wire import Received, _read, _shut

if TYPE_CHECKING:
    from collections.abc import Callable


class Peer:
    """One accepted connection."""

    def __init__(self, client: socket.socket, number: int, ended: threading.Event) -> None:
        self.socket = client
        self.number = number
        self._incoming = client.makefile("rb")
        self._ended = ended

    def request(self) -> Received:
        """Read the next request; the connection's end ends the serving."""
        received = _read(self._incoming, self.number)
        if received is None:
            raise ConnectionError("the client has gone")
        return received

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def drip(self, data: bytes, *, every: float = 0.02) -> None:
        """Send the bytes one by one, for 60 s at most: a client that hangs is to fail, not to hang the tests."""
        for place in range(len(data)):
            self.send(data[place : place + 1])
            if self._ended.wait(every):
                raise ConnectionError("the test has ended")

    def hold(self) -> None:
        """Keep the connection open until the test ends."""
        self._ended.wait(60)


class RawServer:
    """Runs `serve(peer)` in a thread for each connection."""

    def __init__(self, serve: Callable[[Peer], None], *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._serve = serve
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.connections = 0
        self._ended = threading.Event()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        _shut(self._listener)
        self._listener.close()
        for client in self._open:
            _shut(client)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                thread = threading.Thread(target=self._run, args=(client, self.connections))
                self._threads.append(thread)
                self.connections += 1
                thread.start()

    def _run(self, client: socket.socket, number: int) -> None:
        with client:
            peer = Peer(client, number, self._ended)
            with suppress(OSError), peer._incoming:
                self._serve(peer)
            _shut(client)


def prompt_of(received: Received) -> str:
    """Return the text of a Converse request's first message."""
    text: str = json.loads(received.body)["messages"][0]["content"][0]["text"]
    return text


def reply(text: str) -> dict[str, Any]:
    """Return an answer of Converse with the text `text`."""
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "metrics": {"latencyMs": 1},
    }


def text_of(outcome: Any) -> str | None:
    """Return the text of an outcome's answer; None if it is a fault."""
    if outcome.fault is not None:
        return None
    text: str = outcome.value["output"]["message"]["content"][0]["text"]
    return text
