"""The common part of the blocking and the asyncio driver: the handle on a flow that delivers items, and its end.

Everything else in the two drivers is the same loop with and without `await`, which one function cannot contain.
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

# The reply of a flow that is being resumed right now.
BUSY = object()

UNREAD = replace(
    ABANDONED,
    code="StreamInterrupted",
    message="a cancellation or another exception interrupted the reading of the stream; the rest is lost",
    advice="Make the call again. To stop reading on purpose, close the stream.",
)


def refuse(_: Call) -> Outcome:
    """Return the outcome of a call whose transport is closed."""
    return Outcome(fault=client_closed())


def left() -> Outcome:
    """Return the outcome of a call whose consumer has stopped reading."""
    return Outcome(fault=ABANDONED)


def replaced(held: Source | None, source: Source | None) -> Source | None:
    """Close `held` unless it is `source`, and return `source`, which replaces it."""
    if held is not None and held is not source:
        held.close()
    return source


def raise_destruction(error: BaseException | None) -> None:
    """Raise GeneratorExit if the waiting task is being destroyed, even if a library replaced it with a RuntimeError
    about its closed loop while it cleaned up.
    """
    under = error
    while isinstance(under, RuntimeError):
        under = under.__context__
    if isinstance(under, GeneratorExit):
        raise under from None


class ItemFlow:
    """A handle on a flow that delivers items, with the outcome once it has ended. `ended` is called with the outcome,
    too.

    The reaper owns the flow itself: a handle that is collected half-read only reports that.
    """

    def __init__(self, flow: Flow, listeners: Listeners, ended: Callable[[Outcome], object] | None) -> None:
        self._leaving = False
        self.outcome: Outcome | None = None
        self._open = OpenFlow(flow, listeners, ended)

    def _take_turn(self) -> Any:
        """Return the reply to resume the flow with. Nobody else may resume the flow until it has delivered an item."""
        reply = self._open.reply
        if reply is BUSY:
            raise RuntimeError(
                "the stream is already being read by another thread or task; read it from only one at a time"
            )
        self._open.reply = BUSY
        if reply is None:
            reaper.keep(self._open)
        return reply and not self._leaving

    def _end(self, outcome: Outcome | None) -> None:
        """End with `outcome`, which is None for a flow that was closed before it began."""
        # In this order, Ctrl-C may interrupt at any line: the rest is done when the handle is dropped.
        self._open.flow.close()
        self._open.hold(None)
        reaper.release(self._open)
        self._open.reply = None
        self.outcome = outcome
        if outcome is not None:
            self._open.tell(outcome)

    def _interrupted(self) -> None:
        """End with the rest unread, because items that follow an interruption must not look like a complete answer."""
        self._end(Outcome(fault=UNREAD))

    def __del__(self) -> None:
        # Here nothing may be locked, read or written: see `abandoned`.
        begun = getattr(self, "_open", None)  # missing if `__init__` was interrupted
        if begun is not None and begun.reply is not None and self.outcome is None:
            reaper.abandon(begun)
