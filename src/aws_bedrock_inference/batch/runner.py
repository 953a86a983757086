"""Send the records of a run, and write the fate of each record to the journal. A fate states that a record is answered,
has failed, or is sent again.

The run works in *turns*. A turn is one transaction in the journal: it writes new fates, and selects the records to send
next. If the process is killed, only the fates that were not yet written are lost. The next run sends the records with
lost fates again.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the batch runner lives in asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.asking import fate_of
from aws_bedrock_inference.batch.delayed import Delayed
from aws_bedrock_inference.batch.ending import Ending
from aws_bedrock_inference.batch.fates import Changed, Fate, JournalBroken, State
from aws_bedrock_inference.batch.parking import Parking
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.knowledge.every_record import passes_soon

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aws_bedrock_inference.batch.answers import Answer
    from aws_bedrock_inference.batch.intake import Intake
    from aws_bedrock_inference.batch.journal import Journal
    from aws_bedrock_inference.batch.output import Output
    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.batch.tally import Tally

# The maximum number of fates in one turn, and the seconds for which a turn waits for more fates while calls are in
# flight.
_MOST = 100
_GATHER = 0.01

_CHECK_EVERY = 0.05  # seconds between two checks whether the queue for quota has room


class Run:
    """Sends the records of a run. `intake` reads the records from the input into `journal`. The answers are written to
    `output`. `tally` counts the answers and the failures.

    At most `concurrency` records are in flight. While `room` returns False, the run sends no further records. For
    example, `room` returns False while many calls wait for quota.

    A record that fails with a transient fault is sent again after the other records, up to `rounds` times. The default
    of 3 rounds takes several minutes, because each round includes the client's retries.

    `parking` decides when the run stops sending because of a fault that affects every record. `brake` returns the
    reason why the run must stop now, or an empty text. `notify` is called when the journal contains new results. After
    `interrupt`, calls in flight have `grace` seconds (default 5) to end.
    """

    def __init__(
        self,
        intake: Intake,
        ask: Callable[[Record], Awaitable[Answer]],
        journal: Journal,
        output: Output,
        tally: Tally,
        *,
        concurrency: int,
        parking: Parking | None = None,
        room: Callable[[], bool] = lambda: True,
        brake: Callable[[], str] = lambda: "",
        notify: Callable[[], None] = lambda: None,
        rounds: int = 3,
        grace: float = 5.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._intake = intake
        self._ask = ask
        self._journal = journal
        self._output = output
        self._tally = tally
        self._concurrency = concurrency
        self._parking = parking or Parking()
        self._room = room
        self._brake = brake
        self._notify = notify
        self._rounds = rounds
        self._grace = grace
        self._sleep = sleep
        self._thread = ThreadPoolExecutor(1, "bedrock-journal")
        self._chores: deque[Callable[[], object]] = deque()
        self._fates: deque[tuple[Fate, Any]] = deque()  # each with the answer or fault to count
        self._delayed = Delayed()
        self._drained = self._all_claimed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._ending = Ending()

    async def over(self) -> Ending:
        """Send the records until the run ends, and return how the run ended."""
        try:
            while not (self._ending.early or self._error or (self._is_idle and not self._parking.met)):
                await self._turn()
                await self._pause()
            await self._wind_up()
        except JournalBroken as error:
            lost = sum(fate.state is State.ANSWERED for fate, _ in self._fates)
            self._ending = Ending(
                broken=f"{error} {lost:,} answers could not be written; the next run sends their prompts again."
            )
        finally:
            await self._cancel()
            self._thread.shutdown()
        if self._error is not None:
            raise self._error
        return self._ending

    def interrupt(self, *, terminated: bool = False) -> None:
        """Send no further records, and let the calls in flight end.

        If the run is already ending, for example after an earlier call of this method, cancel the calls in flight.
        """
        if self._ending.early:
            for task in self._tasks:
                task.cancel()
        else:
            self._stop(Ending(interrupted=True, terminated=terminated))

    def _stop(self, ending: Ending) -> None:
        if not self._ending.early:
            self._ending = ending
        self._intake.wake.set()

    async def _turn(self, *, last: bool = False) -> None:
        """Write the new fates (such as answered or failed) to the journal, and send the next records. With `last`, send
        no records.
        """
        fates = [self._fates.popleft() for _ in range(min(_MOST, len(self._fates)))]
        again = {} if last else self._due()
        new = 0 if last or self._delayed.is_full else self._slots - len(again)
        all_taken_in = self._intake.ended
        try:
            claimed = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._write, [fate for fate, _ in fates], max(new, 0), [*again]
            )
        except JournalBroken:
            self._fates.extendleft(reversed(fates))
            raise
        for fate, reason in fates:
            self._count(fate, reason)
        if fates:
            self._notify()
        if new > 0:
            self._drained = len(claimed) - len(again) < new
            self._all_claimed = self._drained and all_taken_in
        self._tally.total = self._journal.size if all_taken_in else None
        if not last:
            self._look_around(idle=not claimed)
        for number, record in claimed:
            if self._ending.early or self._error or (self._parking.fault is not None and number not in again):
                self._fates.append((Fate(number, State.WAITING), None))
                self._drained = self._all_claimed = False
            else:
                self._send(number, record, again.get(number, 0))

    def _write(self, fates: list[Fate], new: int, again: list[int]) -> list[tuple[int, Record]]:
        """Write `fates` (results such as answered or failed) to the journal, and the answers to the output file. Return
        the records to send next.

        The returned records are those with the numbers in `again`, and at most `new` records that were not sent yet.
        This method runs in the thread of the journal.
        """
        while self._chores:
            self._chores.popleft()()
        self._intake.flush()
        claimed = self._journal.turn(fates, new, again, self._tally.bill.facts() if fates else {})
        if fates:
            self._output.follow()
        return claimed

    def _look_around(self, *, idle: bool) -> None:
        """Stop the run if it must not continue, for example because the journal was deleted.

        If the run has nothing left to send except the records in `Parking.met`, decide what happens to these records.
        They are the latest failed records, and all have the same fault. If this run has received an answer, the fault
        does not affect every record. `_settle_met` then delays the records, or marks them as failed. If this run has
        received no answer, the fault may affect every record, so the run parks.
        """
        idle = idle and self._is_idle
        if not self._journal.is_in_place:
            self._stop(Ending(broken=f"{self._journal.path} was deleted, renamed or replaced during the run."))
        if why := self._brake():
            self._stop(Ending(stopped=why))
        error = self._intake.error
        if isinstance(error, (Changed, JournalBroken)) or (error is not None and idle):
            self._error = error
        if idle and self._parking.met:
            if self._tally.answered:
                self._settle_met()
            else:
                self._park()

    @property
    def _is_idle(self) -> bool:
        """True if no record remains to be sent, no record is in flight, and the run is not parked."""
        nothing_left = self._all_claimed and not (self._tasks or self._fates or self._delayed)
        return nothing_left and self._parking.fault is None

    @property
    def _slots(self) -> int:
        """The number of records that the run can send now."""
        if self._parking.fault is not None or not self._room():
            return 0
        return min(_MOST, self._concurrency - len(self._tasks))

    def _due(self) -> dict[int, int]:
        """Return the records to send again now: the number of each record, and how often the record was delayed. For
        example, {17: 2} means that record 17 was delayed twice.

        Delayed records are sent again when no new records remain, or when too many records are delayed.

        A parked run sends only a probe: one record that tests whether the fault has ended. If record 17 is the
        probe, the result is {17: 0}, even if record 17 was delayed before.
        """
        now = self._tally.clock()
        probe = self._parking.probe_at(now)
        due = self._delayed.due(now, self._slots) if self._may_ask_again else {}
        self._tally.put_back = len(self._delayed)
        return due if probe is None else {probe: 0}

    @property
    def _may_ask_again(self) -> bool:
        return bool(self._delayed) and (self._all_claimed or self._delayed.is_full)

    async def _pause(self) -> None:
        """Wait until there is work. Then wait a short time longer, so that results that arrive together are written
        together.
        """
        more = self._fates or self._is_idle or (self._slots > 0 and not self._drained)
        if not (more or self._ending.early or self._error):
            await self._until_woken()
        if self._fates and self._tasks and len(self._fates) < _MOST:
            await self._sleep(_GATHER)
        self._intake.wake.clear()

    async def _until_woken(self) -> None:
        """Wait until the fate of a record or new input arrives, or until the time of the next turn.

        The time of the next turn depends on what the run waits for. A parked run waits for the time of the next probe.
        A run with delayed records waits until the first of them can be sent. If `room` returns False, for example
        because many calls wait for quota, the run waits for 0.05 seconds. The next turn then calls `room` again.
        """
        now, wait = self._tally.clock(), None
        if self._parking.fault is not None:
            wait = max(self._parking.next - now, 0.0)
        elif self._may_ask_again:
            wait = max(self._delayed.next - now, 0.0)
        elif not self._room():
            wait = _CHECK_EVERY
        await self._intake.woken(wait, self._sleep)

    async def _wind_up(self) -> None:
        """Wait at most `grace` seconds for the calls in flight. Then cancel the calls that have not ended, and write
        all fates.

        If the run has reached its maximum cost, wait without a time limit until all calls have ended, because the user
        pays for their answers. If the run gave up because of a fault that affects every record, such as an outage, do
        not wait.
        """
        while self._tasks and self._ending.is_spent:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            await self._turn(last=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0 if self._ending.fault else self._grace)
        await self._cancel()
        while self._fates or self._chores:
            await self._turn(last=True)

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _send(self, number: int, record: Record, rounds: int) -> None:
        task = asyncio.create_task(self._carry(number, record, rounds))
        self._tasks.add(task)
        self._tally.in_flight += 1
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._tally.in_flight -= 1
        if not task.cancelled() and task.exception() is not None:
            self._error = task.exception()
        self._intake.wake.set()

    async def _carry(self, number: int, record: Record, rounds: int) -> None:
        fate, reason = await fate_of(number, record, self._ask, rounds, self._rounds)
        if fate.state is State.DELAYED and isinstance(reason, Fault):
            self._delay(fate, reason)
        else:
            self._fates.append((fate, reason))

    def _delay(self, fate: Fate, fault: Fault) -> None:
        self._fates.append((Fate(fate.number, State.DELAYED), fault))
        self._delayed.add(fate.number, fate.rounds, fault, self._tally.clock())

    def _count(self, fate: Fate, reason: Any) -> None:
        if fate.state is State.ANSWERED:
            self._tally.answer(reason.stop_reason)
        elif fate.state is State.FAILED:
            self._tally.fail(reason)
        if fate.state is State.PARKED:
            self._meets(fate, reason)
        elif self._parking.fault is None and fate.state is State.ANSWERED:
            self._settle_met()
        elif fate.number == self._parking.probed:
            self._end_parking()

    def _meets(self, fate: Fate, fault: Fault) -> None:
        if self._parking.is_another(fault):
            self._settle_met()
        if self._parking.meets(fate, fault, self._tally.clock()):
            self._park()

    def _settle_met(self) -> None:
        """Delay the records in `Parking.met`, or mark them as failed. They are the latest failed records, and all have
        the same fault.

        A record is delayed if the fault is transient and the record has been delayed fewer than `rounds` times.
        Otherwise, it is marked as failed.

        Call this method when another record was answered, or failed with a different fault. For example, three records
        in `met` were throttled, and then another record was answered. So the throttles do not affect every record, and
        the run does not park because of them.
        """
        for fate, fault in self._parking.met.values():
            if fate.rounds < self._rounds and passes_soon(fault):
                self._delay(fate, fault)
            else:
                self._fates.append((Fate(fate.number, State.FAILED, fate.content), fault))
        self._parking.met.clear()

    def _park(self) -> None:
        if fault := self._parking.park(self._tally.clock(), had_answers=self._tally.answered > 0):
            self._stop(Ending(fault=fault))
            return
        self._tally.parked, self._tally.asks_next = self._parking.fault, self._parking.next
        self._chores.append(partial(self._journal.note, parked=str(self._parking.fault or "")))

    def _end_parking(self) -> None:
        self._parking.end()
        self._tally.parked = None
        self._drained = self._all_claimed = False
        self._chores.append(partial(self._journal.release, State.PARKED))
        self._chores.append(partial(self._journal.note, parked=""))
