"""Measure the cost of asyncio tasks that wait for quota: CPU, memory, and whether they are served in order.

All tasks make a call through the standard pipeline at the same time. Calls that are sent immediately are not counted.
Memory is measured (with tracemalloc) when all tasks wait. The column `(bare)` contains the memory of the same number of
bare tasks, which wait for a future. CPU is the time of the whole process afterwards, while the quota serves some of the
tasks.
"""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Call, Estimate, Outcome, Route, Usage
from aws_bedrock_inference.drivers.asynchronous import AsyncDriver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.policies import Quota, standard

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

SECONDS = 20.0
ROUTE = Route("anthropic.claude-3-sonnet-20240229-v1:0", "us-east-1")
MEGABYTE = 1e6


async def standing(count: int, new: Callable[[int], Coroutine[Any, Any, object]]) -> tuple[list[Any], float]:
    """Start this number of tasks. Return the tasks, and the number of bytes that they use while they wait."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tasks = [asyncio.create_task(new(turn)) for turn in range(count)]
    await asyncio.sleep(0.1)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return tasks, taken


async def ended(tasks: list[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def bare(count: int) -> float:
    loop = asyncio.get_running_loop()

    async def wait(_: int) -> None:
        await loop.create_future()

    tasks, taken = await standing(count, wait)
    await ended(tasks)
    return taken


async def measure(count: int, rpm: int, goals: str) -> None:
    served: list[int] = []

    async def service(call: Call) -> Outcome:
        served.append(int(call.params["turn"]))
        return Outcome(usage=Usage(10, 10))

    driver = AsyncDriver(service)
    step = standard(Quota(rpm=rpm, tpm=6e6)).around(send, time.monotonic)

    async def one(turn: int) -> Outcome:
        call = Call("converse", {"turn": turn}, ROUTE, Estimate(10, 10), arrived=time.monotonic())
        return await driver.run(step(call))

    floor = await bare(count)
    tasks, taken = await standing(count, one)
    await asyncio.sleep(1.0)
    cpu, wall, before = time.process_time(), time.monotonic(), len(served)
    await asyncio.sleep(SECONDS)
    cpu, wall, went = time.process_time() - cpu, time.monotonic() - wall, len(served) - before
    print(
        f"  {count:>7,}{rpm:>8,}{cpu / wall:>9.2%}{went:>8,}{cpu / went * 1e6:>10.0f}{served == sorted(served)!s:>10}"
        f"{taken / count:>9,.0f}{floor / count:>8,.0f}{taken / MEGABYTE:>9.1f}   {goals}",
        flush=True,
    )
    await ended(tasks)


async def main() -> None:
    print(
        f"Tasks that wait for a quota of requests a minute, over {SECONDS:.0f} s\n"
        "    tasks     rpm      CPU  served us/served  in order  bytes each (bare)   all, MB   goals"
    )
    await measure(1_000, 600, "CPU under 2 %")
    await measure(10_000, 600, "CPU under 5 %, under 100 MB")
    await measure(10_000, 6_000, "")


if __name__ == "__main__":
    asyncio.run(main())
