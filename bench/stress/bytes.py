"""Break the connection after each byte of an answer, by FIN and by RST. The client must raise an exception of this
package or return the complete answer. The next call of the client must receive its own answer.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from typing import Any

from aws_bedrock_inference import BedrockClient, BedrockError, Pipeline
from stress.server import MODEL, stream, unary

TEXT = "The answer, in a few words."


class Cutter:
    """A server that ends the first answer of each connection after `self.at` bytes. Later answers are complete."""

    def __init__(self) -> None:
        self.at, self.whole, self.reset = 0, b"", False
        self._cut_next = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, whole: bytes, at: int, *, reset: bool) -> None:
        self.whole, self.at, self.reset, self._cut_next = whole, at, reset, True

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client:
            while request(client):
                if not self._cut_next:
                    client.sendall(unary("own"))
                    continue
                self._cut_next = False
                client.sendall(self.whole[: self.at])
                if self.reset:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return


def request(client: socket.socket) -> bool:
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            part = client.recv(65536)
            if not part:
                return False
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < length:
            body += client.recv(65536)
    except OSError:
        return False
    return True


def trial(client: BedrockClient, *, streamed: bool, complete: bool) -> str:
    try:
        got: Any = "".join(client.invoke_stream("x")) if streamed else client.invoke("x").text
    except BedrockError:
        got = None
    except Exception as error:  # noqa: BLE001 - a result
        return f"raw {type(error).__name__}"
    if got is not None and got != TEXT:
        return "a truncated answer as a complete one"
    if got is None and complete:
        return "a complete answer was refused"
    return "" if client.invoke("y").text == "own" else "another call's answer"


def main() -> None:
    cutter, wrong, trials = Cutter(), [], 0
    client = BedrockClient(MODEL, endpoint_url=cutter.url, region_name="us-east-1", pipeline=Pipeline())
    for streamed, whole in ((False, unary(TEXT)), (True, stream(TEXT))):
        for reset in (False, True):
            for at in range(len(whole) + 1):
                cutter.arm(whole, at, reset=reset)
                end = trial(client, streamed=streamed, complete=at == len(whole) and not reset)
                trials += 1
                if end:
                    wrong.append(f"{end} at byte {at} of {'a stream' if streamed else 'an answer'}")
    detail = wrong[0] if wrong else "FIN and RST at each byte"
    print(json.dumps({"trials": trials, "wrong": len(wrong), "detail": detail}))


if __name__ == "__main__":
    main()
