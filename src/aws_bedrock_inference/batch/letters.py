"""Store the failures of a run as dead letters, one dead letter for each failed record."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from uuid import uuid4

from aws_bedrock_inference.batch.keys import Keys
from aws_bedrock_inference.batch.records import Record
from aws_bedrock_inference.call import Outcome, Route
from aws_bedrock_inference.deadletters.making import letter_of_error, loss_text
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.raising import error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aws_bedrock_inference.batch.ending import Ending
    from aws_bedrock_inference.batch.job import Job
    from aws_bedrock_inference.batch.journal import Journal
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.letter import Letter, Summary
    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
    from aws_bedrock_inference.exceptions import BedrockError
    from aws_bedrock_inference.policies import DeadLetter

Row: TypeAlias = tuple[int, str, str, str]
"""A failed record in the journal: its number, text, id and error."""

_PAGE = 1000
_THREADS = 4


class Kept(NamedTuple):
    """The result of storing dead letters.

    `failures` is the number of failed records whose dead letters are in the store `place`. `discarded` is the number of
    dead letters that were discarded.
    """

    place: str
    failures: int
    discarded: int


def keep_letters(
    policy: DeadLetter, job: Job, journal: Journal, ending: Ending, *, region: str, say: Callable[[str], None]
) -> Kept | None:
    """Store a dead letter for each failure in the journal. Discard the letters of records that are now answered.

    If the run was interrupted, or gave up because of a fault that affects every record, no new letters are stored. The
    user can continue such a run later, and its failed records can then be answered.

    If the store fails, `say` receives the reason, and None is returned.
    """
    if ending.broken:
        return None
    queue = policy.queue
    try:
        with contextlib.closing(queue):
            name = _name(journal)
            tags = {**policy.tags, "run": job.output.name, "journal": name}
            there, discarded = _looked_through(queue, journal, name)
            failures = 0
            if ending.name in ("complete", "stopped"):
                failures = _kept(queue, journal, there, partial(_letter, job, region, tags, queue.store.now))
            return Kept(queue.store.place, failures, discarded)
    except Exception as trouble:  # noqa: BLE001 - a store may raise anything, and the failures file has all failures
        say(f"Failures were not stored as dead letters: {loss_text(trouble).rstrip('.')}. They are in {job.failed}.")
        return None


def _name(journal: Journal) -> str:
    """Return the random name that marks the dead letters of this journal.

    The name of the output file would not distinguish the dead letters of two runs: both runs can write to a file
    `answers.jsonl`, in different directories.
    """
    name = journal.facts().get("letters")
    if name is None:
        name = uuid4().hex
        journal.note(letters=name)
    return str(name)


def _looked_through(queue: DeadLetterQueue, journal: Journal, name: str) -> tuple[Keys, int]:
    """Discard the letters of answered records. Return the numbers of the records whose dead letters remain, and the
    number of discarded letters.
    """
    there, discarded = Keys(), 0
    for summary in _letters(queue, name):
        number = summary.tags["number"]
        if journal.is_answered(int(number)):
            with contextlib.suppress(ValueError):  # a redrive has claimed the letter
                discarded += queue.discard(summary.id)
        else:
            there.add(number)
    return there, discarded


def _letters(queue: DeadLetterQueue, name: str) -> Iterator[Summary]:
    """Yield the dead letters of the journal with the name `name`. Only letters in the states `dead` and `claimed` are
    included. `claimed` means that a redrive is sending the letter.
    """
    for state in ("dead", "claimed"):
        after = None
        while True:
            summaries, after = queue.page_of_summaries(_PAGE, state=state, after=after, tag=f"journal={name}")
            yield from summaries
            if after is None:
                break


def _kept(queue: DeadLetterQueue, journal: Journal, there: Keys, letter: Callable[[Row], Letter]) -> int:
    """Store a dead letter for each failed record that has no dead letter yet. Return the number of all failures.

    `there` contains the records that already have a letter.
    """
    failures = 0
    with ThreadPoolExecutor(_THREADS, "bedrock-letters") as pool:
        for rows in journal.failed():
            new = (letter(row) for row in rows if str(row[0]) not in there)
            deque(pool.map(queue.keep, new), maxlen=0)  # the first failure is raised here and cancels the other letters
            failures += len(rows)
    return failures


def _letter(job: Job, region: str, tags: Mapping[str, str], now: Clock, row: Row) -> Letter:
    """Return the dead letter for a failed record. The letter contains the complete call and the error."""
    number, source, key, text = row
    request, entry = job.request(Record(key, json.loads(source))), json.loads(text)
    error = _exception(entry, Route(job.model, region), "invoke_model" if "body" in request else "converse")
    metadata = {"input": job.source_name, "attempts": entry["attempts"]}
    return letter_of_error(request, error, metadata, now(), {**tags, "record": key, "number": str(number)})


def _exception(entry: dict[str, Any], route: Route, operation: str) -> BedrockError:
    """Return the exception of a failed call, built from its error `entry` in the journal."""
    cause = catalogue().causes.get(entry["cause"])
    fault = Fault(
        code=entry["code"],
        message=entry["errorMessage"],
        kind=Kind.UNKNOWN if entry["attempts"] else Kind.REFUSED,
        decision=Decision(entry["decision"]),
        category=cause.category if cause else Category.UNKNOWN,
        cause=entry["cause"],
        advice=entry["advice"],
        status=entry["errorCode"],
        request_id=entry["requestId"],
    )
    return error_of(Outcome(fault=fault), operation, route)
