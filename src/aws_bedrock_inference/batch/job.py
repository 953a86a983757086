"""A batch job: one input file, one output file, one model, and the parts that run it."""

from __future__ import annotations

import asyncio  # noqa: TID251 - signals are taken by the loop in which the run lives
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.answers import asker
from aws_bedrock_inference.batch.intake import Intake
from aws_bedrock_inference.batch.journal import Asking, Changed, Journal, JournalBroken, State
from aws_bedrock_inference.batch.journal_file import journal_of
from aws_bedrock_inference.batch.output import Output, adopted, failures_of
from aws_bedrock_inference.batch.parking import Parking
from aws_bedrock_inference.batch.records import Record, read_records
from aws_bedrock_inference.batch.runner import Ending, Run
from aws_bedrock_inference.clients.aclient import AsyncBedrockClient
from aws_bedrock_inference.events import QuotaQueued, StoreChanged
from aws_bedrock_inference.flow import Pipeline
from aws_bedrock_inference.policies import Degrade, Quota, standard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from aws_bedrock_inference.batch.records import BadLine
    from aws_bedrock_inference.batch.tally import Tally
    from aws_bedrock_inference.call import Route

DASH = Path("-")

# Without a quota only this bounds the load. With one, the ledger bounds it, and this many may be in flight at once.
_CONCURRENCY = 64
_CONCURRENCY_WITH_QUOTA = 512

# A few waiting calls are enough to use the whole quota; more would only wait longer in the queue.
_ENOUGH_IN_LINE = 8


@dataclass(frozen=True, kw_only=True)
class Job:
    """The options of a job. `streamed` selects the records answered as streams; `timeout` is the number of seconds for
    one record, with its waits and retries. None for `timeout` and `concurrency` means a default.

    `order` is that of the output: `arrival` appends each answer as it comes, `input` writes the file at the end.
    `on_change` says what becomes of an answer whose record would be asked something else now (another model, system
    prompt or prompt): `refuse` the run, `keep` the answer, or `ask` anew. `give_up_after` bounds the seconds for which
    the run stays parked. `brake` returns why the run must stop now, or nothing.
    """

    source: Path
    output: Path
    model: str
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    region: str | None = None
    endpoint_url: str | None = None
    session: Any = None
    rpm: float | None = None
    tpm: float | None = None
    store: str | None = None
    timeout: float | None = None
    concurrency: int | None = None
    streamed: Callable[[Record], bool] = lambda _: False
    pipeline: Pipeline | None = None
    order: Literal["arrival", "input"] = "arrival"
    on_change: Literal["refuse", "keep", "ask"] = "refuse"
    give_up_after: float | None = None
    max_failures: int | None = None
    sample: int | None = None
    brake: Callable[[], str] = lambda: ""

    @property
    def source_name(self) -> str:
        """The input's name for messages."""
        return "standard input" if self.source == DASH else str(self.source)

    @property
    def target(self) -> Path:
        """The file for the answers: what a symbolic link leads to, since the link must not be replaced."""
        return self.output.resolve() if os.path.islink(self.output) else self.output  # noqa: PTH114 - it never raises

    @property
    def failed(self) -> Path:
        """The file for records that failed."""
        return failures_of(self.target)

    @property
    def redoes_failures(self) -> bool:
        """True if the input is the failures file that this job writes."""
        return self.source.exists() and self.failed.exists() and self.source.samefile(self.failed)

    @property
    def journal(self) -> Path:
        """The file of the journal."""
        return journal_of(self.target)

    @property
    def asking(self) -> Asking:
        """What is asked of every record besides itself."""
        return Asking(self.model, self.system)


