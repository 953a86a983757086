"""Carry out a run for the command or `BatchRun`: open its files, read its input, send its records, and close its
files. A `Job` contains the options of the run.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.deadline.noted import noted_in
from aws_bedrock_inference.batch.ending import Ending
from aws_bedrock_inference.batch.fates import Changed, JournalBroken, State
from aws_bedrock_inference.batch.inputs import is_at_hand, open_input
from aws_bedrock_inference.batch.intake import Intake
from aws_bedrock_inference.batch.journal import Journal
from aws_bedrock_inference.batch.output import Output, adopted
from aws_bedrock_inference.batch.parking import Parking
from aws_bedrock_inference.batch.records import BadLine, Record
from aws_bedrock_inference.batch.rejects import rejecting
from aws_bedrock_inference.batch.runner import Run
from aws_bedrock_inference.batch.spooled import spooled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from aws_bedrock_inference.batch.answers import Answer
    from aws_bedrock_inference.batch.deadline.night import Night
    from aws_bedrock_inference.batch.job import Job
    from aws_bedrock_inference.batch.spooled import Spooled
    from aws_bedrock_inference.batch.tally import Tally


def opened_files(job: Job, say: Callable[[str], None]) -> tuple[Journal, Output]:
    """Open the output file and the journal.

    If the journal is new but the output file already has answers, copy these answers into the journal. Their records
    are then not sent again.
    """
    with contextlib.ExitStack() as opened:
        output = Output(job.target, say, in_order=job.order == "input")
        opened.callback(output.release)
        journal = opened.enter_context(Journal(job.journal))
        if not journal.size:
            journal.adopt(adopted(job.target))
        output.begin(journal)
        opened.pop_all()
    return journal, output


async def asked(
    job: Job,
    journal: Journal,
    output: Output,
    asker: Callable[[], Callable[[Record], Awaitable[Answer]]],
    tally: Tally,
    *,
    concurrency: int,
    room: Callable[[], bool] = lambda: True,
    complain: Callable[[BadLine], None] = lambda _: None,
    started: Callable[[Run | Night], None] = lambda _: None,
    notify: Callable[[], None] = lambda: None,
    night: Night | None = None,
) -> Ending:
    """Read the input, and send the records that have no result yet.

    `asker` is a function that returns another function, which sends one record. `asker` is called shortly before the
    first record is sent.

    `night` exists only for a run with a deadline. It decides whether the records are sent in a batch job or in calls.
    If it decides for a batch job, it first runs this job to its end. The records that have no result after the job are
    sent in calls.

    `started` receives the object that carries out the run: first `night` (only with a deadline), and later the `Run`,
    which sends the calls. To interrupt the run, call the method `interrupt` of the object that was received last.

    `notify` is called when the journal contains new fates. A fate states that a record is answered, has failed, or is
    sent again.

    Raises `ValueError` if the input cannot be used, or if a record was answered and its request has changed since then.
    """
    tally.lost = journal.begin(
        failed_too=job.redoes_failures, started=clock.wall(), pid=os.getpid(), source=job.source_name
    )
    tally.skipped = journal.counts()[State.ANSWERED]
    # If a record has changed, the run ends with an error. A file is therefore read completely before the first call. A
    # pipe is not, because it could take too long.
    read_first = job.sample is not None or (journal.size > 0 and is_at_hand(job.source))
    if night is None and (noted := noted_in(journal.facts())) is not None and noted.is_open:
        raise ValueError(
            f"the batch job {noted.job_id} for {job.output} has not ended. To continue with this job, "
            "pass --by again. To stop it, pass a short deadline, such as --by 1m"
        )
    intake = take_in(job, journal, tally, complain)
    with contextlib.closing(intake):
        try:
            if night is not None:
                started(night)
                ending = await _ended(partial(night.over, journal, output, tally, intake, notify), journal, job)
                if ending.early:
                    return ending
            run = Run(
                intake,
                asker(),
                journal,
                output,
                tally,
                concurrency=concurrency,
                parking=Parking(job.give_up_after),
                room=lambda: room() and (intake.ended or not read_first),
                brake=partial(_brake, job, tally),
                notify=notify,
            )
            started(run)
            ending = await _ended(run.over, journal, job)
            if night is not None:
                night.ended(ending)
            return ending
        finally:
            tally.fates = journal.counts()


def take_in(job: Job, journal: Journal, tally: Tally, complain: Callable[[BadLine], None]) -> Intake:
    """Start to read the input into the journal. If the journal already contains this input file, read nothing."""
    digest: bytes | None = None
    bad = 0

    def records() -> Iterator[Spooled | BadLine]:
        nonlocal digest, bad
        digest = _digest(job)
        if digest is None or not journal.knows_input(digest):
            for item in rejecting(records_of(job), job.target):
                bad += isinstance(item, BadLine)
                yield spooled(item, job.asking) if isinstance(item, Record) else item

    def complained(line: BadLine) -> None:
        tally.bad += 1
        complain(line)

    def finish() -> None:
        journal.note(model=job.model)
        if digest is not None and not bad:
            journal.note_input(digest)
        if job.sample is not None:
            journal.hold_all_but(job.sample)

    return Intake(records(), partial(journal.spool, on_change=job.on_change), complain=complained, finish=finish)


def _digest(job: Job) -> bytes | None:
    """Return a digest of the input file, the model, the system prompt and the template. Return None if the input is not
    a file.
    """
    if not isinstance(job.source, Path) or not job.source.is_file():
        return None
    with job.source.open("rb") as file:
        digest = file_digest(file, "blake2b")
    digest.update(repr((job.asking, job.template)).encode(errors="surrogatepass"))
    return digest.digest()


def records_of(job: Job) -> Iterator[Record | BadLine]:
    """Yield the records of the input, and a `BadLine` for each invalid line."""
    return open_input(job.source, template=job.template, region=job.region)


def _brake(job: Job, tally: Tally) -> str:
    """Return the reason why the run must stop now, such as too many failures. Return an empty text if there is no
    reason.
    """
    if job.max_failures is not None and tally.failed >= job.max_failures:
        return f"{tally.failed:,} records failed, and --max-failures is {job.max_failures:,}."
    return job.brake()


async def _ended(over: Callable[[], Awaitable[Ending]], journal: Journal, job: Job) -> Ending:
    """Call `over`, which carries out the run to its end. Return the ending of the run.

    If the input cannot be read or the journal cannot be written, the ending contains the reason. Raises `ValueError` if
    an earlier run answered a record, and the request of this record is different now.
    """
    try:
        return await over()
    except JournalBroken as error:
        return Ending(broken=str(error))
    except Changed as changed:
        before = journal.facts().get("model", job.model)
        what = f"the model was {before}" if before != job.model else "the system prompt or the prompt was different"
        raise ValueError(
            f"the answers in {job.output} belong to other requests than those of this run: {what}. The first changed "
            f"record is {str(changed)[:80]!r}. Choose another output file. Or pass --on-change keep to keep these "
            "answers, or --on-change ask to send their records again"
        ) from None
    except OSError as error:  # an error of the input, not of a call
        return Ending(broken=f"{job.source_name}: {error.strerror}." if error.strerror else str(error))


def closed_files(
    job: Job, journal: Journal, output: Output, ending: Ending, *, last: Callable[[], None] = lambda: None
) -> str:
    """Close the output file and the journal. Return the reason if a file is incomplete; otherwise return an empty text.

    `last` is called after the output file was written, or could not be written. The journal is still open at that time.
    """
    trouble = ""
    try:
        with contextlib.suppress(JournalBroken):
            journal.note(ended=ending.name, reason=ending.reason, parked="")
        if not journal.is_in_place:
            journal.rescue()
        # The command that continues the run needs its input, which may be the failures file.
        output.close(failures=not (ending.early and job.redoes_failures))
        trouble = output.trouble
    except OSError as error:
        trouble = f"{error.filename or journal.path}: {error.strerror or error}."
    finally:
        last()
        journal.close()
    return trouble
