"""The blocking driver runs a flow (the plan of one call) in the calling thread. It performs the actions that the flow
requests, such as a wait or a request to the service.
"""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.drivers.source import ItemFlow, left, refuse, replaced
from aws_bedrock_inference.flow import INTERRUPTED, Ask, Effect, Emit, Flow, Give, Next, Send, Sleep, Wait
from aws_bedrock_inference.listeners import Listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.drivers.abandoned import Source
    from aws_bedrock_inference.fault import Fault


class EventSource(Protocol):
    """An open stream of an answer, not yet read to its end."""

    response: dict[str, Any]

    def next(self) -> dict[str, Any] | Fault | None:
        """Return the next event, the fault that broke the stream, or None at the end of the body."""

    def close(self) -> None:
        """Release the connection. If this method is called again, it does nothing."""


class Transport(Protocol):
    """Sends a call once, without retries. A failure is not raised; the returned outcome contains it."""

    def send(self, call: Call) -> Outcome:
        """Send `call`. The value of the returned outcome is boto3's response, or an `EventSource` for a streaming
        operation.
        """

    def close(self) -> None:
        """Close the connections."""


class Driver:
    """Runs flows (the plans of calls) in the calling thread. Any number of threads can share one driver."""

    def __init__(
        self,
        send: Callable[[Call], Outcome],
        *,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], None] = clocks.sleep,
        listeners: Listeners | None = None,
    ) -> None:
        self._send = send
        self.clock = clock
        self._sleep = sleep
        self.listeners = listeners if listeners is not None else Listeners()

    def run(self, flow: Flow, interrupted: Callable[[Outcome], object] | None = None) -> Outcome:
        """Run `flow` (the plan of a call) to its end. This method then closes the stream that the flow reads.

        An interruption such as Ctrl-C is raised inside the flow, so that the flow releases its resources. `interrupted`
        is then called with the outcome of the flow, and the interruption is raised again.
        """
        source: Source | None = None
        try:
            effect = next(flow)
            while True:
                try:
                    if type(effect) is Send:
                        reply = self._send(effect.call)
                    else:
                        if type(effect) is Next:
                            source = replaced(source, effect.source)
                        reply = self._perform(effect)
                except BaseException as interruption:  # noqa: BLE001 - the flow raises it again
                    effect = flow.throw(interruption)
                else:
                    effect = flow.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except BaseException:
            flow.close()  # needed if the interruption came between two effects
            if interrupted is not None:
                interrupted(Outcome(fault=INTERRUPTED))
            raise
        finally:
            if source is not None:
                source.close()

    def stream(self, flow: Flow, ended: Callable[[Outcome], object] | None = None) -> Stream:
        """Return a handle that runs `flow` (the plan of a call) step by step. Each time the consumer reads from the
        handle, the flow runs until it delivers the next item of the stream. `ended` is called with the outcome (a value
        or a fault) of the flow.
        """
        return Stream(flow, self, ended)

    def close(self) -> None:
        """From now on, send nothing. Attempts in flight finish. A call that needs another attempt is refused."""
        self._send = refuse

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Emit):
            return self.listeners.notify(effect.event)
        if isinstance(effect, Next):
            return effect.source.next()
        if isinstance(effect, Sleep):
            return self._sleep(effect.seconds)
        if isinstance(effect, Wait):
            return self._wait(effect)
        if isinstance(effect, Send):
            return self._send(effect.call)
        if isinstance(effect, Ask):
            return effect.request.run()
        raise TypeError(
            f"a policy yielded {type(effect).__name__}. For a call without streaming, a policy can yield only Send, "
            "Sleep, Wait, Ask, Next or Emit from aws_bedrock_inference.flow; correct the policy"
        )

    def _wait(self, effect: Wait) -> None:
        woken = threading.Event()
        if effect.waiter.attach(woken.set):
            woken.wait(None if effect.until == inf else max(0.0, effect.until - self.clock()))


class Stream(ItemFlow):
    """A handle on a flow (the plan of a call) that delivers the items of a stream. Iterate over the handle to read the
    items. `outcome` is set when the flow has ended.

    If the handle is closed or garbage collected, the flow is ended, and releases its resources.
    """

    def __init__(self, flow: Flow, driver: Driver, ended: Callable[[Outcome], object] | None = None) -> None:
        super().__init__(flow, driver.listeners, ended)
        self._driver = driver

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Any:
        if self.outcome is not None:
            raise StopIteration
        running, perform = self._open, self._driver._perform  # noqa: SLF001 - the other half of the driver
        reply = self._take_turn()
        flow = running.flow
        try:
            effect = flow.send(reply)
            while not isinstance(effect, Give):
                try:
                    if type(effect) is Next:
                        if effect.source is not running.source:
                            running.hold(effect.source)
                        reply = effect.source.next()
                    else:  # no request is sent for an answer that nobody reads
                        reply = left() if self._leaving and type(effect) is Send else perform(effect)
                except BaseException as interruption:  # noqa: BLE001 - the flow raises it again
                    effect = flow.throw(interruption)
                else:
                    effect = flow.send(reply)
        except StopIteration as end:
            self._end(end.value)
            raise StopIteration from None
        except BaseException:
            self._interrupted()
            raise
        running.reply = True
        return effect.item if not self._leaving else next(self)

    def close(self) -> None:
        """Stop reading, so that the flow (the plan of the call) releases its resources. If another thread is reading at
        this moment, the flow ends when the next item arrives. That thread does not receive the item.
        """
        self._leaving = True
        if self._open.reply is True:
            for _ in self:
                break
        if self._open.reply is None and self.outcome is None:
            self._open.flow.close()
