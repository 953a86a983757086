"""The common part of the blocking and the asyncio driver: the open source of a flow and its release.

The rest of the two is the same loop with and without `await`, which no single function can be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Outcome
    from aws_bedrock_inference.flow import Flow


class Source(Protocol):
    """An open stream of answers, of either driver."""

    def close(self) -> None:
        """Release the connection; harmless when repeated."""


def replaced(held: Source | None, source: Source | None) -> Source | None:
    """Close `held` unless it is `source`, and return `source`, which replaces it."""
    if held is not None and held is not source:
        held.close()
    return source


class ItemFlow:
    """A flow that delivers items, with its open source and, after its end, its outcome."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._reply: Any = None
        self._source: Source | None = None
        self.outcome: Outcome | None = None

    def _hold(self, source: Source | None) -> None:
        self._source = replaced(self._source, source)

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._hold(None)
