"""End flows (the plans of calls) that nobody will finish. Such an abandoned flow belongs to a stream of which only a
part was read, or to a task that Python destroyed while the task waited.

When Python destroys a stream or a task, Python runs the finalizer of this stream or task. The finalizer can run at any
moment and in any thread, even in a thread that holds a policy's lock. If the finalizer waited for this lock, the thread
would wait for itself forever. Therefore the finalizer must not lock, read or write anything. It must also not run a
step of a flow.

This module keeps a reference to every open flow, so that Python does not destroy the flow itself. The finalizer of the
stream or task only adds the flow to a queue. A separate thread, the reaper, then ends the flow: the flow releases its
resources and wakes the callers that wait for these resources.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, cast

from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind, Origin
from aws_bedrock_inference.flow import INTERRUPTED, Emit
from aws_bedrock_inference.forks import renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.flow import Flow
    from aws_bedrock_inference.listeners import Listeners

_log = logging.getLogger(__name__)

INHERITED = Fault(
    code="StreamInherited",
    message="the stream was opened before this process was forked; its connection belongs to the parent",
    kind=Kind.STREAM,
    decision=Decision.FAIL,
    category=Category.PERMANENT,
    cause="stream-inherited",
    advice="Read the stream in the process that opened it, or make the call again here.",
    origin=Origin.CALLER,
)


class Source(Protocol):
    """An open stream of an answer, for the blocking and the asyncio driver."""

    def close(self) -> None:
        """Release the connection. If this method is called again, it does nothing."""


class Loop(Protocol):
    """The asyncio event loop in which a source (the open stream of an answer) is read."""

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> object:
        """Call `callback` in the loop's thread. Raises `RuntimeError` if the loop is closed."""


class OpenFlow:
    """A flow (the plan of a call, a generator) that has not ended.

    * `source`: the open stream of an answer that the flow reads, or None. The stream of an asyncio call belongs to the
      event loop `loop`.
    * `reply`: the value that the driver sends into the generator when it resumes the flow. `reply` is None before the
      flow starts, and True after the flow has delivered an item. While the flow runs, `reply` is `BUSY`.
    * `ended`: a function that is called once, with the outcome of the flow (a value or a fault), when the flow ends.
    """

    __slots__ = ("ended", "flow", "listeners", "loop", "reply", "source")

    def __init__(
        self,
        flow: Flow,
        listeners: Listeners,
        ended: Callable[[Outcome], object] | None = None,
        source: Source | None = None,
        loop: Loop | None = None,
    ) -> None:
        self.flow = flow
        self.listeners = listeners
        self.ended = ended
        self.source = source
        self.loop = loop
        self.reply: Any = None

    def hold(self, source: Source | None) -> None:
        """Read from the open stream `source` from now on. Close the previous stream, unless it is `source`."""
        if self.source is not None and self.source is not source:
            self.source.close()
        self.source = source

    def end(self) -> None:
        """End the flow (the plan of a call) in the calling thread. A flow that has delivered an item waits for a reply.
        Such a flow first receives the reply False, which means that its consumer wants no further items. Then the flow
        and the stream that it reads are closed.
        """
        outcome = Outcome(fault=INTERRUPTED)
        try:
            if self.reply is True:
                outcome = self._decline() or outcome
            self.flow.close()
        finally:
            source, self.source = self.source, None
            if source is not None and self.loop is not None:
                with suppress(RuntimeError):  # a closed loop has already closed its connections
                    self.loop.call_soon_threadsafe(source.close)
            elif source is not None:
                source.close()
        self.tell(outcome)

    def tell(self, outcome: Outcome) -> None:
        """Call the function `ended` of this flow with the flow's outcome (a value or a fault). If this method is called
        again, it does nothing.
        """
        ended, self.ended = self.ended, None
        if ended is not None:
            ended(outcome)

    def inherit(self) -> None:
        """In a forked child, stop using the flow (the plan of a call), because the call continues in the parent
        process. If the child later reads the stream of this call, the child gets an error. The parent's connection is
        not used.
        """
        _parents.append((self.flow, self.source, self.ended))
        self.flow, self.source, self.ended, self.reply = _inherited(), None, None, True
        next(self.flow)

    def _decline(self) -> Outcome | None:
        self.reply = False
        try:
            effect = self.flow.send(False)  # noqa: FBT003 - the reply to Give
            while isinstance(effect, Emit):
                self.listeners.notify(effect.event)
                effect = next(self.flow)
        except StopIteration as end:
            return cast("Outcome", end.value)
        return None


class Reaper:
    """The open flows (unfinished plans of calls) of this process, and the thread that ends abandoned flows.

    `calls` contains the flows that `AsyncDriver.run` runs now. Python does not destroy a flow while the flow is in this
    set.
    """

    def __init__(self) -> None:
        self.calls: set[Flow] = set()
        self.running = False
        self._streams: set[OpenFlow] = set()
        self._abandoned: SimpleQueue[OpenFlow] = SimpleQueue()
        renew_after_fork(self)

    def start(self) -> set[Flow]:
        """Start the thread that ends abandoned flows. If the thread cannot be started, the calling thread ends all
        flows that have been abandoned so far.

        Return the set `calls`. The asyncio driver adds each flow to this set while the flow runs, so that Python does
        not destroy the flow.
        """
        self.running = True
        try:
            threading.Thread(target=self._reap, name="bedrock-abandoned", daemon=True).start()
        except RuntimeError:
            self.running = False
            self.drain()
        return self.calls

    def keep(self, stream: OpenFlow) -> None:
        """Register the flow of a stream that starts, so that the flow is not garbage collected."""
        if not self.running:
            self.start()
        self._streams.add(stream)

    def release(self, stream: OpenFlow) -> None:
        """Unregister the flow of a stream that has ended."""
        self._streams.discard(stream)

    def abandon(self, flow: OpenFlow) -> None:
        """Add the abandoned `flow` to the queue of the reaper, the thread that ends abandoned flows. A finalizer can
        call this method safely, because `SimpleQueue.put` is reentrant.
        """
        self._abandoned.put(flow)

    def drain(self) -> None:
        """End all abandoned flows (plans of calls that nobody will finish) in the calling thread."""
        while not self._abandoned.empty():
            self._end(self._abandoned.get())

    def after_fork(self) -> None:
        """In a forked child, forget all open flows (unfinished plans of calls), because they belong to the parent. The
        parent ends them.
        """
        streams, calls = self._streams, self.calls
        _parents.append((calls, self._abandoned))
        self.calls, self.running = set(), False
        self._streams, self._abandoned = set(), SimpleQueue()
        for stream in streams:
            stream.inherit()

    def _reap(self) -> None:
        abandoned = self._abandoned
        while True:
            self._end(abandoned.get())

    def _end(self, flow: OpenFlow) -> None:
        try:
            flow.end()
        except Exception:  # noqa: BLE001 - no caller can receive it; the other flows must still end
            _log.exception("an abandoned call could not be ended")
        self._streams.discard(flow)
        self.calls.discard(flow.flow)


def _inherited() -> Flow:
    yield Emit(None)
    return Outcome(fault=INHERITED)


# In a forked child: references to the parent's open flows, so that the child neither ends nor collects them.
_parents: list[object] = []

reaper = Reaper()
