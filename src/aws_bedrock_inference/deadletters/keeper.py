"""The queue as its policy uses it: letters are written by a few threads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
from aws_bedrock_inference.stores.worker import Queued, Worker

if TYPE_CHECKING:
    from aws_bedrock_inference.deadletters.envelope import Redact, Seal
    from aws_bedrock_inference.deadletters.letter import Letter, Summary

# Letters that are written at once: in an outage thousands of calls fail together, and each of the others waits.
THREADS = 4


class Keeper:
    """Keeps letters in `store`, which is that of a `DeadLetterQueue`, or such a queue.

    Raises `ValueError` and `StoreUnusable`, as the queue does.
    """

    def __init__(self, store: Any, *, seal: Seal | None, redact: Redact | None) -> None:
        if not isinstance(store, DeadLetterQueue):
            store = DeadLetterQueue(store, seal=seal, redact=redact)
        elif seal is not None or redact is not None:
            raise ValueError("DeadLetter(queue): the queue has its own seal and redact; give them to the queue")
        self.queue: DeadLetterQueue = store
        self.place = store.store.place
        self.now = store.store.now
        self._worker = Worker(THREADS, name="bedrock-letters")

    def keep(self, letter: Letter) -> Queued[Summary]:
        """Keep a letter."""
        return Queued(partial(self.queue.keep, letter), self.queue.store.limit, self.place, self._worker)
