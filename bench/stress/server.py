"""A server in a child process that answers each prompt with the prompt itself, as one response or as a stream.

With `/delay` in the model id, it answers after up to 20 ms. With `/throttle`, it refuses one request in ten.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
import subprocess
import sys
import time
from binascii import crc32
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import Quota, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE = {"inputTokens": 10, "outputTokens": 10, "totalTokens": 20}
MODEL = "us.amazon.nova-lite-v1:0"
ROUTE = Route(MODEL, "us-east-1", "", "amazon.nova-lite-v1:0", "geographic")


def reserved(quota: Quota) -> float:
    """Return the number of tokens that are now reserved for calls on the model of these stories."""
    now = time.monotonic()
    return quota.ledger(ROUTE, now).snapshot(now).outstanding


@contextmanager
def server() -> Iterator[str]:
    """Run the server during the block, and yield its URL."""
    with subprocess.Popen([sys.executable, "-m", "stress.server"], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None  # noqa: S101 - the process was started with a pipe
            yield f"http://127.0.0.1:{int(child.stdout.readline())}"
        finally:
            child.kill()


def unary(text: str) -> bytes:
    body = {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": USAGE,
        "metrics": {"latencyMs": 1},
    }
    return http(json.dumps(body).encode(), "application/json")


def stream(text: str) -> bytes:
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)] or [""]
    frames = [frame("messageStart", {"role": "assistant"})]
    frames += [frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}}) for piece in pieces]
    frames += [frame("contentBlockStop", {"contentBlockIndex": 0}), frame("messageStop", {"stopReason": "end_turn"})]
    frames.append(frame("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}}))
    return http(b"".join(frames), "application/vnd.amazon.eventstream")


def throttle() -> bytes:
    body = b'{"message": "Too many requests, please wait before trying again."}'
    return http(body, "application/json", "429 Too Many Requests", "x-amzn-ErrorType: ThrottlingException\r\n")


def http(body: bytes, kind: str, status: str = "200 OK", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def frame(name: str, body: dict[str, Any]) -> bytes:
    headers = b"".join(
        struct.pack("!B", len(key)) + key.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for key, value in ((":message-type", "event"), (":event-type", name), (":content-type", "application/json"))
    )
    payload = json.dumps(body).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", crc32(prelude)) + headers + payload
    return message + struct.pack("!I", crc32(message))


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    dice = random.Random(1)  # noqa: S311 - moments, not secrets
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(int(line[15:]) for line in head.lower().splitlines() if line.startswith("content-length:"))
            text = json.loads(await reader.readexactly(length))["messages"][0]["content"][0]["text"]
            await asyncio.sleep(dice.uniform(0.0, 0.02) if "delay" in text else 0.0)
            refused = "throttle" in text and dice.random() < 0.1
            whole = throttle() if refused else stream(text) if "/converse-stream " in head else unary(text)
            writer.write(whole)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve() -> None:
    listening = await asyncio.start_server(_talk, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
