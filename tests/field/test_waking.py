"""Waiters that cannot be woken, and loops and threads that share one quota."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import OK, ROUTE, World, call, session
from support.raw_server import Peer, RawServer
from support.wire import eventually

from aws_bedrock_inference import AsyncBedrockClient
from aws_bedrock_inference.background import Background
from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.drivers.asynchronous import AsyncDriver
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.policies import Quota
from aws_bedrock_inference.rules.quota.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 60.0


class Shop:
    """A quota with one slot, and callers of both worlds."""

    def __init__(self) -> None:
        self.quota = Quota(concurrency=1)
        self.world = World()
        self.step = self.quota.around(send, self.world.clock)

    def hold(self) -> tuple[threading.Event, threading.Thread, list[Any]]:
        """Take the slot in a thread until the event is set."""
        sent, release = threading.Event(), threading.Event()
        ends: list[Any] = []

        def service(_: Any) -> Outcome:
            sent.set()
            assert release.wait(LIMIT)
            return OK

        def work() -> None:
            try:
                ends.append(Driver(service, clock=self.world.clock).run(self.step(call())))
            except BaseException as error:  # noqa: BLE001 - shown by the test
                ends.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert sent.wait(LIMIT)
        return release, thread, ends

    def ask(self) -> Any:
        return Driver(lambda _: OK, clock=self.world.clock).run(self.step(call()))

    def queue_in_a_loop(self, number: int = 1) -> tuple[asyncio.AbstractEventLoop, list[asyncio.Task[Any]]]:
        """Let tasks wait for the slot; nobody runs their loop from then on."""

        async def answer(_: Any) -> Outcome:
            return OK

        async def begin() -> list[asyncio.Task[Any]]:
            driver = AsyncDriver(answer, clock=self.world.clock)
            tasks = [asyncio.ensure_future(driver.run(self.step(call()))) for _ in range(number)]
            await asyncio.sleep(0)  # each runs until it waits
            assert self.quota.waiting(ROUTE) >= number
            return tasks

        loop = asyncio.new_event_loop()
        return loop, loop.run_until_complete(begin())


@pytest.mark.parametrize("dead", [1, 5, 3000])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # asyncio reports destroyed tasks
def test_calls_waiting_in_a_closed_loop_leave_the_queue(dead: int) -> None:
    shop = Shop()
    release, thread, ends = shop.hold()
    loop, tasks = shop.queue_in_a_loop(dead)
    loop.close()
    release.set()
    thread.join(LIMIT)
    assert ends == [OK]
    assert [shop.ask() for _ in range(3)] == [OK] * 3
    assert shop.quota.waiting(ROUTE) == 0
    assert shop.quota.ledger(ROUTE, 0.0).concurrency.in_flight == 0
    del tasks


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_calls_behind_those_of_a_closed_loop_go_next() -> None:
    shop = Shop()
    release, thread, _ = shop.hold()
    loop, tasks = shop.queue_in_a_loop()
    ends: list[Any] = []
    behind = threading.Thread(target=lambda: ends.append(shop.ask()), daemon=True)
    behind.start()
    pause = threading.Event()
    assert any(shop.quota.waiting(ROUTE) == 2 or pause.wait(0.001) for _ in range(10_000))
    loop.close()
    release.set()
    behind.join(LIMIT)
    thread.join(LIMIT)
    assert ends == [OK]
    del tasks


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_closed_loop_at_the_head_is_noticed_even_with_no_call_in_flight() -> None:
    world = World()
    quota = Quota(rpm=12)
    step = quota.around(send, world.clock)

    async def answer(_: Any) -> Outcome:
        return OK

    async def begin() -> Any:
        driver = AsyncDriver(answer, clock=world.clock)
        assert await driver.run(step(call())) == OK
        task = asyncio.ensure_future(driver.run(step(call(deadline=900.0))))
        await asyncio.sleep(0)
        return task

    loop = asyncio.new_event_loop()
    head = loop.run_until_complete(begin())
    loop.close()
    driver: Any = Driver(lambda _: OK, clock=world.clock)
    driver._wait = lambda effect: world.sleep(effect.until - world.now)
    assert driver.run(step(call(deadline=900.0))) == OK
    assert world.now < 60.0
    del head


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_calls_waiting_in_a_dropped_loop_leave_the_queue() -> None:
    shop = Shop()
    release, thread, _ = shop.hold()
    loop, tasks = shop.queue_in_a_loop(3)
    loop.close()
    del loop, tasks
    gc.collect()
    pause = threading.Event()
    assert any(shop.quota.waiting(ROUTE) == 0 or pause.wait(0.001) for _ in range(10_000))
    release.set()
    thread.join(LIMIT)
    assert shop.ask() == OK


def test_a_wake_up_that_raises_does_not_stop_the_queue() -> None:
    shop = Shop()
    ledger = shop.quota.ledger(ROUTE, 0.0)
    first = ledger.reserve(1, 0.0, 0.0)
    tickets = [ledger.reserve(1, float(place), 0.0) for place in range(1, 4)]
    woken: list[int] = []

    def waker(number: int) -> Callable[[], None]:
        def wake() -> None:
            woken.append(number)
            if number < 2:
                raise OSError("whatever")

        return wake

    for number, ticket in enumerate(tickets):
        assert ticket.attach(waker(number))
    ledger.settle(first, 1, 0.0)
    assert woken == [0, 1, 2]
    assert [ticket.admitted for ticket in tickets] == [False, False, True]
    assert ledger.concurrency.in_flight == 1


class Counter:
    """Counts the threads that are inside simultaneously."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1


