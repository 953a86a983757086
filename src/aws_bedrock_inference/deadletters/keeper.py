"""Store the dead letters of the policy `DeadLetter`. A few threads write the letters, so that a call does not wait for
the store.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
from aws_bedrock_inference.stores.worker import Queued, Worker

if TYPE_CHECKING:
    from aws_bedrock_inference.deadletters.envelope import Redact, Seal
    from aws_bedrock_inference.deadletters.letter import Letter, Summary

# The maximum number of letters that are written at the same time. In an outage, thousands of calls fail together; all
# other letters wait in a queue.
THREADS = 4


class Keeper:
    """Stores dead letters in `store`, which is a `DeadLetterQueue` or any store that such a queue accepts.

    Raises the same exceptions as `DeadLetterQueue` if `store` is invalid or cannot be used.
    """

    def __init__(self, store: Any, *, seal: Seal | None, redact: Redact | None) -> None:
        if not isinstance(store, DeadLetterQueue):
            store = DeadLetterQueue(store, seal=seal, redact=redact)
        elif seal is not None or redact is not None:
            raise ValueError(
                "DeadLetter(queue): the queue has its own seal and redact. Pass seal and redact to the DeadLetterQueue"
            )
        self.queue: DeadLetterQueue = store
        self.place = store.store.place
        self.now = store.store.now
        self._worker = Worker(THREADS, name="bedrock-letters")

    def keep(self, letter: Letter) -> Queued[Summary]:
        """Store a dead letter."""
        return Queued(partial(self.queue.keep, letter), self.queue.store.limit, self.place, self._worker)
