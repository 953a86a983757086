"""Half-read streams and destroyed tasks under the garbage collector, which runs anywhere, also under a lock."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import OK, ROUTE, World, call

from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.drivers.asynchronous import AsyncDriver
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.flow import Pipeline, send
from aws_bedrock_inference.policies import Breaker, Quota, Retry
from aws_bedrock_inference.streaming import collect, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Flow, Step

LIMIT = 60.0  # seconds; generous, since nothing here takes long

TEXT = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "hello"}}}


class Endless:
    """A stream that never ends, and records the thread that closed it."""

    def __init__(self) -> None:
        self.response: dict[str, Any] = {"ResponseMetadata": {}}
        self.closed = threading.Event()
        self.thread = ""

    def next(self) -> Any:
        return TEXT

    def close(self) -> None:
        self.thread = threading.current_thread().name
        self.closed.set()


class AsyncEndless(Endless):
    async def next(self) -> Any:
        return super().next()


class Stalled(AsyncEndless):
    """A stream without any event."""

    async def next(self) -> Any:
        await asyncio.get_running_loop().create_future()


class Holding:
    """A policy that holds its own lock, as a user's policy may."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held = 0
        self.threads: list[str] = []
        self.returned = threading.Event()

    def around(self, step: Step, clock: Clock) -> Step:
        def flow(one: Call) -> Flow:
            with self.lock:
                self.held += 1
            try:
                return (yield from step(one))
            finally:
                self.threads.append(threading.current_thread().name)
                with self.lock:
                    self.held -= 1
                self.returned.set()

        return flow


class Place:
    """The policies of a test, and the drivers under them."""

    def __init__(self) -> None:
        self.world = World()
        self.holding = Holding()
        self.quota = Quota(rpm=1_000_000, tpm=1e9)  # more than any test takes: the time stands still
        self.pipeline = Pipeline(Retry(), Breaker(), self.quota, self.holding)
        self.ledger = self.quota.ledger(ROUTE, 0.0)
        self.sources: list[Endless] = []

    def open(self, kind: type[Endless]) -> Outcome:
        self.sources.append(kind())
        return Outcome(self.sources[-1])

    def flow(self, step: Step = stream) -> Flow:
        return self.pipeline.around(step, self.world.clock)(call()._replace(operation="converse_stream"))

    def everything_is_back(self) -> bool:
        assert self.holding.returned.wait(LIMIT)
        assert all(source.closed.wait(LIMIT) for source in self.sources)
        return self.holding.held == 0 and eventually_zero(lambda: self.ledger.snapshot(0.0).outstanding)


def eventually_zero(value: Callable[[], float]) -> bool:
    pause = threading.Event()
    return any(value() == 0.0 or pause.wait(0.001) for _ in range(10_000))


@pytest.fixture
def place() -> Iterator[Place]:
    """A context without Python's automatic collections: the test starts each collection."""
    gc.collect()
    gc.disable()
    yield Place()
    gc.enable()


def under_all_locks(place: Place, act: Callable[[], object]) -> None:
    """Run `act` in a thread that holds the locks of the policies, like a thread in which a collection starts."""
    done = threading.Event()

    def hold() -> None:
        circuit = place.pipeline.policies[1].circuit(ROUTE)  # type: ignore[attr-defined]
        budget = place.pipeline.policies[0].budget  # type: ignore[attr-defined]
        with place.holding.lock, place.ledger._lock, circuit._lock, budget._lock:
            act()
        done.set()

    threading.Thread(target=hold, daemon=True, name="collecting").start()
    assert done.wait(LIMIT), "a finaliser waits for a lock that its own thread holds"


def half_read(place: Place) -> Any:
    reading = Driver(lambda _: place.open(Endless), clock=place.world.clock).stream(place.flow())
    next(reading)
    next(reading)
    return reading


def half_read_in_a_loop(place: Place) -> Any:
    async def answer(_: Any) -> Outcome:
        return place.open(AsyncEndless)

    async def read() -> Any:
        reading = AsyncDriver(answer, clock=place.world.clock).stream(place.flow())
        await anext(reading)
        await anext(reading)
        return reading

    loop = asyncio.new_event_loop()
    reading = loop.run_until_complete(read())
    place.world.loop = loop  # type: ignore[attr-defined]
    return reading


def in_a_cycle(thing: Any) -> None:
    held = [thing]
    held.append(held)


def in_a_frame(thing: Any) -> None:
    """Put the object into the usual reference cycle: a frame with an exception whose traceback contains the frame."""
    try:
        dict[str, int]()["nothing"]
    except KeyError as error:
        kept = error, thing
        assert kept


