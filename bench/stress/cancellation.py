"""10,000 calls cancelled at random moments: nothing stays reserved, nothing waits, no connection stays open."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from pathlib import Path

from aws_bedrock_inference import AsyncBedrockClient, Quota
from stress.server import MODEL, server

CALLS, AT_ONCE = 10_000, 200


def sockets() -> int:
    return sum("socket:" in os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _exists(fd))


def _exists(fd: str) -> bool:
    return Path(f"/proc/self/fd/{fd}").is_symlink()


async def trial(url: str) -> tuple[int, list[str]]:
    dice, quota, ended, wrong = random.Random(7), Quota(rpm=60_000, tpm=6e7, concurrency=AT_ONCE // 2), 0, []
    before = sockets()
    client = AsyncBedrockClient(MODEL, endpoint_url=url, region_name="us-east-1", quota=quota)

    async def one(number: int) -> None:
        text = f"delay throttle {number}"
        if number % 3:
            reply = await client.invoke(text, max_tokens=50)
            if reply.text != text:
                wrong.append("another answer")
        else:
            got = "".join([piece async for piece in client.invoke_stream(text, max_tokens=50)])
            if got != text:
                wrong.append("another stream")

    for start in range(0, CALLS, AT_ONCE):
        tasks = [asyncio.create_task(one(number)) for number in range(start, start + AT_ONCE)]
        for task in tasks:
            asyncio.get_running_loop().call_later(dice.uniform(0.0, 0.5), task.cancel)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        ended += sum(end is None for end in ends)
        wrong.extend(repr(end)[:100] for end in ends if isinstance(end, Exception))
    now = time.monotonic()
    for pool in quota._ledgers.values():
        state = pool.ledger.snapshot(now)
        if state.outstanding or state.waiting or pool.ledger.concurrency.in_flight:
            wrong.append(f"left: {state.outstanding} tokens, {state.waiting} waiting")
    await client.aclose()
    await asyncio.sleep(0.1)
    if sockets() > before:
        wrong.append(f"{sockets() - before} sockets open")
    return ended, wrong


def main() -> None:
    with server() as url:
        ended, wrong = asyncio.run(trial(url))
    detail = f"{ended:,} had ended before" + (f"; {wrong[0]}" if wrong else "")
    print(json.dumps({"trials": CALLS, "wrong": len(wrong), "detail": detail}))


if __name__ == "__main__":
    main()
