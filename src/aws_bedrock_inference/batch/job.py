"""A batch job: one input file, one output file, one model, and the parts that run it."""

from __future__ import annotations

import asyncio  # noqa: TID251 - signals are taken by the loop in which the run lives
import contextlib
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.answers import asker
from aws_bedrock_inference.batch.feed import Feed
from aws_bedrock_inference.batch.inputs import open_input, source_name
from aws_bedrock_inference.batch.journal import Journal
from aws_bedrock_inference.batch.lines import WriteError
from aws_bedrock_inference.batch.records import Record
from aws_bedrock_inference.batch.rejects import rejecting
from aws_bedrock_inference.batch.runner import Ending, Run
from aws_bedrock_inference.clients.aclient import AsyncBedrockClient
from aws_bedrock_inference.events import QuotaQueued, StoreChanged
from aws_bedrock_inference.flow import Pipeline
from aws_bedrock_inference.policies import Degrade, Quota, standard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.batch.inputs import Source
    from aws_bedrock_inference.batch.records import BadLine
    from aws_bedrock_inference.batch.tally import Tally
    from aws_bedrock_inference.batch.template import Template
    from aws_bedrock_inference.call import Route

# Without a quota only this bounds the load. With one, the ledger bounds it, and this many may be in flight at once.
_CONCURRENCY = 64
_CONCURRENCY_WITH_QUOTA = 512

# A few waiting calls are enough to use the whole quota; more would only wait longer in the queue.
_ENOUGH_IN_LINE = 8


@dataclass(frozen=True, kw_only=True)
class Job:
    """The options of a job. `streamed` selects the records answered as streams; `timeout` is the number of seconds for
    one record, with its waits and retries. None for `timeout` and `concurrency` means a default.
    """

    source: Source
    output: Path
    model: str
    template: Template | None = None
    system: str | None = None
    max_tokens: int | None = None
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

    @property
    def source_name(self) -> str:
        """The input's name for messages."""
        return source_name(self.source)

    @property
    def failed(self) -> Path:
        """The file for records that failed."""
        return Journal.failed_beside(self.output)

    @property
    def redoes_failures(self) -> bool:
        """True if the input is the failures file that this job writes."""
        return (
            isinstance(self.source, Path)
            and self.source.exists()
            and self.failed.exists()
            and self.source.samefile(self.failed)
        )


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
            with await asyncio.to_thread(Journal, job.output) as journal:
                feed = Feed(_unanswered(job, journal, tally))
                run = Run(
                    feed,
                    asker(client, system=job.system, max_tokens=job.max_tokens, streamed=job.streamed),
                    journal,
                    tally,
                    concurrency=job.concurrency or (_CONCURRENCY_WITH_QUOTA if limited else _CONCURRENCY),
                    room=_room(client, quota),
                    complain=complain,
                )
                with contextlib.closing(feed):
                    interruption.of(run)
                    return await _ended(run, journal, job)


async def _ended(run: Run, journal: Journal, job: Job) -> Ending:
    """Run to the end and close the files; a file that can no longer be written or read is one way to end."""
    try:
        ending = await run.over()
    except WriteError as error:
        ending = Ending(broken=str(error))
    except OSError as error:  # the input's; those of calls are their records' own
        ending = Ending(broken=f"{job.source_name}: {error.strerror}." if error.strerror else str(error))
    try:
        # Records that were not sent are only in the failures file if that is the input: then the file has to stay.
        journal.close(publish=not (ending.early and job.redoes_failures))
    except WriteError as error:
        ending = ending if ending.broken else Ending(broken=str(error))
    if journal.unwritten:
        lost = f" {journal.unwritten:,} answers could not be written; the next run asks for them again."
        ending = Ending(broken=ending.broken + lost)
    return ending


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


def _unanswered(job: Job, journal: Journal, tally: Tally) -> Iterator[Record | BadLine]:
    items = open_input(job.source, template=job.template, region=job.region)
    for item in rejecting(items, job.output):
        if isinstance(item, Record) and item.key in journal.answered:
            tally.skipped += 1
        else:
            yield item


def _room(client: AsyncBedrockClient, quota: Quota) -> Callable[[], bool]:
    """Return a function that says whether another call may join the queue for quota."""
    routes: set[Route] = set()

    def hear(event: object) -> None:
        if isinstance(event, QuotaQueued):
            routes.add(event.route)

    client.listen(hear)
    return lambda: sum(map(quota.waiting, routes)) < _ENOUGH_IN_LINE


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
