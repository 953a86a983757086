"""Run the simulator as a separate process.

The process reads the tables of its scenario as one line of JSON from standard input, and writes its URL to standard
output. It ends when standard input is closed, so that it never outlives the process that started it.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - as server.py
import json
import sys

from aws_bedrock_inference.simulator.server import leave, serve


async def _main() -> None:
    tables = json.loads(await asyncio.to_thread(sys.stdin.readline))
    serving = asyncio.create_task(serve(tables, "127.0.0.1", 0, lambda url: print(url, flush=True)))  # noqa: T201
    parent_gone = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait({serving, parent_gone}, return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    await asyncio.wait({serving})


if __name__ == "__main__":
    asyncio.run(_main())
    leave()
