"""Measure the cost of each chunk of a streamed answer, and the delay of its first chunk. This package is compared with
boto3 and aiobotocore.

A child process writes the same frames to every client over loopback, one HTTP chunk for each frame. The cost is the
client's CPU time per chunk of a long answer. The delay is the time from when the server writes the first chunk until
the consumer has it. The clients are measured in turn. Run with the interpreter of .venv-peers.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

from stub import Requests, serve

from aws_bedrock_inference import AsyncBedrockClient, BedrockClient, Quota
from aws_bedrock_inference.simulator import frames

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RUNS, CHUNKS, FIRSTS = 7, 4_000, 200
REGION = "us-east-1"
MODEL = "anthropic.claude-3-sonnet-20240229-v1:0"
PIECE = "Short waves scatter more. "
LONG, SHORT = "long", "short"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n"
    b"x-amzn-RequestId: 01234567-89ab-cdef-0123-456789abcdef\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def delta(text: str) -> bytes:
    return frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})


def frame(name: str, payload: Any) -> bytes:
    data = frames.event(name, frames.padded(json.dumps(payload).encode()))
    return b"%x\r\n%b\r\n" % (len(data), data)


START = frame("messageStart", {"role": "assistant"})
USAGE = {"inputTokens": 9, "outputTokens": 9, "totalTokens": 18}
END = b"".join(
    (
        frame("contentBlockStop", {"contentBlockIndex": 0}),
        frame("messageStop", {"stopReason": "end_turn"}),
        frame("metadata", {"usage": USAGE, "metrics": {"latencyMs": 9}}),
        b"0\r\n\r\n",
    )
)


class Stub(Requests):
    """A server that answers with a long stream, or with a stream whose first chunk contains the time at which it was
    written.
    """

    def __init__(self) -> None:
        super().__init__()
        self._long = HEAD + START + delta(PIECE) * CHUNKS + END

    def answer(self, body: bytes) -> None:
        if LONG.encode() in body:
            self.transport.write(self._long)
        else:
            self.transport.write(HEAD + START)
            asyncio.get_running_loop().call_later(0.002, self._first)

    def _first(self) -> None:
        self.transport.write(delta(repr(time.monotonic())))
        asyncio.get_running_loop().call_later(0.002, self.transport.write, END)


def asked(prompt: str) -> dict[str, Any]:
    return {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": prompt}]}]}


def text_of(event: dict[str, Any]) -> str:
    text: str = event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
    return text


def blocking(open_stream: Callable[[str], Any]) -> Callable[[str], tuple[int, float]]:
    def read(prompt: str) -> tuple[int, float]:
        """Read a stream. Return the number of chunks and the delay of the first chunk."""
        count, late = 0, 0.0
        for event in open_stream(prompt):
            if text := text_of(event):
                late = late or (time.monotonic() - float(text) if prompt == SHORT else 1.0)
                count += 1
        return count, late

    return read


def awaited(open_stream: Callable[[str], Awaitable[Any]], runner: asyncio.Runner) -> Callable[[str], tuple[int, float]]:
    async def reading(prompt: str) -> tuple[int, float]:
        count, late = 0, 0.0
        async for event in await open_stream(prompt):
            if text := text_of(event):
                late = late or (time.monotonic() - float(text) if prompt == SHORT else 1.0)
                count += 1
        return count, late

    return lambda prompt: runner.run(reading(prompt))


def measured(ways: dict[str, Callable[[str], tuple[int, float]]]) -> list[tuple[str, float, float]]:
    """Return, for each client, the microseconds of CPU per chunk and the milliseconds until the first chunk."""
    costs: dict[str, list[float]] = {name: [] for name in ways}
    delays: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(RUNS + 1):
        for name, read in ways.items():
            began = time.process_time()
            count, _ = read(LONG)
            if count != CHUNKS:
                raise AssertionError(f"{name} returned {count} of {CHUNKS} chunks")
            if turn:
                costs[name].append((time.process_time() - began) / CHUNKS * 1e6)
    for _ in range(FIRSTS):
        for name, read in ways.items():
            delays[name].append(read(SHORT)[1] * 1e3)
    return [(name, median(costs[name]), median(delays[name])) for name in ways]


def show(rows: list[tuple[str, float, float]]) -> None:
    print(f"{'':34}{'us a chunk':>12}{'of theirs':>11}{'first chunk, ms':>17}")
    theirs = rows[-1][1]
    for name, cost, delay in rows:
        print(f"{name:34}{cost:12.1f}{cost / theirs:11.2f}{delay:17.2f}")


def main() -> None:
    os.environ |= {"AWS_ACCESS_KEY_ID": "AKIDBENCH", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": REGION}
    import boto3
    from aiobotocore.session import get_session

    child = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{child.stdout.readline().strip() if child.stdout else ''}"
    quota = Quota(rpm=1e9, tpm=1e12)
    try:
        with BedrockClient(MODEL, endpoint_url=url, quota=quota) as ours, asyncio.Runner() as runner:
            theirs = boto3.client("bedrock-runtime", endpoint_url=url)
            show(
                measured(
                    {
                        "invoke_stream(on_interrupt=…)": blocking(
                            lambda prompt: ours.invoke_stream(prompt, on_interrupt="continue").events
                        ),
                        "converse_stream": blocking(lambda prompt: ours.converse_stream(**asked(prompt))["stream"]),
                        f"boto3 {version('boto3')}": blocking(
                            lambda prompt: theirs.converse_stream(**asked(prompt))["stream"]
                        ),
                    }
                )
            )
            mine = AsyncBedrockClient(MODEL, endpoint_url=url, quota=quota)
            opened = get_session().create_client("bedrock-runtime", endpoint_url=url)
            other = runner.run(opened.__aenter__())

            async def ours_async(prompt: str) -> Any:
                return (await mine.converse_stream(**asked(prompt)))["stream"]

            async def theirs_async(prompt: str) -> Any:
                return (await other.converse_stream(**asked(prompt)))["stream"]

            show(
                measured(
                    {
                        "AsyncBedrockClient": awaited(ours_async, runner),
                        f"aiobotocore {version('aiobotocore')}": awaited(theirs_async, runner),
                    }
                )
            )
            runner.run(mine.aclose())
            runner.run(opened.__aexit__(None, None, None))
    finally:
        child.terminate()


if __name__ == "__main__":
    asyncio.run(serve(Stub)) if sys.argv[1:] == ["serve"] else main()
