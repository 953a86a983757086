"""What a thousand asyncio tasks cost while they wait for quota, and whether they are served in order."""

from __future__ import annotations

import asyncio
import time

from aws_bedrock_inference.adrive import AsyncDriver
from aws_bedrock_inference.call import Call, Estimate, Outcome, Route, Usage
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.policies import Quota, standard

TASKS, RPM, SECONDS = 1000, 600, 20.0


async def main() -> None:
    served: list[int] = []

    async def service(call: Call) -> Outcome:
        served.append(int(call.params["turn"]))
        return Outcome(usage=Usage(10, 10))

    driver = AsyncDriver(service)
    step = standard(Quota(rpm=RPM, tpm=6e6)).around(send, time.monotonic)
    route = Route("anthropic.claude-3-sonnet-20240229-v1:0", "us-east-1")
    tasks = [
        asyncio.create_task(
            driver.run(step(Call("converse", {"turn": turn}, route, Estimate(10, 10), arrived=time.monotonic())))
        )
        for turn in range(TASKS)
    ]
    await asyncio.sleep(1.0)
    cpu, wall, before = time.process_time(), time.monotonic(), len(served)
    await asyncio.sleep(SECONDS)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    print(f"{TASKS:,} tasks waiting on {RPM} requests a minute for {wall:.0f} s:")
    print(f"  CPU {cpu / wall:.2%} of a core (goal: under 2 %)")
    print(f"  served {len(served) - before} in {wall:.0f} s, in order: {served == sorted(served)}")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
