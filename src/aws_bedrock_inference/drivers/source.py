"""The common part of the blocking and the asyncio driver: the handle on a flow that delivers items, and its end.

The rest of the two is the same loop with and without `await`, which no single function can be.
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

# The reply of a flow that somebody is resuming right now.
BUSY = object()

UNREAD = replace(
    ABANDONED,
    code="StreamInterrupted",
    message="a cancellation or another exception interrupted the reading of the stream; its rest is lost",
    advice="Make the call again. To stop reading on purpose, close the stream.",
)


def refuse(_: Call) -> Outcome:
    """Answer a call in the place of a transport that is closed."""
    return Outcome(fault=client_closed())


def left() -> Outcome:
    """Answer a call in the place of the transport, since the consumer of its stream has left."""
    return Outcome(fault=ABANDONED)


def replaced(held: Source | None, source: Source | None) -> Source | None:
    """Close `held` unless it is `source`, and return `source`, which replaces it."""
    if held is not None and held is not source:
        held.close()
    return source


def raise_destruction(error: BaseException | None) -> None:
    """Raise GeneratorExit if the waiting task is being destroyed, also where a library that cleans up on the way out
    puts the RuntimeError of its closed loop in its place.
    """
    under = error
    while isinstance(under, RuntimeError):
        under = under.__context__
    if isinstance(under, GeneratorExit):
        raise under from None


class ItemFlow:
    """A handle on a flow that delivers items, with the outcome once it has ended. `ended` hears of it, too.

    The flow itself is kept by the reaper: a handle that is collected half-read only says so.
    """

    def __init__(self, flow: Flow, listeners: Listeners, ended: Callable[[Outcome], object] | None) -> None:
        self._leaving = False
        self.outcome: Outcome | None = None
        self._open = OpenFlow(flow, listeners, ended)

    def _take_turn(self) -> Any:
        """Return the reply to resume the flow with; nobody else may resume it until it has given an item."""
        reply = self._open.reply
        if reply is BUSY:
            raise RuntimeError("the stream is being read by another thread or task; read it in one at a time")
        self._open.reply = BUSY
        if reply is None:
            reaper.keep(self._open)
        return reply and not self._leaving

    def _end(self, outcome: Outcome | None) -> None:
        """End with `outcome`, None for a flow that was closed before it began."""
        # In this order: wherever Ctrl-C interrupts it, what is left is done when the handle is dropped.
        self._open.flow.close()
        self._open.hold(None)
        reaper.release(self._open)
        self._open.reply = None
        self.outcome = outcome
        if outcome is not None:
            self._open.tell(outcome)

    def _interrupted(self) -> None:
        """End with the rest unread: what comes after an interruption must not pass for a whole answer."""
        self._end(Outcome(fault=UNREAD))

    def __del__(self) -> None:
        # Here nothing may be locked, read or written: see `abandoned`.
        begun = getattr(self, "_open", None)  # not there when `__init__` was interrupted
        if begun is not None and begun.reply is not None and self.outcome is None:
            reaper.abandon(begun)
