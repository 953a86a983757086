"""Claim dead letters, so that only one process at a time sends a letter.

A *redrive* sends letters again. It claims a letter for a limited time (the *lease*), sends the letter, and records the
result. If another redrive has taken over the letter, the result of the first redrive is not recorded.

    dead ──claim──► claimed ──answered──► redriven
     ▲                 │
     └──failed again───┤
                       └──lease expired: another redrive takes the letter over, marked as possibly sent
"""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.deadletters.letter import Redriven
from aws_bedrock_inference.deadletters.making import failure_text, summary_after
from aws_bedrock_inference.deadletters.sending import answer_of, check_client, send
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.stores.request import StoreUnavailable, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.deadletters.letter import Letter, State, Summary
    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue

LEASE = 1000.0
"""The seconds for which a letter is claimed. The call that sends the letter can take at most nine tenths of this
time, which is 900 s, the default total timeout.
"""


T = TypeVar("T")

# Seconds to wait before each new request to a store that failed.
PAUSES = (0.5, 1.0, 2.0)


def patient(ask: Callable[[], T]) -> T:
    """Call `ask`, and after each transient failure call it again, up to three times. `ask` sends a request to a store.

    A redrive must not stop at the first failure of the store, because it must record the results of its calls in
    flight.
    """
    for pause in PAUSES:
        try:
            return ask()
        except StoreUnusable:
            raise
        except StoreUnavailable:
            clocks.sleep(pause)
    return ask()


def owner_name() -> str:
    """Return a unique name for one redrive, which identifies the dead letters that it has claimed."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


def claim(queue: DeadLetterQueue, summary: Summary, owner: str, lease: float) -> Summary | None:
    """Claim a dead letter and return its new summary. Return None if another redrive has already claimed it.

    If the letter is in the state `claimed`, the caller must first check that this claim has expired. The new claim then
    replaces the expired claim. The letter's history records that the previous redrive possibly sent the request.
    """
    now = queue.store.now()
    taken_over = summary.state == "claimed"
    claimed = replace(
        summary,
        state="claimed",
        version=summary.version + 1,
        owner=owner,
        lease=lease,
        until=now + lease,
        history=summary.noted(Redriven(now, "unknown", summary.owner)) if taken_over else summary.history,
    )
    return claimed if patient(lambda: queue.store.update(claimed, summary.version)) else None


def release(
    queue: DeadLetterQueue, claimed: Summary, state: State, entry: Redriven, answer: Any = None, **changes: Any
) -> bool:
    """End the claim of a dead letter, and record the result of sending it: the new `state`, the `answer`, and `entry`
    in its history. If another redrive has taken over the letter, record nothing and return False.
    """
    ended = replace(
        claimed,
        state=state,
        version=claimed.version + 1,
        owner="",
        lease=0.0,
        until=0.0,
        history=claimed.noted(entry),
        **changes,
    )
    if answer is None:
        return patient(lambda: queue.store.update(ended, claimed.version))
    try:
        packed = queue.packed_answer(answer, sealed=claimed.sealed)
        return patient(lambda: queue.store.update(ended, claimed.version, packed))
    except StoreUnavailable as trouble:
        # The answer may be too large. Store the result without the answer, because a letter without a result is sent
        # again.
        done = patient(lambda: queue.store.update(ended, claimed.version))
        LOGGER.error("dead letter %s was sent, but its answer was not stored: %s", claimed.id, trouble)
        return done


def put_back(queue: DeadLetterQueue, summary: Summary) -> None:
    """End the expired claim of a dead letter: set its state to `dead`, and record in its history that its request was
    possibly sent.
    """
    entry = Redriven(queue.store.now(), "unknown", summary.owner)
    release(queue, summary, "dead", entry)


def retried(queue: DeadLetterQueue, letter: Letter, client: Any) -> Any:
    """Send the request of one dead letter, and return the result. The cause of the failure is ignored. A letter that
    was redriven or discarded is sent, too.

    Raises the exceptions of the client. Raises `ValueError` if another redrive has claimed the letter.
    """
    check_client(client)
    before, owner = letter.summary, owner_name()
    held = before.state == "claimed" and not queue.store.has_lapsed(before)
    claimed = None if held else claim(queue, before, owner, LEASE)
    if claimed is None:
        raise ValueError(
            f"dead letter {letter.id} is claimed by another redrive; try again when that redrive has ended"
        )
    back: State = before.state if before.finished else "dead"
    try:
        result = send(letter, client)
        answer = answer_of(result)
    except Exception as error:
        now = queue.store.now()
        entry = Redriven(now, "failed", owner, failure_text(error))
        recorded(queue, claimed, back, entry, **summary_after(claimed, error, now))
        raise
    except BaseException:  # interrupted: the request may have been sent
        recorded(queue, claimed, back, Redriven(queue.store.now(), "unknown", owner))
        raise
    recorded(queue, claimed, "redriven", Redriven(queue.store.now(), "success", owner), answer)
    return result


def recorded(queue: DeadLetterQueue, claimed: Summary, *end: Any, **changes: Any) -> str:
    """Record the result of sending a dead letter. Return an empty text, or the reason if the store failed.

    No exception is raised, because a failed store must not hide the answer or the failure of the call.
    """
    try:
        problem = (
            ""
            if release(queue, claimed, *end, **changes)
            else "the lease of the dead letter had expired, and another redrive had claimed the letter"
        )
    except StoreUnavailable as trouble:
        problem = str(trouble)
    if problem:
        LOGGER.error(
            "dead letter %s was sent, but the result could not be recorded, so the letter may be sent again: %s",
            claimed.id,
            problem,
        )
    return problem
