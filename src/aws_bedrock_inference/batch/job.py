"""A batch job: one input file, one output file, one model, and the parts that run it."""

from __future__ import annotations

import asyncio  # noqa: TID251 - signals are taken by the loop in which the run lives
import contextlib
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.answers import asker
from aws_bedrock_inference.batch.feed import Feed
from aws_bedrock_inference.batch.journal import Journal
from aws_bedrock_inference.batch.records import Record, read_records
from aws_bedrock_inference.batch.runner import Run
from aws_bedrock_inference.clients.aclient import AsyncBedrockClient
from aws_bedrock_inference.events import QuotaQueued, StoreChanged
from aws_bedrock_inference.policies import Quota

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from aws_bedrock_inference.batch.records import BadLine
    from aws_bedrock_inference.batch.runner import Ending
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
    """The options of a job. `streamed` selects the records answered as streams; None for `concurrency` means a
    default.
    """

    source: Path
    output: Path
    model: str
    system: str | None = None
    max_tokens: int | None = None
    region: str | None = None
    endpoint_url: str | None = None
    session: Any = None
    rpm: float | None = None
    tpm: float | None = None
    store: str | None = None
    concurrency: int | None = None
    streamed: Callable[[Record], bool] = lambda _: False

    @property
    def source_name(self) -> str:
        """The input's name for messages."""
        return "standard input" if self.source == DASH else str(self.source)

    @property
    def failed(self) -> Path:
        """The file for records that failed."""
        return Journal.failed_beside(self.output)

    @property
    def redoes_failures(self) -> bool:
        """True if the input is the failures file that this job writes."""
        return self.source.exists() and self.failed.exists() and self.source.samefile(self.failed)


async def carry_out(
    job: Job, tally: Tally, *, complain: Callable[[BadLine], None], say: Callable[[str], None]
) -> Ending:
    """Run the job. `tally` counts, `complain` receives invalid lines, `say` all other messages.

    Ctrl-C and SIGTERM end the job cleanly. Raises `ValueError` if a file cannot be used for its purpose.
    """
    limited = job.rpm is not None or job.tpm is not None
    quota = Quota(rpm=job.rpm, tpm=job.tpm, store=job.store)
    client = AsyncBedrockClient(
        job.model,
        region_name=job.region,
        endpoint_url=job.endpoint_url,
        session=job.session,
        quota=quota,
        priority="batch",
    )
    client.listen(tally.hear)
    client.listen(partial(_report_store, say))
    with Journal(job.output) as journal, _opened(job.source) as file:
        feed = Feed(_unanswered(read_records(file, job.source_name), journal, tally))
        run = Run(
            feed,
            asker(client, system=job.system, max_tokens=job.max_tokens, streamed=job.streamed),
            journal,
            tally,
            concurrency=job.concurrency or (_CONCURRENCY_WITH_QUOTA if limited else _CONCURRENCY),
            room=_room(client, quota),
            complain=complain,
        )
        async with client:
            with contextlib.closing(feed), _interruptible(run, tally, say):
                ending = await run.over()
        # Records that were not sent are only in the failures file if that is the input: then the file has to stay.
        journal.close(publish=not (ending.early and job.redoes_failures))
    return ending


def _report_store(say: Callable[[str], None], event: object) -> None:
    if isinstance(event, StoreChanged):
        say(event.message if event.available else f"{event.message}. The quota is not shared for now.")


def _unanswered(lines: Iterator[Record | BadLine], journal: Journal, tally: Tally) -> Iterator[Record | BadLine]:
    for line in lines:
        if isinstance(line, Record) and line.key in journal.answered:
            tally.skipped += 1
        else:
            yield line


def _room(client: AsyncBedrockClient, quota: Quota) -> Callable[[], bool]:
    """Return a function that says whether another call may join the queue for quota."""
    routes: set[Route] = set()

    def hear(event: object) -> None:
        if isinstance(event, QuotaQueued):
            routes.add(event.route)

    client.listen(hear)
    return lambda: sum(map(quota.waiting, routes)) < _ENOUGH_IN_LINE


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[BinaryIO]:
    if source == DASH:
        yield sys.stdin.buffer
    else:
        with source.open("rb") as file:
            yield file


@contextlib.contextmanager
def _interruptible(run: Run, tally: Tally, say: Callable[[str], None]) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the run cleanly, the second immediately, and the third kill the process."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    strikes = 0

    def strike() -> None:
        nonlocal strikes
        strikes += 1
        run.interrupt()
        if strikes == 1:
            say(f"Stopping: waiting for {tally.in_flight:,} calls in flight. Interrupt again to stop immediately.")
        else:
            for number in signals:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)

    with contextlib.suppress(NotImplementedError):  # on Windows Ctrl-C ends the run at once
        for number in signals:
            loop.add_signal_handler(number, strike)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in signals:
                loop.remove_signal_handler(number)
