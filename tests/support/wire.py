"""A server that follows a script, over real sockets, and records its requests."""

from __future__ import annotations

import json
import socket
import struct
import threading
from binascii import crc32
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

Act = bytes | tuple[str, bytes]
"""What to do after a request: send bytes; or send them and then `cut`, `reset` or `stall` until the client goes."""


@dataclass(frozen=True)
class Received:
    """One request as it came; header names in lower case. `connection` counts from 0."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Wire:
    """Answers the first request with the first act, and so on; the last act is repeated."""

    def __init__(self, *acts: Act) -> None:
        self._acts = list(acts)
        self.received: list[Received] = []
        self.connections = 0
        self.gone = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            for client in self._open:
                _shut(client)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.append(client)
                thread = threading.Thread(target=self._serve, args=(client, self.connections))
                self._threads.append(thread)
                self.connections += 1
            thread.start()

    def _serve(self, client: socket.socket, number: int) -> None:
        with client, client.makefile("rb") as incoming:
            while True:
                try:
                    received = _read(incoming, number)
                except OSError:
                    received = None
                if received is None:
                    self.gone.set()
                    return
                with self._lock:
                    self.received.append(received)
                    act = self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]
                if not self._perform(client, act):
                    return

    def _perform(self, client: socket.socket, act: Act) -> bool:
        what, data = ("keep", act) if isinstance(act, bytes) else act
        try:
            client.sendall(data)
            if what == "stall":
                client.recv(1)
                self.gone.set()
        except OSError:
            return False
        if what == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif what == "cut":
            _shut(client)
        return what == "keep"


def _shut(client: socket.socket) -> None:
    try:
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _read(incoming: Any, number: int) -> Received | None:
    first = incoming.readline()
    if not first:
        return None
    method, target, _ = first.decode().split(" ", 2)
    headers = {}
    while line := incoming.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return Received(method, target, headers, incoming.read(int(headers.get("content-length", "0"))), number)


def answer(body: Any, *, status: str = "200 OK", close: bool = False, **headers: Any) -> bytes:
    """Return an HTTP answer; `body` as JSON unless it is bytes. Underscores in header names become hyphens."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    known = {"Content-Type": "application/json", "Content-Length": str(len(content)), "x-amzn-RequestId": "request-1"}
    known |= {name.replace("_", "-"): value for name, value in headers.items()}
    if close:
        known["Connection"] = "close"
    return head(status, known) + content


def head(status: str, headers: dict[str, str]) -> bytes:
    return f"HTTP/1.1 {status}\r\n".encode() + b"".join(f"{n}: {v}\r\n".encode() for n, v in headers.items()) + b"\r\n"


STREAM_HEAD = head(
    "200 OK",
    {
        "Content-Type": "application/vnd.amazon.eventstream",
        "Transfer-Encoding": "chunked",
        "x-amzn-RequestId": "request-1",
    },
)


def stream(*frames: bytes, end: bool = True) -> bytes:
    """Return a chunked answer with one chunk a frame; without `end` its body is not closed."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames)
    return STREAM_HEAD + chunks + (b"0\r\n\r\n" if end else b"")


def frame(payload: Any, **headers: str) -> bytes:
    """Return an event-stream frame; `event_type="x"` becomes `:event-type`."""
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    packed = b""
    for name, value in headers.items():
        key = (":" + name.replace("_", "-")).encode()
        packed += struct.pack("!B", len(key)) + key + b"\x07" + struct.pack("!H", len(value)) + value.encode()
    prelude = struct.pack("!II", len(packed) + len(content) + 16, len(packed))
    message = prelude + struct.pack("!I", crc32(prelude)) + packed + content
    return message + struct.pack("!I", crc32(message))


def event(kind: str, payload: Any) -> bytes:
    return frame(payload, message_type="event", event_type=kind, content_type="application/json")


def exception(kind: str, payload: Any) -> bytes:
    return frame(payload, message_type="exception", exception_type=kind, content_type="application/json")


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait without sleeping until `condition` is true; return False after some ten thousand checks."""
    pause = threading.Event()
    return any(condition() or pause.wait(0.001) for _ in range(10_000))