@pytest.mark.parametrize("cycle", [in_a_cycle, in_a_frame, lambda thing: None])
def test_a_dropped_stream_does_no_work_inside_the_garbage_collector(place: Place, cycle: Callable[[Any], None]) -> None:
    reading = [half_read(place)]

    def drop() -> None:
        cycle(reading.pop())
        gc.collect()

    under_all_locks(place, drop)
    assert place.everything_is_back()
    assert "collecting" not in (*place.holding.threads, place.sources[0].thread)


@pytest.mark.parametrize("cycle", [in_a_cycle, in_a_frame, lambda thing: None])
def test_a_dropped_asyncio_stream_does_no_work_inside_the_garbage_collector(
    place: Place, cycle: Callable[[Any], None]
) -> None:
    reading = [half_read_in_a_loop(place)]
    loop: Any = place.world.loop  # type: ignore[attr-defined]

    def drop() -> None:
        cycle(reading.pop())
        gc.collect()

    under_all_locks(place, drop)
    assert place.holding.returned.wait(LIMIT)
    assert eventually_zero(lambda: place.ledger.snapshot(0.0).outstanding)
    assert not place.sources[0].closed.is_set()  # the connection belongs to its loop
    loop.call_later(LIMIT, loop.stop)
    loop.run_until_complete(asyncio.to_thread(lambda: None))
    assert place.everything_is_back()
    assert place.sources[0].thread == threading.current_thread().name
    loop.close()


def test_a_dropped_stream_of_a_closed_loop_is_forgotten_with_it(place: Place) -> None:
    reading = [half_read_in_a_loop(place)]
    place.world.loop.close()  # type: ignore[attr-defined]
    under_all_locks(place, reading.clear)
    assert place.holding.returned.wait(LIMIT)
    assert eventually_zero(lambda: place.ledger.snapshot(0.0).outstanding)


@pytest.mark.parametrize("what", ["a call", "a collected stream", "a stream"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # asyncio reports destroyed tasks
def test_a_destroyed_task_does_no_work_inside_the_garbage_collector(
    place: Place, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(_: Any) -> Any:
        if what == "a call":
            await asyncio.get_running_loop().create_future()
        return place.open(Stalled)

    driver = AsyncDriver(answer, clock=place.world.clock)

    async def begin() -> Any:
        if what == "a stream":
            task = asyncio.ensure_future(anext(driver.stream(place.flow())))
        else:
            task = asyncio.ensure_future(driver.run(place.flow(send if what == "a call" else collect)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert place.holding.held == 1
        return task

    loop = asyncio.new_event_loop()
    tasks = [loop.run_until_complete(begin())]
    loop.close()
    del loop

    def drop() -> None:
        tasks.clear()
        gc.collect()

    under_all_locks(place, drop)
    assert place.holding.returned.wait(LIMIT)
    assert place.holding.held == 0
    assert place.holding.threads != ["collecting"]
    assert eventually_zero(lambda: place.ledger.snapshot(0.0).outstanding)
    assert "Task was destroyed" in caplog.text


def test_a_call_that_waits_for_a_dropped_stream_is_woken(place: Place) -> None:
    quota = Quota(concurrency=1)
    step = quota.around(send, place.world.clock)
    driver = Driver(lambda _: place.open(Endless), clock=place.world.clock)
    reading = [driver.stream(quota.around(stream, place.world.clock)(call()))]
    next(reading[0])
    next(reading[0])
    queued, ended = threading.Event(), threading.Event()

    def wait() -> None:
        waiting = Driver(lambda _: OK, clock=place.world.clock)
        waiting.listeners.add(lambda _event: queued.set())
        assert waiting.run(step(call())).fault is None
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    assert queued.wait(LIMIT)
    in_a_cycle(reading.pop())
    gc.collect()
    assert ended.wait(LIMIT)


def test_calls_work_while_the_garbage_collector_runs_at_every_step() -> None:
    """Threads that drop streams in cycles while the collector runs as often as it can."""
    place, rounds = Place(), 150
    threads = [threading.Thread(target=in_rounds, args=(place, rounds), daemon=True) for _ in range(4)]
    before = gc.get_threshold()
    gc.set_threshold(20, 2, 2)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert not any(thread.is_alive() for thread in threads)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert eventually_zero(lambda: place.ledger.concurrency.in_flight)
    assert eventually_zero(lambda: place.holding.held)


def in_rounds(place: Place, rounds: int) -> None:
    for _ in range(rounds):
        in_a_cycle(half_read(place))
