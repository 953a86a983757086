"""Show the progress of a run. A terminal shows several lines that are updated in place. Other outputs get a new line
every few seconds.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - refreshed from the loop in which the run lives
import contextlib
import json
from math import inf
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aws_bedrock_inference.batch.bill import in_words, known
from aws_bedrock_inference.clock import wall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rich.console import RenderableType

    from aws_bedrock_inference.batch.tally import Tally

_BLOCK_EVERY = 0.2
_LINE_EVERY = 5.0
_LINE_OF_A_NIGHT_EVERY = 60.0

# The default colors of rich look like errors.
BAR: dict[str, Any] = {"complete_style": "green", "finished_style": "green", "pulse_style": "green"}

# How to round a duration. Each row applies up to an upper bound (seconds), and has the step (seconds), the seconds per
# unit and the name of the unit.
_PRECISION: tuple[tuple[float, int, int, str], ...] = (
    (115.0, 10, 1, "s"),
    (585.0, 30, 60, "min"),
    (7170.0, 60, 60, "min"),
    (inf, 1800, 3600, "h"),
)

# A fault is shown only after this many seconds without an answer, because retries end most faults earlier.
_TROUBLE_AFTER = 3.0


class Progress:
    """Shows the progress of a run on `console`.

    * `tally`: the counts of the run, such as the number of answered records.
    * `rpm`, `tpm`: the quota in requests and tokens per minute. None if no quota is set.
    * `max_cost`: the maximum cost. None if no maximum is set.
    """

    def __init__(
        self,
        console: Console,
        tally: Tally,
        *,
        rpm: float | None = None,
        tpm: float | None = None,
        max_cost: float | None = None,
        as_json: bool = False,
    ) -> None:
        self.console = console
        self._tally = tally
        self._rpm = rpm
        self._tpm = tpm
        self._max_cost = max_cost
        self._as_json = as_json

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show the progress while the `async with` block runs. At its end, remove the progress from the terminal."""
        with contextlib.ExitStack() as stack:
            if self.console.is_terminal and not self._as_json:
                live = stack.enter_context(Live(self.block(), console=self.console, auto_refresh=False, transient=True))
                task = asyncio.create_task(self._refresh(live))
            else:
                task = asyncio.create_task(self._lines())
            try:
                yield
            finally:
                task.cancel()

    async def _refresh(self, live: Live) -> None:
        while True:
            live.update(self.block(), refresh=True)
            await asyncio.sleep(_BLOCK_EVERY)

    async def _lines(self) -> None:
        while True:
            course = self._tally.course
            waits = course is not None and course.waits and not self._as_json
            await asyncio.sleep(_LINE_OF_A_NIGHT_EVERY if waits else _LINE_EVERY)
            line = self.json() if self._as_json else self.line()
            self.console.print(line, soft_wrap=True, highlight=False, markup=False)

    def block(self) -> RenderableType:
        """Return the lines that a terminal shows."""
        tally = self._tally
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(justify="right", no_wrap=True)
        bar.add_row(
            ProgressBar(total=self._tally.total, completed=tally.done, pulse=self._tally.total is None, **BAR),
            Text.assemble((self._done(), "bold"), ("  " + self._left(), "dim")),
        )
        counts = Text.assemble(
            (f"answered {tally.answered:,}", "green"),
            *_part("failed", tally.failed, "red"),
            *_part("bad lines", tally.bad, "red"),
            *_part("answered before", tally.skipped, "dim"),
            *_part("to retry later", tally.put_back, "yellow"),
            f"  in flight {tally.in_flight:,}",
            *_part("throttled", tally.throttles, "yellow"),
            *_part("retried", tally.retries, "yellow"),
        )
        trouble = Text(self._trouble(), style="yellow", no_wrap=True, overflow="ellipsis")
        advice = [Text(tally.parked.advice, style="yellow")] if tally.parked else []
        rates = [] if tally.course is not None and tally.course.waits else [self._rates()]
        figures = [Text(", ".join(texts), style="dim")] if (texts := [*rates, *self._cost()]) else []
        course = [Text(line, style="cyan") for line in self._course()]
        return Group(bar, counts, *figures, *course, *([trouble] if trouble else []), *advice)

    def line(self) -> str:
        """Return one line with the progress, for output that is not a terminal."""
        tally = self._tally
        parts = [
            f"{clock_time(tally.seconds)} {self._done()}",
            f"failed {tally.failed:,}",
            f"in flight {tally.in_flight:,}",
            self._rates(),
            f"throttled {tally.throttles:,}",
            f"retried {tally.retries:,}",
            *self._cost(),
            self._left(),
            *self._course(),
            self._trouble(),
        ]
        return ", ".join(part for part in parts if part)

    def json(self, *, ended: str = "") -> str:
        """Return one line of JSON with the progress, for programs. `ended` states how the run ended."""
        tally = self._tally
        trouble = tally.parked or tally.trouble
        return json.dumps(
            {
                "seconds": round(tally.seconds, 1),
                "records": tally.total,
                "answered": tally.answered,
                "answered_before": tally.skipped,
                "failed": tally.failed,
                "bad_lines": tally.bad,
                "in_flight": tally.in_flight,
                "to_retry_later": tally.put_back,
                "throttled": tally.throttles,
                "retried": tally.retries,
                "answers_per_minute": round(tally.answer_rate.per_minute(), 1),
                "tokens_per_minute": round(tally.token_rate.per_minute()),
                "tokens": round(tally.tokens),
                "cost": known(tally.bill.cost, tally.bill.unknown),
                "cost_before": tally.bill.cost_before,
                "cost_unknown": tally.bill.unknown,
                "max_cost": self._max_cost,
                "seconds_left": self._seconds_left(),
                "parked": tally.parked is not None,
                "by": None if tally.course is None else tally.course.plain(),
                "trouble": None if trouble is None else str(trouble),
                "ended": ended or None,
            },
            ensure_ascii=False,
        )

    def _done(self) -> str:
        done = self._tally.done
        if not self._tally.total:
            return f"{done:,} done"
        return f"{done:,} of {self._tally.total:,} done ({done * 100 // self._tally.total} %)"

    def _left(self) -> str:
        seconds = self._seconds_left()
        return "" if seconds is None else f"{about(seconds)} left"

    def _seconds_left(self) -> float | None:
        rate = min(self._tally.pace.per_minute(), self._most())
        if self._tally.total is None or rate == 0 or self._tally.parked is not None:
            return None
        return (self._tally.total - self._tally.done) * 60 / rate

    def _most(self) -> float:
        """Return the number of answers per minute that the quota allows.

        In the first minute, a run can get more answers, because a quota that was unused before the run allows a burst.
        """
        tally = self._tally
        by_tokens = self._tpm * tally.answered / tally.tokens if self._tpm and tally.tokens else inf
        return min(self._rpm or inf, by_tokens)

    def _trouble(self) -> str:
        tally = self._tally
        if tally.parked is not None:
            wait = clock_time(max(0.0, tally.asks_next - tally.clock()))
            return f"parked, next attempt in {wait}: {tally.parked}"
        seconds = tally.clock() - tally.troubled_since
        if tally.trouble is None or seconds < _TROUBLE_AFTER:
            return ""
        return f"no answer for {clock_time(seconds)}: {tally.trouble}"

    def _cost(self) -> list[str]:
        """Return the cost so far as text.

        If the user has set `max_cost`, the text includes the cost of earlier runs, because `max_cost` limits the cost
        of all runs together.
        """
        bill = self._tally.bill
        cost = bill.cost if self._max_cost is None else bill.total
        if not (cost or bill.unknown):
            return []
        return [in_words(cost, bill.unknown, self._max_cost)]

    def _course(self) -> list[str]:
        """Return the lines about the deadline of the run, or no lines if it has none."""
        return [] if self._tally.course is None else self._tally.course.lines(wall())

    def _rates(self) -> str:
        answers = f"{self._tally.answer_rate.per_minute():,.0f} answers/min" + _quota(self._rpm)
        return f"{answers}, {self._tally.token_rate.per_minute():,.0f} tokens/min" + _quota(self._tpm)


def clock_time(seconds: float) -> str:
    """Return a duration as `m:ss`, or as `h:mm:ss` for an hour or more."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def about(seconds: float) -> str:
    """Return an estimated duration as rounded text, such as `about 20 s`, `about 2.5 min` or `about 2.5 h`."""
    _, step, unit, name = next(row for row in _PRECISION if seconds < row[0])
    return f"about {max(1, round(seconds / step)) * step / unit:g} {name}"


def _quota(limit: float | None) -> str:
    return f" of {limit:,.0f}" if limit else ""


def _part(name: str, number: int, style: str) -> list[tuple[str, str]]:
    return [("  ", ""), (f"{name} {number:,}", style)] if number else []
