"""Measure the time of the complete default pipeline, compared with features of other libraries that do the same. The
send function does nothing.

Each row is the median of nine runs of 20,000 calls, in microseconds of CPU per call, without the time of the send
function itself. The spread is from the fastest to the slowest run.
"""

from __future__ import annotations

import asyncio
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Call, Estimate, Outcome, Route, Usage
from aws_bedrock_inference.drivers.asynchronous import AsyncDriver
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.listeners import Listeners
from aws_bedrock_inference.observed import attempt, next_id, observed
from aws_bedrock_inference.policies import Quota, standard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RUNS, CALLS = 9, 20_000
ROUTE = Route("anthropic.claude-3-sonnet-20240229-v1:0", "us-east-1")
ESTIMATE = Estimate(100, 400, 5.0)
OK = Outcome(value={}, usage=Usage(100, 40))


def a_call(call_id: int = 0) -> Call:
    return Call("converse", {}, ROUTE, ESTIMATE, arrived=time.monotonic(), call_id=call_id)


def blocking(function: Callable[[], object]) -> list[float]:
    def once() -> float:
        started = time.process_time()
        for _ in range(CALLS):
            function()
        return (time.process_time() - started) / CALLS * 1e6

    once()
    return [once() for _ in range(RUNS)]


def asynchronous(function: Callable[[], Awaitable[object]]) -> list[float]:
    async def once() -> float:
        started = time.process_time()
        for _ in range(CALLS):
            await function()
        return (time.process_time() - started) / CALLS * 1e6

    async def all_runs() -> list[float]:
        await once()
        return [await once() for _ in range(RUNS)]

    return asyncio.run(all_runs())


def ours(*, listened: bool = False, watched: bool = False) -> list[tuple[str, list[float]]]:
    """Measure the pipeline with quotas that the calls never reach. If there is a listener, it receives one event for
    each call.
    """
    step = standard(Quota(rpm=6e9, tpm=6e12)).around(attempt(send, time.monotonic), time.monotonic)
    heard: list[object] = []
    listeners = Listeners()
    if listened or watched:
        listeners.add(heard.append, attempts=watched)

    def ended(call: Call, outcome: Outcome) -> None:
        if listeners.heard:
            listeners.call_ended(call, outcome, time.monotonic())
            heard.clear()

    driver = Driver(lambda _: OK, listeners=listeners)

    def call() -> None:
        one = a_call(next_id() if listeners.watched else 0)
        ended(one, driver.run(observed(step(one), one)))

    async def nothing(_: Call) -> Outcome:
        return OK

    adriver = AsyncDriver(nothing, listeners=listeners)

    async def acall() -> None:
        one = a_call(next_id() if listeners.watched else 0)
        ended(one, await adriver.run(observed(step(one), one)))

    def bare() -> None:
        a_call()

    async def abare() -> None:
        a_call()
        await nothing_at_all()

    async def nothing_at_all() -> Outcome:
        return OK

    suffix = ", attempts watched" if watched else ", one listener" if listened else ""
    return [
        (f"this package, blocking{suffix}", less(blocking(call), blocking(bare))),
        (f"this package, asyncio{suffix}", less(asynchronous(acall), asynchronous(abare))),
    ]


def telemetry() -> list[tuple[str, list[float]]]:
    """Measure the time that OpenTelemetry's metrics and spans add to a call, with the real SDK and an exporter that
    does nothing.
    """
    try:
        from opentelemetry.metrics import NoOpMeterProvider
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace import NoOpTracerProvider
    except ImportError:
        return []
    from aws_bedrock_inference.telemetry.otel import OpenTelemetry

    def calls(sink: Callable[[object], None] | None) -> list[float]:
        step = standard(Quota(rpm=6e9, tpm=6e12)).around(attempt(send, time.monotonic), time.monotonic)
        listeners = Listeners()
        if sink is not None:
            listeners.add(sink, attempts=True)
        driver = Driver(lambda _: OK, listeners=listeners)

        def call() -> None:
            one = a_call(next_id() if listeners.watched else 0)
            outcome = driver.run(observed(step(one), one))
            if listeners.heard:
                listeners.call_ended(one, outcome, time.monotonic())

        return blocking(call)

    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    tracers = TracerProvider(shutdown_on_exit=False)
    nobody = calls(None)
    rows = []
    for name, sink in (
        ("metrics, above no listener", OpenTelemetry(tracer_provider=NoOpTracerProvider(), meter_provider=meters)),
        ("spans, above no listener", OpenTelemetry(tracer_provider=tracers, meter_provider=NoOpMeterProvider())),
    ):
        made = sink.sink()
        rows.append((name, less(calls(made), nobody)))
        made.close()
    return rows


def peers() -> list[tuple[str, list[float]]]:
    def nothing() -> Outcome:
        return OK

    rows: list[tuple[str, Callable[[], object]]] = []
    try:
        import tenacity

        rows.append(("tenacity (retry only)", tenacity.retry(stop=tenacity.stop_after_attempt(3))(nothing)))
    except ImportError:
        pass
    try:
        import stamina

        rows.append(("stamina (retry only)", stamina.retry(on=ValueError)(nothing)))
    except ImportError:
        pass
    try:
        import pybreaker

        breaker: Any = pybreaker.CircuitBreaker()
        rows.append(("pybreaker (breaker only)", lambda: breaker.call(nothing)))
    except ImportError:
        pass
    try:
        import limits

        limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
        item = limits.parse("1000000000/minute")

        def limited() -> Outcome:
            limiter.hit(item, "model")
            return nothing()

        rows.append(("limits (fixed window only)", limited))
    except ImportError:
        pass
    bare = blocking(nothing)
    return [(name, less(blocking(function), bare)) for name, function in rows]


def less(measured: list[float], bare: list[float]) -> list[float]:
    floor = median(bare)
    return [value - floor for value in measured]


def main() -> None:
    print(
        f"Overhead a call around an empty send, CPU us, Python {sys.version.split()[0]}; "
        f"median of {RUNS} x {CALLS:,} calls"
    )
    rows = [*ours(), *ours(listened=True), *ours(watched=True), *telemetry(), *peers()]
    for name, values in rows:
        print(f"  {name:42} {median(values):6.2f}   ({min(values):.2f} to {max(values):.2f})")
    print("  goal: at most 5 blocking, 7 asyncio; metrics and logs at most 40")


if __name__ == "__main__":
    main()
