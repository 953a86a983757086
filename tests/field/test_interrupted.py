"""Ctrl-C, a cancellation or an exit at each effect of a call: reservations are released, and no part looks complete."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import pytest
from support.doubles import INTERNAL, OK, ROUTE, World, call, failed
from support.wire import eventually

from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.drivers import blocking, source
from aws_bedrock_inference.drivers.asynchronous import AsyncDriver
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.flow import Pipeline, send
from aws_bedrock_inference.policies import Breaker, Deadline, Quota, Retry
from aws_bedrock_inference.streaming import stream

TEXT = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "hello"}}}
INTERRUPTIONS = [KeyboardInterrupt, SystemExit, asyncio.CancelledError, MemoryError]


class Source:
    """A stream that is interrupted after some events, or never ends."""

    def __init__(self, world: Struck) -> None:
        self.response: dict[str, Any] = {"ResponseMetadata": {}}
        self.world = world
        self.closed = False

    def next(self) -> Any:
        self.world.effect()
        return TEXT

    def close(self) -> None:
        self.closed = True


class AsyncSource(Source):
    async def next(self) -> Any:
        return super().next()


class Struck(World):
    """An environment in which the effect number `when` raises."""

    def __init__(self, when: int, interruption: type[BaseException]) -> None:
        super().__init__()
        self.when = when
        self.interruption = interruption
        self.effects = 0
        self.sent = 0
        self.sources: WeakSet[Source] = WeakSet()  # one that was dropped is gone
        self.quota = Quota(rpm=60, tpm=60_000, concurrency=1)
        self.pipeline = Pipeline(Deadline(), Retry(chance=self.chance), Breaker(), self.quota)

    def effect(self) -> None:
        self.effects += 1
        if self.effects == self.when:
            raise self.interruption

    def sleep(self, seconds: float) -> None:
        self.effect()
        super().sleep(seconds)

    def answer(self, one: Any) -> Outcome:
        self.effect()
        self.sent += 1
        if self.sent <= 2:
            return failed(INTERNAL)
        if one.operation == "converse":
            return OK
        opened = AsyncSource(self) if self.asynchronous else Source(self)
        self.sources.add(opened)
        return Outcome(opened)

    asynchronous = False

    def is_free(self) -> bool:
        """Return whether nothing is reserved, waited for or open."""
        ledger = self.quota.ledger(ROUTE, self.now)
        reserved = ledger.concurrency.in_flight, ledger.snapshot(self.now).outstanding, self.quota.waiting(ROUTE)
        return reserved == (0, 0.0, 0) and all(source.closed for source in self.sources)


def run_blocking(world: Struck, step: Any) -> Any:
    driver = Driver(world.answer, clock=world.clock, sleep=world.sleep)
    driver.listeners.add(lambda _: None)
    flow = world.pipeline.around(step, world.clock)(call(deadline=50.0)._replace(operation=operation(step)))
    return driver.run(flow) if step is send else read(driver.stream(flow))


def read(reading: Any) -> Any:
    items = []
    try:
        for item in reading:
            items.append(item)
            if len(items) == 5:
                reading.close()
    except BaseException:
        assert list(reading) == []
        assert reading.outcome.fault.code == "StreamInterrupted"
        raise
    return reading.outcome


def run_asyncio(world: Struck, step: Any) -> Any:
    world.asynchronous = True

    async def answer(one: Any) -> Outcome:
        return world.answer(one)

    async def sleep(seconds: float) -> None:
        world.sleep(seconds)

    async def main() -> Any:
        driver = AsyncDriver(answer, clock=world.clock, sleep=sleep)
        flow = world.pipeline.around(step, world.clock)(call(deadline=50.0)._replace(operation=operation(step)))
        return await driver.run(flow) if step is send else await aread(driver.stream(flow))

    return asyncio.run(main())


async def aread(reading: Any) -> Any:
    items = []
    try:
        async for item in reading:
            items.append(item)
            if len(items) == 5:
                await reading.aclose()
    except BaseException:
        assert [item async for item in reading] == []
        assert reading.outcome.fault.code == "StreamInterrupted"
        raise
    return reading.outcome


def operation(step: Any) -> str:
    return "converse" if step is send else "converse_stream"


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
@pytest.mark.parametrize("run", [run_blocking, run_asyncio])
@pytest.mark.parametrize("step", [send, stream])
def test_an_interruption_at_each_effect_leaves_nothing_behind(
    run: Any, step: Any, interruption: type[BaseException]
) -> None:
    usual = Struck(0, interruption)
    run(usual, step)
    assert usual.is_free()
    assert usual.effects >= 5
    for when in range(1, usual.effects + 1):
        world = Struck(when, interruption)
        with pytest.raises(interruption):
            run(world, step)
        assert world.is_free()
        assert run(world, step) is not None
        assert world.is_free()


def test_a_cancelled_backoff_returns_its_tokens_to_the_retry_budget() -> None:
    world = Struck(2, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        run_blocking(world, send)
    assert world.sent == 1
    budget = world.pipeline.policies[1].budget  # type: ignore[attr-defined]
    assert budget.available == budget.capacity


def test_ctrl_c_at_any_line_of_the_drivers_leaves_nothing_behind() -> None:
    """The signal comes between two effects, too."""
    lines = Lines()
    while lines.strike():
        world = Struck(0, KeyboardInterrupt)
        with suppress(KeyboardInterrupt), lines:
            run_blocking(world, send)
            reading = Driver(world.answer, clock=world.clock, sleep=world.sleep).stream(
                world.pipeline.around(stream, world.clock)(call(deadline=90.0)._replace(operation="converse_stream"))
            )
            for _ in range(3):
                next(reading)
            reading.close()
        reading = None  # type: ignore[assignment]  # dropped
        assert eventually(world.is_free), f"at {lines.where}"
    assert lines.last > 100


class Lines:
    """Raises KeyboardInterrupt at one line of the drivers after the other, each time that it is entered."""

    files = (blocking.__file__, source.__file__)

    def __init__(self) -> None:
        self.last = self.seen = 0
        self.where = ""

    def strike(self) -> bool:
        """Return whether there was a line to strike at the last time."""
        going_on = self.seen == self.last
        self.last += 1
        self.seen = 0
        return going_on

    def __enter__(self) -> None:
        sys.settrace(self.trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def trace(self, frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in self.files or frame.f_code.co_name == "__del__":
            return None
        if event == "line":
            self.seen += 1
            if self.seen == self.last:
                self.where = f"{frame.f_code.co_name}:{frame.f_lineno}"
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.trace
