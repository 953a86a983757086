"""The policy that stores each permanently failed call as a dead letter, so that it can be sent again later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.deadletters import TABLE
from aws_bedrock_inference.deadletters.making import KEPT, letter_of_call, loss_text
from aws_bedrock_inference.deadletters.sending import being_sent
from aws_bedrock_inference.events import DeadLetterKept, DeadLetterLost
from aws_bedrock_inference.flow import ABANDONED, ask, emit
from aws_bedrock_inference.policies.order import Ordered

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.envelope import Redact, Seal
    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
    from aws_bedrock_inference.deadletters.store import LetterStore
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Effect, Flow, Step


class DeadLetter(Ordered):
    """A policy that stores each permanently failed call as a dead letter, with its complete request.

    * `store`: the store of a `DeadLetterQueue`, or a `DeadLetterQueue` itself.
    * `tags`: names and values that are added to each dead letter, in addition to the request's own `requestMetadata`.
    * `seal`, `redact`: the same options as in `DeadLetterQueue`.

    A cancelled call has not failed, and is not stored. The same is true for a stream from which the caller stopped
    reading. The caller always receives the call's own exception, even if the store of dead letters fails. The exception
    is raised after the dead letter is stored. This delays the exception by at most 10 s.

    Refuses no call. Emits `DeadLetterKept` and `DeadLetterLost`. Raises `ValueError` for invalid options.
    """

    def __init__(
        self,
        store: str | Path | LetterStore | DeadLetterQueue = TABLE,
        *,
        tags: Mapping[str, str] | None = None,
        seal: Seal | None = None,
        redact: Redact | None = None,
    ) -> None:
        given: Any = tags  # it may have any type
        if tags is not None and not (
            isinstance(given, Mapping) and all(isinstance(part, str) for pair in given.items() for part in pair)
        ):
            raise ValueError(
                f"DeadLetter(tags={shown(tags)}): pass names and texts in a dictionary, such as {{'team': 'search'}}"
            )
        from aws_bedrock_inference.deadletters.keeper import Keeper  # noqa: PLC0415 - it loads asyncio

        self._keeper = Keeper(store, seal=seal, redact=redact)
        self.queue = self._keeper.queue
        self.tags = dict(tags or {})

    def around(self, step: Step, clock: Clock) -> Step:  # noqa: ARG002 - letters use the time of day
        """Return a step that runs `step` (the rest of the pipeline), and stores the calls that fail in it."""

        def flow(call: Call) -> Flow:
            outcome = yield from step(call)
            fault = outcome.fault
            if fault is None or fault is ABANDONED or call.operation not in KEPT:
                return outcome
            kept = being_sent.get() or (yield from self._kept(call, outcome, fault))
            return outcome._replace(made=replace(outcome.made, letter_id=kept)) if kept else outcome

        return flow

    def _kept(self, call: Call, outcome: Outcome, fault: Fault) -> Generator[Effect, Any, str | None]:
        """Store the failed call, and return the id of its dead letter, or None if it could not be stored."""
        keeper = self._keeper
        try:
            letter = letter_of_call(call, outcome, keeper.now(), self.tags)
            yield from ask(keeper.keep(letter))
        except Exception as error:  # noqa: BLE001 - whatever a store does, the call's own exception is raised
            yield from emit(DeadLetterLost(call.route, fault, keeper.place, loss_text(error)))
            return None
        yield from emit(DeadLetterKept(call.route, fault, letter.id))
        return letter.id

    def close(self) -> None:
        """Close the connections and files of the store of dead letters. The next dead letter opens them again."""
        self.queue.close()

    def __repr__(self) -> str:
        return f"DeadLetter({self._keeper.place!r})"
