"""The common part of the blocking and the asyncio driver: the handle that delivers the items of a flow (the plan of a
call), and the code that ends the handle.

The rest of each driver is a loop that runs the flow. The asyncio driver's loop contains `await`, which a blocking
function cannot contain. Therefore each driver has its own loop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.drivers.abandoned import OpenFlow, Source, reaper
from aws_bedrock_inference.flow import ABANDONED
from aws_bedrock_inference.policies.refusals import client_closed

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.flow import Flow
    from aws_bedrock_inference.listeners import Listeners

# The value of `reply` while a flow runs.
BUSY = object()

UNREAD = replace(
    ABANDONED,
    code="StreamInterrupted",
    message="a cancellation or another exception interrupted the reading of the stream; the rest is lost",
    advice="Make the call again. To stop reading on purpose, close the stream.",
)


def refuse(_: Call) -> Outcome:
    """Return the outcome of a call that is not sent, because its client is closed. The outcome contains a fault."""
    return Outcome(fault=client_closed())


def left() -> Outcome:
    """Return the outcome of a request that is not sent, because the caller has stopped reading the stream. An example
    is a retry that is no longer needed. The outcome contains a fault.
    """
    return Outcome(fault=ABANDONED)


def replaced(held: Source | None, source: Source | None) -> Source | None:
    """Return the open stream `source`, which replaces `held`. Close `held`, unless it is the same stream."""
    if held is not None and held is not source:
        held.close()
    return source


def raise_destruction(error: BaseException | None) -> None:
    """Raise GeneratorExit if Python is destroying the current task; otherwise do nothing. `error` is the exception that
    the task received while it waited.

    Python destroys a task by raising a GeneratorExit inside it. If the event loop is closed, code that handles this
    GeneratorExit can raise a RuntimeError. The task then receives the RuntimeError, whose context is the GeneratorExit.
    Therefore this function also looks for a GeneratorExit in the context of a RuntimeError.
    """
    under = error
    while isinstance(under, RuntimeError):
        under = under.__context__
    if isinstance(under, GeneratorExit):
        raise under from None


class ItemFlow:
    """A handle on a flow (the plan of a call) that delivers the items of a stream. When the flow has ended, the handle
    contains the outcome, and `ended` is called with the outcome.

    The reaper (the thread that ends abandoned flows) holds a reference to the flow itself. The handle can be garbage
    collected before the stream was read to its end. In this case, the finalizer of the handle only reports to the
    reaper that the flow is abandoned.
    """

    def __init__(self, flow: Flow, listeners: Listeners, ended: Callable[[Outcome], object] | None) -> None:
        self._leaving = False
        self.outcome: Outcome | None = None
        self._open = OpenFlow(flow, listeners, ended)

    def _take_turn(self) -> Any:
        """Mark the flow (the plan of a call) as `BUSY`, so that no other thread or task resumes it before it delivers
        the next item. If the flow is already `BUSY`, raise RuntimeError. Return the value to send into the flow: None
        to start it, True to request the next item, or False to stop it.
        """
        reply = self._open.reply
        if reply is BUSY:
            raise RuntimeError(
                "the stream is already being read by another thread or task; read it in only one thread or task"
            )
        self._open.reply = BUSY
        if reply is None:
            reaper.keep(self._open)
        return reply and not self._leaving

    def _end(self, outcome: Outcome | None) -> None:
        """Close the flow and the stream that it reads. Then store `outcome` in this handle. `outcome` is the outcome of
        the flow (a value or a fault), or None if the flow was closed before it began. If `outcome` is not None, call
        the function `ended` with it.
        """
        # In this order, Ctrl-C can interrupt at any line: the remaining steps run when the handle is collected.
        self._open.flow.close()
        self._open.hold(None)
        reaper.release(self._open)
        self._open.reply = None
        self.outcome = outcome
        if outcome is not None:
            self._open.tell(outcome)

    def _interrupted(self) -> None:
        """End the flow with a fault, because an interruption such as Ctrl-C may have lost an item of the stream. If the
        handle delivered later items, the caller would not notice the gap.
        """
        self._end(Outcome(fault=UNREAD))

    def __del__(self) -> None:
        # A finalizer must not lock, read or write anything (see `abandoned`).
        begun = getattr(self, "_open", None)  # missing if `__init__` was interrupted
        if begun is not None and begun.reply is not None and self.outcome is None:
            reaper.abandon(begun)
