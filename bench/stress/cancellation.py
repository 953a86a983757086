"""Cancel 10,000 calls at random moments. Afterwards no quota may be reserved, no call may wait, and no connection may
be open.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from pathlib import Path

from aws_bedrock_inference import AsyncBedrockClient, Quota
from stress.server import MODEL, reserved, server

CALLS, AT_ONCE = 10_000, 200


def sockets() -> int:
    """Return the number of open sockets in this process."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of the directory itself
            found += str(entry.readlink()).startswith("socket:")
    return found


async def trial(url: str) -> tuple[int, list[str]]:
    dice = random.Random(7)  # noqa: S311 - moments, not secrets
    quota = Quota(rpm=60_000, tpm=6e7, concurrency=AT_ONCE // 2)
    ended, before = 0, sockets()
    wrong: list[str] = []
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
    left = reserved(quota)
    if left or quota.waiting():
        wrong.append(f"left: {left} tokens, {quota.waiting()} waiting")
    await client.aclose()
    await asyncio.sleep(0.1)
    if sockets() > before:
        wrong.append(f"{sockets() - before} sockets open")
    return ended, wrong


def main() -> None:
    with server() as url:
        ended, wrong = asyncio.run(trial(url))
    detail = f"{ended:,} ended before the cancellation" + (f"; {wrong[0]}" if wrong else "")
    print(json.dumps({"trials": CALLS, "wrong": len(wrong), "detail": detail}))


if __name__ == "__main__":
    main()
