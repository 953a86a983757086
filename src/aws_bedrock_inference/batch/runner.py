"""The run: it keeps as many records in flight as allowed and writes each answer as it arrives.

Records that failed with a transient fault are queued again and sent later.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the batch runner lives in asyncio
import heapq
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Protocol

from aws_bedrock_inference.batch.answers import Answer, error_line, unexpected
from aws_bedrock_inference.batch.records import BadLine, Record
from aws_bedrock_inference.dialects.usage import FILTERED, TRUNCATED
from aws_bedrock_inference.exceptions import BedrockError
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind
from aws_bedrock_inference.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aws_bedrock_inference.batch.journal import Journal
    from aws_bedrock_inference.batch.tally import Tally

# The run ends after this many records failed in a row for one reason that does not depend on the record.
HOPELESS_AFTER = 5
_HOPELESS_KINDS = frozenset({Kind.DENIED, Kind.NOT_FOUND, Kind.UNREACHABLE})
_HOPELESS_CAUSES = frozenset(
    {"on-demand-not-supported-use-inference-profile", "tokens-per-day-exhausted", "daily-quota-exhausted"}
)

# A record that is queued again waits at least 5 s, then 10 s, 20 s; shorter faults were handled by the client's
# retries.
_FIRST_PAUSE = 5.0

# Records queued again are kept in memory; at this number, no new ones are read until some of them are done.
_MOST_PUT_BACK = 1000

# The interval, in seconds, of checks whether the queue for quota has room for more.
_GLANCE = 0.05


class Source(Protocol):
    """A source of records."""

    async def get(self) -> Record | BadLine | None:
        """Return the next record, or None at the end."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run: `interrupted` by the user, stopped by a `fault` that affects every record, `broken` by a file
    that cannot be written, or complete. `terminated` tells SIGTERM from Ctrl-C.
    """

    interrupted: bool = False
    fault: Fault | None = None
    broken: str = ""
    terminated: bool = False

    @property
    def early(self) -> bool:
        """True if some records were not sent."""
        return self.interrupted or self.fault is not None or bool(self.broken)


class Run:
    """A run that sends the records of `source`, writes the results to `journal` and counts them in `tally`.

    At most `concurrency` records are in flight, and no record is taken while `room` returns False. A record with a
    transient fault is queued again, up to `rounds` times (3: with the client's retries this covers several minutes),
    and sent after the others. `grace` (5) is the number of seconds that calls in flight may take to end after
    `interrupt`. `complain` receives invalid lines. Errors that do not belong to a record, such as a full disk or a
    store that cannot be used, are raised.
    """

    def __init__(
        self,
        source: Source,
        ask: Callable[[Record], Awaitable[Answer]],
        journal: Journal,
        tally: Tally,
        *,
        concurrency: int,
        room: Callable[[], bool] = lambda: True,
        rounds: int = 3,
        grace: float = 5.0,
        complain: Callable[[BadLine], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._ask = ask
        self._journal = journal
        self._tally = tally
        self._free = asyncio.Semaphore(concurrency)
        self._room = room
        self._rounds = rounds
        self._grace = grace
        self._complain = complain
        self._sleep = sleep
        self._read_all = False
        self._back: list[tuple[float, int, int, Record]] = []
        self._order = count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._taking: asyncio.Task[None] | None = None
        self._ending = Ending()
        self._streak: tuple[str, int] = ("", 0)
        self._last_hopeless: Fault | None = None

    async def over(self) -> Ending:
        """Run to the end and return how the run ended."""
        if not self._ending.early:
            self._taking = asyncio.create_task(self._take())
            await asyncio.wait({self._taking})
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0 if self._ending.fault else self._grace)
        for task in self._tasks:
            task.cancel()
        tasks = [*self._tasks, *([self._taking] if self._taking else [])]
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error
        if not self._ending.early and self._last_hopeless and self._streak[1] == self._tally.failed:
            return Ending(fault=self._last_hopeless)  # fewer than that many, and none was answered
        return self._ending

    def interrupt(self, *, terminated: bool = False) -> None:
        """Take no more records and let the calls in flight end; the second time, end immediately."""
        if self._ending.early:
            for task in self._tasks:
                task.cancel()
        else:
            self._stop(Ending(interrupted=True, terminated=terminated))

    async def _take(self) -> None:
        while True:
            await self._free.acquire()
            taken = await self._next()
            if taken is None:
                return
            self._tally.in_flight += 1
            task = asyncio.create_task(self._carry(*taken))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    async def _next(self) -> tuple[Record, int] | None:
        """Return a record and how often it was queued again. New records come first, so that a fault has time to
        pass.
        """
        while True:
            if not self._room():
                await self._sleep(_GLANCE)
            elif self._back and (self._read_all or len(self._back) >= _MOST_PUT_BACK):
                wait = self._back[0][0] - self._tally.clock()
                if wait <= 0:
                    *_, rounds, record = heapq.heappop(self._back)
                    self._tally.put_back -= 1
                    return record, rounds
                await self._sleep(min(wait, 1.0))
            elif not self._read_all:
                item = await self._source.get()
                if isinstance(item, Record):
                    return item, 0
                self._pass_over(item)
            elif self._tasks:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            else:
                return None

    def _pass_over(self, item: BadLine | None) -> None:
        if item is None:
            self._read_all = True
        else:
            self._tally.bad += 1
            self._complain(item)

    async def _carry(self, record: Record, rounds: int) -> None:
        try:
            answer = await self._ask(record)
        except BedrockError as error:
            if rounds < self._rounds and _passes(error.fault):
                self._put_back(record, rounds, error.fault)
            else:
                self._fail(record, error.fault, error.attempts)
        except StoreUnavailable:
            raise  # the quota cannot be shared: that ends the run, as a full disk does
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this record and ends no run
            self._fail(record, unexpected(error))
        else:
            self._keep(record, answer)
        finally:
            self._tally.in_flight -= 1
            self._free.release()

    def _keep(self, record: Record, answer: Answer) -> None:
        try:
            self._journal.answer(answer.line)
        except (RecursionError, TypeError, ValueError) as error:
            self._fail(record, unexpected(error))
            return
        self._tally.answer()
        self._tally.truncated += answer.stop_reason in TRUNCATED
        self._tally.filtered += answer.stop_reason in FILTERED
        self._streak = ("", 0)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Nothing more can be written: end the run, and let `over` raise the error.
            self._tasks.add(task)
            self._stop(Ending(interrupted=True))

    def _put_back(self, record: Record, rounds: int, fault: Fault) -> None:
        due = self._tally.clock() + max(_FIRST_PAUSE * 2**rounds, fault.stated_wait)
        heapq.heappush(self._back, (due, next(self._order), rounds + 1, record))
        self._tally.put_back += 1

    def _fail(self, record: Record, fault: Fault, attempts: int = 1) -> None:
        self._tally.fail(fault)
        if hits_every_record(fault):
            self._last_hopeless = fault
            self._streak = (fault.cause, self._streak[1] + 1 if self._streak[0] == fault.cause else 1)
            if self._streak[1] >= HOPELESS_AFTER:
                self._stop(Ending(fault=fault))
        self._journal.fail(record, error_line(fault, attempts))

    def _stop(self, ending: Ending) -> None:
        if not self._ending.early:
            self._ending = ending
            if self._taking is not None:
                self._taking.cancel()


def _passes(fault: Fault) -> bool:
    """Return whether the fault is transient, so that a later attempt can succeed."""
    heals = fault.decision is Decision.RETRY or fault.category is Category.TRANSIENT
    return heals and fault.cause not in _HOPELESS_CAUSES


def hits_every_record(fault: Fault) -> bool:
    """Return whether the fault affects every record: credentials, access, the model, the endpoint, the daily quota."""
    return fault.kind in _HOPELESS_KINDS or fault.cause in _HOPELESS_CAUSES