def test_loops_and_threads_share_one_quota() -> None:
    quota, world, inside = Quota(rpm=1e6, concurrency=2), World(), Counter()
    step = quota.around(send, world.clock)
    answers: list[Any] = []

    def in_a_thread() -> None:
        def service(_: Any) -> Outcome:
            with inside:
                return Outcome(usage=Usage(1, 1))

        driver = Driver(service, clock=world.clock)
        answers.extend(driver.run(step(call())) for _ in range(25))

    def in_a_loop() -> None:
        async def service(_: Any) -> Outcome:
            with inside:
                await asyncio.sleep(0)
                return Outcome(usage=Usage(1, 1))

        async def main() -> Any:
            driver = AsyncDriver(service, clock=world.clock)
            return await asyncio.gather(*(driver.run(step(call())) for _ in range(25)))

        answers.extend(asyncio.run(main()))

    threads = [threading.Thread(target=work, daemon=True) for work in (in_a_thread, in_a_loop) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert len(answers) == 150
    assert all(answer.fault is None for answer in answers)
    assert inside.most <= 2
    assert quota.ledger(ROUTE, world.now).concurrency.in_flight == 0


def send_and_close(url: str, quota: Quota, operation: str, asked: threading.Semaphore) -> None:
    """Send two calls in a loop that is closed before they are answered; drop the client with it."""
    client = AsyncBedrockClient("amazon.nova-lite-v1:0", session=session(), endpoint_url=url, quota=quota)

    async def ask() -> None:
        if operation == "invoke_stream":
            async for _ in client.invoke_stream("x"):
                pass
        else:
            await client.invoke("x", stream=operation == "collect")

    async def begin() -> list[asyncio.Task[Any]]:
        tasks = [asyncio.ensure_future(ask()) for _ in range(2)]
        for _ in tasks:
            assert await asyncio.to_thread(asked.acquire, timeout=LIMIT)
        return tasks

    loop = asyncio.new_event_loop()
    _tasks = loop.run_until_complete(begin())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.mark.parametrize("operation", ["invoke", "invoke_stream", "collect"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # asyncio reports destroyed tasks
def test_calls_in_flight_in_a_closed_loop_release_their_slots(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The garbage collector never resumes a flow, which could lock: the reaper ends dropped flows."""
    quota, asked = Quota(concurrency=2), threading.Semaphore(0)
    abandon, enders = Ledger.abandon, set()

    def noted(*args: Any, **more: Any) -> None:
        enders.add(threading.current_thread().name)
        abandon(*args, **more)

    def serve(peer: Peer) -> None:
        peer.request()
        asked.release()
        peer.hold()

    monkeypatch.setattr(Ledger, "abandon", noted)
    with RawServer(serve) as server:
        send_and_close(server.url, quota, operation, asked)
        ledger = next(iter(quota._ledgers.values())).ledger
        gc.collect()
        assert eventually(lambda: ledger.snapshot(0.0).in_flight == 0)
    assert enders == {"bedrock-abandoned"}


def test_a_cancelled_task_does_not_cancel_shared_background_work() -> None:
    """All callers share look-ups of names, renewals and requests to stores."""
    done, work = threading.Event(), Background()

    def look_up() -> str:
        assert done.wait(60)
        return "address"

    async def impatient() -> None:
        waiting = asyncio.ensure_future(asyncio.wrap_future(work.start("name", look_up)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(impatient())
    other = work.start("name", look_up)
    done.set()
    assert other.result(60) == "address"
