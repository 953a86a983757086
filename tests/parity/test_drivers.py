"""The three drivers behave alike: same calls, sleeps and outcomes for any script of faults."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import FAULTS, OK, ROUTE, World, call, failed

from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.drivers.asynchronous import AsyncDriver
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import Pipeline, send
from aws_bedrock_inference.listeners import Listeners
from aws_bedrock_inference.policies import Breaker, Deadline, Quota, Retry
from aws_bedrock_inference.streaming import collect, stream

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock

SCRIPT = st.lists(
    st.one_of(
        st.builds(lambda tokens: Outcome(value="fine", usage=Usage(100, tokens)), st.integers(0, 500)),
        st.builds(
            lambda fault, hint: failed(replace(fault, retry_after=hint)),
            st.sampled_from(FAULTS),
            st.sampled_from([None, 0.5, 30.0]),
        ),
    ),
    min_size=1,
    max_size=40,
)


class Run:
    """An environment in which a few calls run one after the other, and every observation is recorded."""

    def __init__(self, script: Any, dice: float) -> None:
        self.world = World()
        self.script = iter(script)
        self.dice = dice
        self.log: list[Any] = []
        self.listeners = Listeners()
        self.listeners.add(lambda event: self.log.append(("event", event)))
        self.pipeline = Pipeline(
            Deadline(120.0),
            Retry(chance=lambda: self.dice),
            Breaker(failures=3, window=30.0, recovery=5.0),
            Quota(rpm=120, tpm=60_000),
        )

    def answer(self, one: Any) -> Any:
        self.log.append(("sent", self.world.now, one.arrived, one.deadline))
        return next(self.script, OK)

    def calls(self, clock: Clock) -> Any:
        step = self.pipeline.around(send, clock)
        for _ in range(8):
            yield step(call(arrived=clock(), tokens=300, output=700))


def blocking(script: Any, dice: float) -> Any:
    run = Run(script, dice)
    driver: Any = Driver(run.answer, clock=run.world.clock, sleep=run.world.sleep, listeners=run.listeners)
    driver._wait = lambda effect: run.world.sleep(effect.until - run.world.now)
    outcomes = [driver.run(flow) for flow in run.calls(run.world.clock)]
    return outcomes, run.world.sleeps, run.log


def asynchronous(script: Any, dice: float) -> Any:
    run = Run(script, dice)

    async def answer(one: Any) -> Any:
        return run.answer(one)

    async def sleep(seconds: float) -> None:
        run.world.sleep(seconds)

    async def main() -> Any:
        driver: Any = AsyncDriver(answer, clock=run.world.clock, sleep=sleep, listeners=run.listeners)
        driver._wait = lambda effect: sleep(effect.until - run.world.now)
        return [await driver.run(flow) for flow in run.calls(run.world.clock)]

    return asyncio.run(main()), run.world.sleeps, run.log


def virtual(script: Any, dice: float) -> Any:
    run = Run(script, dice)

    def answer(one: Any, now: float) -> Any:
        run.world.now = now
        return 0.0, run.answer(one)

    driver = VirtualDriver(answer, listeners=run.listeners)
    outcomes = []

    def one_after_the_other() -> Any:
        for flow in run.calls(driver.clock):
            outcome = yield from flow
            outcomes.append(outcome)

    driver.spawn(one_after_the_other())
    driver.run()
    return outcomes, run.log


@given(script=SCRIPT, dice=st.sampled_from([0.0, 0.3, 0.999]))
def test_blocking_and_asyncio_give_the_same_calls_sleeps_and_outcomes(script: Any, dice: float) -> None:
    assert blocking(script, dice) == asynchronous(script, dice)


@given(script=SCRIPT, dice=st.sampled_from([0.0, 0.3, 0.999]))
def test_virtual_time_gives_the_same_calls_and_outcomes(script: Any, dice: float) -> None:
    outcomes, _, log = blocking(script, dice)
    theirs, their_log = virtual(script, dice)
    assert theirs == outcomes
    assert their_log == log


class Source:
    """A stream with scripted events, blocking and asyncio."""

    def __init__(self, events: Any) -> None:
        self.response: dict[str, Any] = {"ResponseMetadata": {}}
        self.events = iter(events)
        self.closed = 0

    def next(self) -> Any:
        event = next(self.events, None)
        if isinstance(event, BaseException):
            raise event
        return event

    def close(self) -> None:
        self.closed += 1


class AsyncSource(Source):
    async def next(self) -> Any:
        return super().next()


START = {"messageStart": {"role": "assistant"}}
TEXT = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "hello"}}}
STOP = {"messageStop": {"stopReason": "end_turn"}}
USAGE = {"metadata": {"usage": {"inputTokens": 7, "outputTokens": 1}, "metrics": {"latencyMs": 1}}}
STREAMS = st.lists(
    st.lists(st.sampled_from([START, TEXT, STOP, USAGE, *FAULTS]), max_size=6) | st.just([START, TEXT, STOP, USAGE]),
    min_size=1,
    max_size=5,
)


def stream_blocking(scripts: Any, step: Any, take: int) -> Any:
    world, sources = World(), []
    scripts = iter(scripts)

    def answer(_: Any) -> Any:
        sources.append(Source(next(scripts, [START, TEXT, STOP, USAGE])))
        return Outcome(value=sources[-1])

    driver: Any = Driver(answer, clock=world.clock, sleep=world.sleep)
    driver._wait = lambda effect: world.sleep(effect.until - world.now)
    pipeline = Pipeline(Retry(chance=world.chance), Breaker(), Quota(tpm=600_000))
    answering = driver.stream(pipeline.around(step, world.clock)(call()._replace(operation="converse_stream")))
    items = []
    for item in answering:
        items.append(item)
        if len(items) == take:
            answering.close()
    return items, answering.outcome._replace(value=None), world.sleeps, [source.closed > 0 for source in sources]


def stream_asynchronous(scripts: Any, step: Any, take: int) -> Any:
    world, sources = World(), []
    scripts = iter(scripts)

    async def answer(_: Any) -> Any:
        sources.append(AsyncSource(next(scripts, [START, TEXT, STOP, USAGE])))
        return Outcome(value=sources[-1])

    async def sleep(seconds: float) -> None:
        world.sleep(seconds)

    async def main() -> Any:
        driver: Any = AsyncDriver(answer, clock=world.clock, sleep=sleep)
        driver._wait = lambda effect: sleep(effect.until - world.now)
        pipeline = Pipeline(Retry(chance=world.chance), Breaker(), Quota(tpm=600_000))
        answering = driver.stream(pipeline.around(step, world.clock)(call()._replace(operation="converse_stream")))
        items = []
        async for item in answering:
            items.append(item)
            if len(items) == take:
                await answering.aclose()
        return items, answering.outcome._replace(value=None), world.sleeps, [source.closed > 0 for source in sources]

    return asyncio.run(main())


@given(scripts=STREAMS, take=st.integers(1, 8))
def test_streams_give_the_same_items_and_outcomes_and_close_what_they_opened(scripts: Any, take: int) -> None:
    for step in (stream, collect):
        ours = stream_blocking(scripts, step, take)
        assert ours == stream_asynchronous(scripts, step, take)
        assert all(ours[-1])


def collected_blocking(source: Source) -> Any:
    driver: Any = Driver(lambda _: Outcome(value=source))
    return driver.run(collect(call()._replace(operation="converse_stream")))


def collected_asynchronous(source: Source) -> Any:
    async def main() -> Any:
        opened = []

        async def answer(_: Any) -> Any:
            opened.append(AsyncSource(source.events))
            return Outcome(value=opened[0])

        try:
            return await AsyncDriver(answer).run(collect(call()._replace(operation="converse_stream")))
        finally:
            source.closed = opened[0].closed

    return asyncio.run(main())


@pytest.mark.parametrize("run", [collected_blocking, collected_asynchronous])
def test_a_stream_read_to_its_end_is_closed_whatever_happens(run: Any) -> None:
    source = Source([START, TEXT, STOP, USAGE])
    assert run(source).value["output"]["message"]["content"] == [{"text": "hello"}]
    assert source.closed
    source = Source([START, TEXT, KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        run(source)
    assert source.closed


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_during_a_wait_leaves_nothing_behind(interruption: type[BaseException], world: World) -> None:
    quota = Quota(rpm=12)  # one call immediately
    step = quota.around(send, world.clock)
    driver: Any = Driver(lambda _: OK, clock=world.clock)
    driver.run(step(call()))

    def strike(_effect: Any) -> None:
        raise interruption

    driver._wait = strike
    with pytest.raises(interruption):
        driver.run(step(call()))
    world.now = 6.0
    assert driver.run(step(call())) == OK


def test_cancelling_a_task_in_the_queue_lets_the_next_one_in(world: World) -> None:
    async def main() -> None:
        quota = Quota(tpm=60_000)
        step = quota.around(send, world.clock)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        async def service(one: Any) -> Any:
            return await answer if one.estimate.input_tokens == 3000 else OK

        driver: Any = AsyncDriver(service, clock=world.clock)
        under_way = asyncio.create_task(driver.run(step(call(tokens=3000, output=0))))
        await asyncio.sleep(0)
        impatient = asyncio.create_task(driver.run(step(call(tokens=4000, output=0, arrived=1.0))))
        patient = asyncio.create_task(driver.run(step(call(tokens=500, output=0, arrived=2.0))))
        await asyncio.sleep(0)
        assert quota.waiting(ROUTE) == 2
        impatient.cancel()
        assert await patient == OK
        with pytest.raises(asyncio.CancelledError):
            await impatient
        answer.set_result(OK)
        assert await under_way == OK

    asyncio.run(main())


def test_a_thread_is_woken_by_another_thread_s_refund() -> None:
    world = World()
    quota = Quota(tpm=6000)
    step = quota.around(send, world.clock)
    release, sent = threading.Event(), threading.Event()

    def service(one: Any) -> Any:
        if one.estimate.input_tokens == 5500:
            sent.set()
            release.wait()
        return Outcome(usage=Usage(0, 0))

    driver: Any = Driver(service, clock=world.clock)
    holder = threading.Thread(target=lambda: driver.run(step(call(tokens=5500, output=0))))
    holder.start()
    sent.wait()
    queued = threading.Event()
    driver.listeners.add(lambda _event: queued.set())
    outcomes = []
    waiter = threading.Thread(target=lambda: outcomes.append(driver.run(step(call(tokens=5000, output=0)))))
    waiter.start()
    queued.wait()
    release.set()
    waiter.join()
    holder.join()
    assert outcomes[0].fault is None
