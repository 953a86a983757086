"""Read streams in part and drop them in reference cycles, in threads and tasks that share one quota. When the garbage
collector finds the streams, all reservations must be released.
"""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from typing import Any

from aws_bedrock_inference import AsyncBedrockClient, BedrockClient, Quota
from stress.server import MODEL, reserved, server

THREADS, ROUNDS, TASKS, TURNS = 4, 1500, 8, 200
TEXT = "a text that needs several events " * 3


def drop(stream: Any) -> None:
    cycle: dict[str, Any] = {"stream": stream}
    cycle["itself"] = cycle


def blocking(client: BedrockClient, failures: list[str]) -> None:
    try:
        for number in range(ROUNDS):
            stream = client.invoke_stream(TEXT, max_tokens=50)
            next(iter(stream))
            drop(stream)
            if not number % 10 and client.invoke("whole").text != "whole":
                failures.append("another answer")
    except Exception as error:  # noqa: BLE001 - a result
        failures.append(repr(error))


async def asynchronous(client: AsyncBedrockClient, failures: list[str]) -> None:
    async def task() -> None:
        for _ in range(TURNS):
            stream = client.invoke_stream(TEXT, max_tokens=50)
            async for _ in stream:
                break
            drop(stream)

    ends = await asyncio.gather(*(task() for _ in range(TASKS)), return_exceptions=True)
    failures.extend(repr(end) for end in ends if end is not None)
    await client.aclose()


def outstanding(quota: Quota) -> float:
    """Return the number of tokens that are still reserved after the dropped streams had time to release them."""
    until = time.monotonic() + 20.0
    while True:
        gc.collect()
        left = reserved(quota)
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.05)


def main() -> None:
    gc.set_threshold(50, 5, 5)
    quota = Quota(rpm=6e7, tpm=6e9)
    failures: list[str] = []
    with server() as url:
        client = BedrockClient(MODEL, endpoint_url=url, region_name="us-east-1", quota=quota)
        threads = [threading.Thread(target=blocking, args=(client, failures)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.close()
        twin = AsyncBedrockClient(MODEL, endpoint_url=url, region_name="us-east-1", quota=quota)
        asyncio.run(asynchronous(twin, failures))
    left = outstanding(quota)
    trials = THREADS * ROUNDS + TASKS * TURNS
    detail = f"{left:.0f} tokens still reserved" + (f"; {failures[0]}"[:120] if failures else "")
    print(json.dumps({"trials": trials, "wrong": len(failures) + bool(left), "detail": detail}))


if __name__ == "__main__":
    main()
