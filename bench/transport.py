"""Measure the cost of one complete Converse call over loopback, in microseconds of CPU time and of elapsed time. This
package is compared with boto3, aiobotocore and litellm.

Every client calls the same server, a child process that answers with the same bytes in one write. The rows of one table
are measured in turn, so that a busy machine affects all clients equally. Each row is the median of its runs, and the
spread is from the fastest to the slowest run. litellm runs after the other clients and makes fewer calls, because the
modules that it imports slow down all later calls. Run with the interpreter of .venv-peers.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import AsyncExitStack, ExitStack
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

from stub import Requests, serve

from aws_bedrock_inference import AsyncBedrockClient, BedrockClient, Quota

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RUNS, CALLS, LITELLM_CALLS, IN_FLIGHT = 5, 2_000, 100, 32
REGION = "us-east-1"
MODEL = "anthropic.claude-3-sonnet-20240229-v1:0"
PARAMS: dict[str, Any] = {
    "modelId": MODEL,
    "messages": [{"role": "user", "content": [{"text": "Why is the sky blue? " * 10}]}],
    "system": [{"text": "Be brief."}],
    "inferenceConfig": {"maxTokens": 400, "temperature": 0.2},
}
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Because of Rayleigh scattering. " * 20}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 60, "outputTokens": 100, "totalTokens": 160},
    "metrics": {"latencyMs": 1234},
}
UNLIMITED = 1_000_000_000
BUDGETS = {"boto3": 0.7, "aiobotocore": 0.4}
HEAVY = ("boto3", "botocore", "urllib3", "aiohttp", "asyncio", "click", "rich", "granian")

Runs = list[tuple[float, float]]


class Stub(Requests):
    """A server that answers every request with the same bytes, in one write."""

    def __init__(self) -> None:
        super().__init__()
        body = json.dumps(ANSWER).encode()
        self._answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n"
            b"x-amzn-RequestId: 01234567-89ab-cdef-0123-456789abcdef\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )

    def answer(self, body: bytes) -> None:  # noqa: ARG002 - all get the same
        self.transport.write(self._answer)


def blocking(ways: dict[str, Callable[[], object]]) -> dict[str, Runs]:
    runs: dict[str, Runs] = {name: [] for name in ways}
    for turn in range(RUNS + 1):
        for name, call in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(CALLS):
                call()
            if turn:
                runs[name].append(_each(cpu, wall, CALLS))
    return runs


async def in_flight(ways: dict[str, Callable[[], Awaitable[object]]], calls: int) -> dict[str, Runs]:
    async def work(call: Callable[[], Awaitable[object]], turns: Any) -> None:
        for _ in turns:
            await call()

    runs: dict[str, Runs] = {name: [] for name in ways}
    for turn in range(RUNS + 1):
        for name, call in ways.items():
            turns = iter(range(calls))
            cpu, wall = time.process_time(), time.perf_counter()
            await asyncio.gather(*(work(call, turns) for _ in range(IN_FLIGHT)))
            if turn:
                runs[name].append(_each(cpu, wall, calls))
    return runs


def _each(cpu: float, wall: float, calls: int) -> tuple[float, float]:
    return (time.process_time() - cpu) / calls * 1e6, (time.perf_counter() - wall) / calls * 1e6


def measure_blocking(url: str) -> dict[str, Runs]:
    import boto3

    with ExitStack() as opened:
        ours = opened.enter_context(BedrockClient(MODEL, endpoint_url=url, quota=Quota(rpm=UNLIMITED, tpm=UNLIMITED)))
        theirs = boto3.client("bedrock-runtime", endpoint_url=url)
        opened.callback(theirs.close)
        return blocking(
            {
                "BedrockClient": lambda: ours.converse(**PARAMS),
                f"boto3 {version('boto3')}": lambda: theirs.converse(**PARAMS),
            }
        )


async def measure_in_flight(url: str) -> dict[str, Runs]:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    async with AsyncExitStack() as opened:
        ours = await opened.enter_async_context(
            AsyncBedrockClient(MODEL, endpoint_url=url, quota=Quota(rpm=UNLIMITED, tpm=UNLIMITED))
        )
        config = AioConfig(max_pool_connections=IN_FLIGHT)
        client = get_session().create_client("bedrock-runtime", endpoint_url=url, config=config)
        theirs = await opened.enter_async_context(client)
        runs = await in_flight(
            {
                "AsyncBedrockClient": lambda: ours.converse(**PARAMS),
                f"aiobotocore {version('aiobotocore')}": lambda: theirs.converse(**PARAMS),
            },
            CALLS,
        )
    return runs | await in_flight(litellms(url), LITELLM_CALLS)


def litellms(url: str) -> dict[str, Callable[[], Awaitable[object]]]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise it fetches a list of prices
    try:
        import litellm
    except ImportError:
        return {}
    litellm.suppress_debug_info = True
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why is the sky blue? " * 10}]

    def call() -> Awaitable[object]:
        return litellm.acompletion(  # type: ignore[no-any-return, unused-ignore]
            model=f"bedrock/converse/{MODEL}",
            messages=messages,
            max_tokens=400,
            temperature=0.2,
            api_base=f"{url}/model/{MODEL}/converse",
        )

    return {f"litellm {version('litellm')}": call}


def table(title: str, rows: dict[str, Runs]) -> list[str]:
    """Print the rows compared with the first row, which is this package. Return the values that exceed their budget."""
    print(f"\n{title:38} {'CPU':>6} {'spread':>11} {'time':>7} {'ours / theirs':>14}  budget")
    failed = []
    ours = 0.0
    for name, runs in rows.items():
        cpu, wall = ([run[index] for run in runs] for index in (0, 1))
        ours = ours or median(cpu)
        ratio = ours / median(cpu)
        budget = BUDGETS.get(name.split()[0])
        if budget is not None and ratio > budget:
            failed.append(name)
        shown = "" if ratio == 1 else f"{ratio:.2f}"
        spread = f"{min(cpu):.0f}-{max(cpu):.0f}"
        print(f"{name:38} {median(cpu):6.0f} {spread:>11} {median(wall):7.0f} {shown:>14}  {budget or ''}")
    return failed


def imports() -> None:
    script = f"import aws_bedrock_inference, sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    times = []
    loaded = ""
    for _ in range(RUNS):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", script], capture_output=True, text=True, check=True
        )
        line = next(line for line in done.stderr.splitlines() if line.endswith("| aws_bedrock_inference"))
        times.append(int(line.split("|")[1]) / 1000)
        loaded = done.stdout.strip()
    spread = f"{min(times):.1f}-{max(times):.1f}"
    print(
        f"import aws_bedrock_inference: {median(times):.1f} ms ({spread}), budget 60; "
        f"loads {loaded or 'none'} of {HEAVY}"
    )


def main() -> int:
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ |= {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": REGION}
    imports()
    with subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"  # type: ignore[union-attr]
            failed = table("one call after the other, us a call", measure_blocking(url))
            failed += table(f"asyncio, {IN_FLIGHT} in flight, us a call", asyncio.run(measure_in_flight(url)))
        finally:
            server.terminate()
    print(f"\n{'over budget: ' + ', '.join(failed) if failed else 'within budget'}")
    return bool(failed)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve(Stub))
    else:
        sys.exit(main())
