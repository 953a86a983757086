"""Measure the time to admit a call: one reservation with the ledger and its settlement, compared with the limiters of
other libraries. The ledger is the object that counts a quota's tokens.

Each row contains the fastest, the median and the slowest of nine rounds, in microseconds per call. The time of the loop
and of its clock readings is subtracted. Unless a row states it, no call is refused. A row with several threads has two
values: the wall time divided by the calls of all threads, and the CPU time of the threads divided by these calls.

The other libraries only count requests: they reserve and settle no tokens. `limits` stores an entry for each request of
the last minute, so its cost grows with the number of requests.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import deque
from importlib import import_module
from statistics import median
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import NORMAL
from aws_bedrock_inference.rules.quota.ledger import Ledger
from aws_bedrock_inference.rules.quota.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, CALLS, THREADS = 9, 40_000, 8
WAITING, IN_FLIGHT = 100, 800
RPM, TPM = 60_000, 36_000_000
RESERVED, USED = 800.0, 600.0

clock = time.monotonic


def ledger() -> Ledger:
    """Return a ledger with a limit so high that it never refuses a call here."""
    return Ledger(rpm=6e8, tpm=6e11, burst=60.0, now=clock())


def watched() -> Ledger:
    made = ledger()
    made.watch()
    return made


def leased() -> Ledger:
    """Return a ledger in the state that it has when processes share the quota through a store."""
    made = watched()
    made.lease(0.5, {}, clock())
    return made


def admitting(made: Ledger, calls: int) -> None:
    """Admit and settle calls in the same way as the policy `Quota` does."""
    enter, settle = made.enter, made.settle
    for _ in range(calls):
        now = clock()
        ticket = enter(Ticket(RESERVED, NORMAL, now), now, now)
        settle(ticket, USED, clock())


def reading(_: None, calls: int) -> None:
    for _call in range(calls):
        clock()
        clock()


class Line:
    """A queue: a ledger whose quota is exhausted, a hundred calls that wait, and the calls before them, which are in
    flight. Each call waits, is woken, is admitted and settles.
    """

    def __init__(self) -> None:
        self.ledger = Ledger(rpm=RPM, tpm=TPM, now=0.0)
        self.now = 0.0
        self.standing: deque[Ticket] = deque()
        self.in_flight: deque[Ticket] = deque()
        for _ in range(WAITING):
            self._stand()
        self.go(int(RPM * 1.2))

    def go(self, calls: int) -> None:
        claim, settle = self.ledger.claim, self.ledger.settle
        for _ in range(calls):
            head = self.standing.popleft()
            while not head.admitted:
                due = claim(head, self.now)
                self.now = max(self.now, due)
            self.in_flight.append(head)
            if len(self.in_flight) > IN_FLIGHT:
                settle(self.in_flight.popleft(), USED, self.now)
            self._stand()

    def _stand(self) -> None:
        ticket = self.ledger.reserve(RESERVED, self.now, self.now)
        if not ticket.admitted:
            self.ledger.claim(ticket, self.now)
        self.standing.append(ticket)


def rounds(new: Callable[[], Any], work: Callable[[Any, int], object], calls: int = CALLS) -> list[float]:
    """Return the microseconds per call in each round. `new` creates the object for a round."""
    took = []
    for _ in range(ROUNDS + 1):
        made = new()
        started = time.perf_counter()
        work(made, calls)
        took.append((time.perf_counter() - started) / calls * 1e6)
    return took[1:]


def contended(new: Callable[[], Any], work: Callable[[Any, int], object]) -> tuple[list[float], float]:
    """Return the microseconds of wall time in each round, divided by the calls of all threads. Also return the median
    CPU time of the threads, divided by their calls.
    """
    each = CALLS // THREADS
    cpu: list[float] = []

    def together(made: Any, _: int) -> None:
        spent: list[float] = []

        def one() -> None:
            before = time.thread_time()
            work(made, each)
            spent.append(time.thread_time() - before)

        threads = [threading.Thread(target=one) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cpu.append(sum(spent) / (THREADS * each) * 1e6)

    took = rounds(new, together)
    return took, median(cpu)


def peers() -> list[tuple[str, Callable[[], Any], Callable[[Any, int], object], bool]]:
    """Return the other limiters that are installed: the name, how to create one, how to call it, and whether threads
    can share it.
    """
    found: list[tuple[str, Callable[[], Any], Callable[[Any, int], object], bool]] = []
    for name, module, made, work, shared in (
        (f"limits, moving window, {CALLS:,} in it", "limits", moving_window, hitting, True),
        ("pyrate-limiter, in memory", "pyrate_limiter", pyrate, acquiring, True),
        ("aiolimiter, one task", "aiolimiter", aio, entering, False),
    ):
        try:
            import_module(module)
        except ImportError:
            continue
        found.append((name, made, work, shared))
    return found


def moving_window() -> Any:
    limits: Any = import_module("limits")
    strategy = limits.strategies.MovingWindowRateLimiter(limits.storage.MemoryStorage())
    return strategy, limits.parse("1000000000/minute")


def hitting(made: Any, calls: int) -> None:
    strategy, item = made
    for _ in range(calls):
        strategy.hit(item, "model")


def pyrate() -> Any:
    library: Any = import_module("pyrate_limiter")
    return library.Limiter(library.Rate(1_000_000_000, library.Duration.MINUTE))


def acquiring(made: Any, calls: int) -> None:
    for _ in range(calls):
        made.try_acquire("model", blocking=False)


def aio() -> Any:
    return import_module("aiolimiter").AsyncLimiter(1e9, 60)


def entering(made: Any, calls: int) -> None:
    async def enter() -> None:
        for _ in range(calls):
            async with made:
                pass

    asyncio.run(enter())


def row(name: str, took: list[float], bare: float = 0.0, cpu: float | None = None, goal: str = "") -> None:
    numbers = "".join(f"{value - bare:8.2f}" for value in (min(took), median(took), max(took)))
    spent = f"{cpu - bare:8.2f}" if cpu is not None else " " * 8
    print(f"  {name:48}{numbers}{spent}   {goal}".rstrip(), flush=True)


def main() -> None:
    print(
        f"Admission, us a call, Python {sys.version.split()[0]}; {ROUNDS} rounds of {CALLS:,} calls\n"
        f"  {'':48}{'least':>8}{'median':>8}{'most':>8}{'CPU':>8}"
    )
    readings = rounds(lambda: None, reading)
    bare = min(readings)
    row("the loop and the clock (taken off below)", readings)
    row("this package", rounds(ledger, admitting), bare, goal="goal: at most 2")
    took, cpu = contended(ledger, admitting)
    row(f"this package, {THREADS} threads", took, bare, cpu, goal="goal: at most 6")
    row("this package, priorities are counted", rounds(watched, admitting), bare)
    row("this package, member of a store", rounds(leased, admitting), bare)
    took, cpu = contended(leased, admitting)
    row(f"this package, member of a store, {THREADS} threads", took, bare, cpu)
    line = Line()
    row(f"this package, quota used up, {WAITING} wait", rounds(lambda: line, Line.go), 0.0)
    for name, made, work, shared in peers():
        row(name, rounds(made, work))
        if shared:
            took, cpu = contended(made, work)
            row(f"{name}, {THREADS} threads", took, 0.0, cpu)


if __name__ == "__main__":
    main()
