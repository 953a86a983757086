"""The asyncio driver runs a flow (the plan of one call) in the current task. It performs the actions that the flow
requests, such as a wait or a request to the service. The code is in the same order as the code of the module
`blocking`, so that the two can be compared.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the asyncio driver
from math import inf
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ref

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.drivers.abandoned import OpenFlow, reaper
from aws_bedrock_inference.drivers.source import UNREAD, ItemFlow, left, raise_destruction, refuse, replaced
from aws_bedrock_inference.flow import Ask, Effect, Emit, Flow, Give, Next, Send, Sleep, Wait
from aws_bedrock_inference.listeners import Listeners

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.drivers.abandoned import Source
    from aws_bedrock_inference.fault import Fault


class AsyncEventSource(Protocol):
    """An open stream of an answer, not yet read to its end."""

    response: dict[str, Any]

    async def next(self) -> dict[str, Any] | Fault | None:
        """Return the next event, the fault that broke the stream, or None at the end of the body."""

    def close(self) -> None:
        """Release the connection. If this method is called again, it does nothing."""


class AsyncTransport(Protocol):
    """Sends a call once, without retries. A failure is not raised; the returned outcome contains it."""

    async def send(self, call: Call) -> Outcome:
        """Send `call`. The value of the returned outcome is boto3's response, or an `AsyncEventSource` for a streaming
        operation.
        """

    async def close(self) -> None:
        """Close the connections."""


class AsyncDriver:
    """Runs flows (the plans of calls) in the current asyncio task. The tasks of one event loop share one driver."""

    def __init__(
        self,
        send: Callable[[Call], Awaitable[Outcome]],
        *,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        listeners: Listeners | None = None,
    ) -> None:
        self._send = send
        self.clock = clock
        self._sleep = sleep
        self.listeners = listeners if listeners is not None else Listeners()

    async def run(self, flow: Flow, interrupted: Callable[[Outcome], object] | None = None) -> Outcome:
        """Run `flow` (the plan of a call) to its end. This method then closes the stream that the flow reads.

        If the task is cancelled, the cancellation is raised inside the flow, so that the flow releases its resources.
        `interrupted` is then called with the outcome of the flow, and the cancellation is raised again.
        """
        source: Source | None = None
        loop: asyncio.AbstractEventLoop | None = None
        proceed = flow.send
        calls = reaper.calls if reaper.running else reaper.start()
        calls.add(flow)
        try:
            effect = next(flow)
            while True:
                try:
                    if type(effect) is Send:
                        reply = await self._send(effect.call)
                    else:
                        if type(effect) is Next and source is not effect.source:
                            source, loop = replaced(source, effect.source), asyncio.get_running_loop()
                        reply = await self._perform(effect)
                except BaseException as interruption:  # noqa: BLE001 - the flow raises it again
                    raise_destruction(interruption)
                    effect = flow.throw(interruption)
                else:
                    effect = proceed(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except BaseException as error:
            left_open = OpenFlow(flow, self.listeners, interrupted, source)
            source = None
            if isinstance(error, GeneratorExit):
                # The task is being destroyed, possibly by the garbage collector: nothing may be locked, read or
                # written.
                left_open.loop = loop
                reaper.abandon(left_open)
            else:
                left_open.end()  # needed if the interruption came between two effects
            raise
        finally:
            calls.discard(flow)
            if source is not None:
                source.close()

    def stream(self, flow: Flow, ended: Callable[[Outcome], object] | None = None) -> AsyncStream:
        """Return a handle that runs `flow` (the plan of a call) step by step. Each time the consumer reads from the
        handle, the flow runs until it delivers the next item of the stream. `ended` is called with the outcome (a value
        or a fault) of the flow.
        """
        return AsyncStream(flow, self, ended)

    def close(self) -> None:
        """From now on, send nothing. Attempts in flight finish. A call that needs another attempt is refused."""

        async def refused(call: Call) -> Outcome:
            return refuse(call)

        self._send = refused

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Emit):
            return self.listeners.notify(effect.event)
        if isinstance(effect, Next):
            return await effect.source.next()
        if isinstance(effect, Sleep):
            return await self._sleep(effect.seconds)
        if isinstance(effect, Wait):
            return await self._wait(effect)
        if isinstance(effect, Send):
            return await self._send(effect.call)
        if isinstance(effect, Ask):
            return await effect.request.arun()
        raise TypeError(
            f"a policy yielded {type(effect).__name__}. For a call without streaming, a policy can yield only Send, "
            "Sleep, Wait, Ask, Next or Emit from aws_bedrock_inference.flow; correct the policy"
        )

    async def _wait(self, effect: Wait) -> None:
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        # Weak references, because a queue must not keep an event loop in memory that no longer runs.
        its_loop, its_wait = ref(loop), ref(woken)

        def end() -> None:
            waiting = its_wait()
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

        def wake() -> None:
            running = its_loop()
            if running is None:
                raise RuntimeError(
                    "a waiting call cannot continue, because its asyncio event loop no longer exists; await all calls "
                    "before the loop ends"
                )
            running.call_soon_threadsafe(end)

        if not effect.waiter.attach(wake):
            return
        timer = None if effect.until == inf else loop.call_later(max(0.0, effect.until - self.clock()), end)
        try:
            await woken
        finally:
            if timer is not None:
                timer.cancel()


class AsyncStream(ItemFlow):
    """A handle on a flow (the plan of a call) that delivers the items of a stream. Iterate over the handle to read the
    items. `outcome` is set when the flow has ended.

    If the handle is closed or garbage collected, the flow is ended, and releases its resources.
    """

    def __init__(self, flow: Flow, driver: AsyncDriver, ended: Callable[[Outcome], object] | None = None) -> None:
        super().__init__(flow, driver.listeners, ended)
        self._driver = driver

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> Any:
        if self.outcome is not None:
            raise StopAsyncIteration
        running, perform = self._open, self._driver._perform  # noqa: SLF001 - the other half of the driver
        reply = self._take_turn()
        flow = running.flow
        try:
            effect = flow.send(reply)
            while not isinstance(effect, Give):
                try:
                    if type(effect) is Next:
                        if effect.source is not running.source:
                            running.loop = asyncio.get_running_loop()
                            running.hold(effect.source)
                        reply = await effect.source.next()
                    else:  # no request is sent for an answer that nobody reads
                        reply = left() if self._leaving and type(effect) is Send else await perform(effect)
                except BaseException as interruption:  # noqa: BLE001 - the flow raises it again
                    raise_destruction(interruption)
                    effect = flow.throw(interruption)
                else:
                    effect = flow.send(reply)
        except StopIteration as end:
            self._end(end.value)
            raise StopAsyncIteration from None
        except GeneratorExit:
            # The task that reads is being destroyed, as in `AsyncDriver.run`.
            self.outcome = Outcome(fault=UNREAD)
            reaper.abandon(running)
            raise
        except BaseException:
            self._interrupted()
            raise
        running.reply = True
        return effect.item if not self._leaving else await anext(self)

    async def aclose(self) -> None:
        """Stop reading, so that the flow (the plan of the call) releases its resources. If another task is reading at
        this moment, the flow ends when the next item arrives. That task does not receive the item.
        """
        self._leaving = True
        if self._open.reply is True:
            async for _ in self:
                break
        if self._open.reply is None and self.outcome is None:
            self._open.flow.close()
