"""Keep what has failed for good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.background import BackgroundFull
from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.deadletters.making import KEPT, letter_of_call
from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
from aws_bedrock_inference.deadletters.sending import being_sent
from aws_bedrock_inference.deadletters.store import TABLE
from aws_bedrock_inference.events import DeadLetterKept, DeadLetterLost
from aws_bedrock_inference.flow import ABANDONED, ask, emit
from aws_bedrock_inference.stores.request import StoreUnavailable
from aws_bedrock_inference.stores.worker import Queued, Worker

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.envelope import Redact, Seal
    from aws_bedrock_inference.deadletters.store import LetterStore
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Effect, Flow, Step

# Letters that are written at once: in an outage thousands of calls fail together, and each of the others waits.
THREADS = 4


class DeadLetter:
    """A policy that keeps each call which has failed for good, whole, as a dead letter.

    `store` is that of a `DeadLetterQueue`, or such a queue. `tags` are names and values that each letter gets, beside
    the request's own `requestMetadata`. `seal` and `redact` are those of the queue.

    A call that was cancelled has not failed, nor has a stream that its consumer left. A store that fails changes
    nothing: the call's own exception is raised. The failed call ends when its letter is kept, or after 10 s.

    Refuses nothing. Emits `DeadLetterKept` and `DeadLetterLost`.
    """

    def __init__(
        self,
        store: str | Path | LetterStore | DeadLetterQueue = TABLE,
        *,
        tags: Mapping[str, str] | None = None,
        seal: Seal | None = None,
        redact: Redact | None = None,
    ) -> None:
        given: Any = tags  # whatever it really is
        if tags is not None and not (
            isinstance(given, Mapping) and all(isinstance(part, str) for pair in given.items() for part in pair)
        ):
            raise ValueError(f"DeadLetter(tags={shown(tags)}): give names and texts, such as {{'team': 'search'}}")
        if isinstance(store, DeadLetterQueue):
            if seal is not None or redact is not None:
                raise ValueError("DeadLetter(queue): the queue has its own seal and redact; give them to the queue")
            self.queue = store
        else:
            self.queue = DeadLetterQueue(store, seal=seal, redact=redact)
        self.tags = dict(tags or {})
        self._worker = Worker(THREADS, name="bedrock-letters")

    def around(self, step: Step, clock: Clock) -> Step:  # noqa: ARG002 - letters have the time of day
        """Return `step`, and keep what it fails on."""

        def flow(call: Call) -> Flow:
            outcome = yield from step(call)
            fault = outcome.fault
            if fault is None or fault is ABANDONED or call.operation not in KEPT:
                return outcome
            kept = being_sent.get() or (yield from self._kept(call, outcome, fault))
            return outcome._replace(made=replace(outcome.made, letter_id=kept)) if kept else outcome

        return flow

    def _kept(self, call: Call, outcome: Outcome, fault: Fault) -> Generator[Effect, Any, str | None]:
        """Return the id of the letter; None if it could not be kept."""
        store = self.queue.store
        try:
            letter = letter_of_call(call, outcome, store.now(), self.tags)
            work = partial(self.queue.keep, letter)
            yield from ask(Queued(work, store.limit, store.place, self._worker))
        except Exception as error:  # noqa: BLE001 - whatever a store does, the call's own exception is raised
            told = str(error) if isinstance(error, (StoreUnavailable, BackgroundFull)) else type(error).__name__
            yield from emit(DeadLetterLost(call.route, fault, store.place, told))
            return None
        yield from emit(DeadLetterKept(call.route, fault, letter.id))
        return letter.id

    def close(self) -> None:
        """Release connections and files; a later letter opens again what it needs."""
        self.queue.close()

    def __repr__(self) -> str:
        return f"DeadLetter({self.queue.store.place!r})"