async def carry_out(
    job: Job, tally: Tally, *, complain: Callable[[BadLine], None], say: Callable[[str], None]
) -> Ending:
    """Run the job. `tally` counts, `complain` receives invalid lines, `say` all other messages.

    Ctrl-C and SIGTERM end the job cleanly at any time. Raises `ValueError` if a file cannot be used for its purpose.
    """
    with _interruptible(tally, say) as interruption:
        limited = job.rpm is not None or job.tpm is not None
        quota, pipeline = governing(job)
        client = AsyncBedrockClient(
            job.model,
            region_name=job.region,
            endpoint_url=job.endpoint_url,
            session=job.session,
            pipeline=pipeline,
            timeout=job.timeout,
            priority="batch",
        )
        client.listen(tally.hear)
        client.listen(partial(_report_store, say))
        async with client:
            # In a thread, so that an interruption is noticed while a long file is read.
            journal, output = await asyncio.to_thread(_opened_files, job, say)
            ending = Ending(broken="The run ended with an error.")
            try:
                tally.lost = journal.begin(started=clock.wall(), pid=os.getpid(), source=job.source_name)
                tally.skipped = journal.counts()[State.ANSWERED]
                compared = journal.size > 0 and job.source.is_file()
                intake = _intake(job, journal, tally, complain, await asyncio.to_thread(_digest, job))
                room = _room(client, quota)
                with contextlib.closing(intake):
                    run = Run(
                        intake,
                        asker(
                            client,
                            system=job.system,
                            max_tokens=job.max_tokens,
                            temperature=job.temperature,
                            streamed=job.streamed,
                        ),
                        journal,
                        output,
                        tally,
                        concurrency=job.concurrency or (_CONCURRENCY_WITH_QUOTA if limited else _CONCURRENCY),
                        parking=Parking(job.give_up_after),
                        room=lambda: room() and (intake.ended or not (compared or job.sample)),
                        brake=partial(_brake, job, tally),
                    )
                    interruption.of(run)
                    ending = await _ended(run, journal, job)
            finally:
                trouble = await asyncio.to_thread(_closed_files, job, journal, output, ending)
            return Ending(broken=trouble) if trouble and not ending.broken else ending


def _opened_files(job: Job, say: Callable[[str], None]) -> tuple[Journal, Output]:
    """Open the journal, with the answers of a file that has none, and the output."""
    with contextlib.ExitStack() as opened:
        output = Output(job.target, say, in_order=job.order == "input")
        opened.callback(output.release)
        journal = opened.enter_context(Journal(job.journal))
        if not journal.size:
            journal.adopt(adopted(job.target))
        output.begin(journal)
        opened.pop_all()
    return journal, output


def _intake(
    job: Job, journal: Journal, tally: Tally, complain: Callable[[BadLine], None], digest: bytes | None
) -> Intake:
    """Take the input in, unless the same file, by its digest, was taken in before."""

    def bad(line: BadLine) -> None:
        tally.bad += 1
        complain(line)

    def finish() -> None:
        journal.note(model=job.model)
        if digest is not None and not tally.bad:
            journal.note_input(digest)
        if job.sample is not None:
            journal.hold_all_but(job.sample)

    known = digest is not None and journal.knows_input(digest)
    spool = partial(journal.spool, asking=job.asking, on_change=job.on_change)
    return Intake(() if known else _records(job), spool, complain=bad, finish=finish)


def _digest(job: Job) -> bytes | None:
    """Return what tells this input, and all that is asked besides, from any other; None for a pipe."""
    if not job.source.is_file():
        return None
    with _opened(job) as file:
        content = file_digest(file, lambda: blake2b(digest_size=16)).digest()
    return blake2b(repr(job.asking).encode(errors="surrogatepass") + content, digest_size=16).digest()


def _records(job: Job) -> Iterator[Record | BadLine]:
    with _opened(job) as file:
        yield from read_records(file, job.source_name)


def _brake(job: Job, tally: Tally) -> str:
    """Return why the run must stop now, or nothing."""
    if job.max_failures is not None and tally.failed >= job.max_failures:
        return f"{tally.failed:,} records failed, and --max-failures is {job.max_failures:,}."
    return job.brake()


async def _ended(run: Run, journal: Journal, job: Job) -> Ending:
    """Run to the end; a file that can be read no further is one way to end."""
    try:
        return await run.over()
    except JournalBroken as error:
        return Ending(broken=str(error))
    except Changed as changed:
        before = journal.facts().get("model", job.model)
        what = f"they are of {before}" if before != job.model else "the system prompt or the prompt was another one"
        raise ValueError(
            f"{job.output} has answers to something else than what would be asked now: {what}, first for the record "
            f"{str(changed)[:80]!r}. Choose another file for the answers, or say --on-change keep to keep those "
            "answers, or --on-change ask to ask their records anew"
        ) from None
    except OSError as error:  # the input's; those of calls are their records' own
        return Ending(broken=f"{job.source_name}: {error.strerror or error}.")


def _closed_files(job: Job, journal: Journal, output: Output, ending: Ending) -> str:
    """Close the files, and return what keeps them from being what they should be."""
    trouble = ""
    try:
        with contextlib.suppress(JournalBroken):
            journal.note(ended=ending.name, reason=ending.reason, parked="")
        if not journal.is_in_place:
            journal.rescue()
        # The command that goes on must find its input, also if that is the failures file.
        output.close(failures=not (ending.early and job.redoes_failures))
        trouble = output.trouble
    except OSError as error:
        trouble = f"{error.filename or journal.path}: {error.strerror or error}."
    finally:
        journal.close()
    return trouble


def governing(job: Job) -> tuple[Quota, Pipeline]:
    """Return the quota and the pipeline of a job. What fails in a run is kept to be done again: no substitute takes its
    place.
    """
    if job.pipeline is None:
        quota = Quota(rpm=job.rpm, tpm=job.tpm, store=job.store)
        return quota, standard(quota)
    policies = [policy for policy in job.pipeline.policies if not isinstance(policy, Degrade)]
    return next(policy for policy in policies if isinstance(policy, Quota)), Pipeline(*policies)


def _report_store(say: Callable[[str], None], event: object) -> None:
    if isinstance(event, StoreChanged):
        say(event.message if event.available else f"{event.message}. The quota is not shared for now.")


def _room(client: AsyncBedrockClient, quota: Quota) -> Callable[[], bool]:
    """Return a function that says whether another call may join the queue for quota."""
    routes: set[Route] = set()

    def hear(event: object) -> None:
        if isinstance(event, QuotaQueued):
            routes.add(event.route)

    client.listen(hear)
    return lambda: sum(map(quota.waiting, routes)) < _ENOUGH_IN_LINE


@contextlib.contextmanager
def _opened(job: Job) -> Iterator[BinaryIO]:
    if job.source == DASH:
        if sys.stdin is None:
            raise ValueError("standard input is closed. Give an input file, or pipe the input in")
        yield sys.stdin.buffer
        return
    try:
        file = job.source.open("rb")
    except OSError as error:
        raise ValueError(f"{job.source}: {error.strerror}. Give an input file that can be read") from error
    with file:
        yield file


class _Interruption:
    """Ctrl-C and SIGTERM: the first ends the run cleanly, the second immediately, the third kills the process.

    They may come before there is a run; it ends then as soon as it begins.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, tally: Tally, say: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._tally = tally
        self._say = say
        self._run: Run | None = None
        self._strikes: list[int] = []

    def of(self, run: Run) -> None:
        """Interrupt this run."""
        self._run = run
        for number in self._strikes[:2]:
            run.interrupt(terminated=number == signal.SIGTERM)

    def strike(self, number: int) -> None:
        """Take a signal."""
        self._strikes.append(number)
        if self._run is not None:
            self._run.interrupt(terminated=number == signal.SIGTERM)
        if len(self._strikes) == 1:
            self._say(
                f"Stopping: waiting for {self._tally.in_flight:,} calls in flight. Interrupt again to stop immediately."
            )
        else:
            for each in self.SIGNALS:
                self._loop.remove_signal_handler(each)
                signal.signal(each, signal.SIG_DFL)


@contextlib.contextmanager
def _interruptible(tally: Tally, say: Callable[[str], None]) -> Iterator[_Interruption]:
    loop = asyncio.get_running_loop()
    interruption = _Interruption(tally, say)
    before = {number: signal.getsignal(number) for number in interruption.SIGNALS}
    with contextlib.suppress(NotImplementedError):  # on Windows Ctrl-C ends the run at once
        for number in interruption.SIGNALS:
            loop.add_signal_handler(number, interruption.strike, number)
    try:
        yield interruption
    finally:
        with contextlib.suppress(NotImplementedError):
            for number, handler in before.items():
                if loop.remove_signal_handler(number):
                    signal.signal(number, handler)
