"""Learn how many times a token of the answer counts, where the limit of tokens is told.

When a call ends, the service counts its input once and its output `burndown` times. A table says how often, but it may
be wrong, or older than the model. If it says too much, a told limit is never used up, and no throttle ever says so:
only trying tells. If it says too little, throttles come long before the minute is full. Where no limit is told, nothing
needs to be learned here: limit and burndown together set the pace, and the limit is learned (`learning`).

    state      entered                           what it does                               left
    ---------  --------------------------------  -----------------------------------------  ----------------------------
    resting    at the start, after a failure     counts the throttles that come anyway      when the rest is over
    trying     calls wait for tokens, and what   the burndown goes down by a small step     by more throttles than come
               they use is what fills the limit  each half minute                           anyway
    failed     such throttles within a minute    the burndown is what it was before the     at once: resting, four times
               of a step                         step, and the minute is charged for the    as long after each failure,
                                                 difference; the next step is half as long  until a step has held
    too low    throttles, while minutes with     the burndown is what would have filled     at once: resting
               waiting calls stay far from full  the last minute, and a little more

Throttles may go on after a failure: a service that saves up a minute's worth has paid the steps from it. Then what
passed is a bound: in any time, no more passes than the limit allows, and one minute's worth. If they still go on, the
burndown goes up by a step for each doubt, at most to where it began. Nothing below LEAST is tried.
"""

from __future__ import annotations

import itertools
from collections import deque
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.rules.quota.doubts import DOUBT, SLIGHT, Doubts
from aws_bedrock_inference.rules.quota.rows import LONG

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.limit import Limit

MINUTE = 60.0

# Steps go down by this part, or by the smaller one after a failure, each so many seconds and calls.
STEP = 0.1
FINE = 0.05
PACE = 30.0
CALLS = 20.0

# The least burndown: the service has never counted an output token as less.
LEAST = 1.0

# Seconds before the first step and after the first failure; each failure in a row makes it so many times longer.
REST = 60.0
LONGER = 4.0
LONGEST = 6 * 3600.0

# A step holds if nothing came of it for so many seconds: the longest that a service's window is known to be.
HOLDS = 60.0

# A step is made only if calls waited for tokens most of the time, what ended took this part of the limit, and the limit
# is believed.
HELD = 0.5
TAKEN = 0.8
BELIEVED = 0.999

# So soon after the start, a failure or a rise, throttles are those of before.
SETTLED = 20.0

# The burndown is too low if throttles come while a minute, without what bad moments of the service took of it, has less
# than this part of the limit and calls waited most of the time, for tokens or for the end of a row. It is raised by a
# tenth too much: steps down find the rest.
SHORT = 0.85
SHORT_AGAIN = 0.95  # once the table was found to be wrong
BUSY = 0.75
ROW = 3
OVER = 1.1
MOST = 4.0  # times the table's

# Who has filled the limit for so many seconds knows that the burndown is not too low: then the limit has changed.
FILLED = 90.0

# How often it looks, in seconds, and how many looks back it knows what passed.
LOOK = 5.0
LOOKS = 240


class Mark(NamedTuple):
    """The input and output tokens of all calls that had ended at a time; the burndown from then on; whether tokens
    or a row of throttles had held calls back before: `busy`; and the seconds that were `lost` in bad moments.
    """

    at: float
    input: float
    output: float
    rate: float
    busy: bool = True
    lost: float = 0.0


class Step(NamedTuple):
    """A step: when, by the clock of the time in which the limit was used up, and the burndown before it."""

    full: float
    rate: float


class Burndown:
    """The number of times an output token counts: `rate`, which starts as the `table` says and is `factor` of that.

    `told` is the limit of tokens a minute; without one, nothing is learned. The ledger sums `charged`, `output` and
    `reserved`: what calls that ended were charged, their output tokens, and what they had reserved. `reason` states why
    the rate is what it is, and `news` that it changed since the last report.
    """

    def __init__(self, table: float = 1.0, told: float = inf, *, now: float = 0.0) -> None:
        self.rate = self.table = table
        self.factor = 1.0
        self.reason = "as the table says"
        self.news = False
        self.charged = self.output = self.reserved = 0.0
        self.due = now + LOOK if told < inf else inf
        self._sure = table  # nothing above it is taken because steps failed
        self._told = told / MINUTE
        self._counted = 0.0  # of `charged`
        self._marks = deque([Mark(now, 0.0, 0.0, table)], LOOKS)
        self._row = False  # of throttles, since the last look
        self._row_at, self._lost = now, 0.0  # when the last row began; the seconds of short rows since the last look
        self._held = self._full = 0.0  # seconds: since the last look; of all in which the limit was used up
        self._doubts = Doubts()
        self._stepped: deque[Step] = deque()  # those that have not held yet
        self._due_calls = 0.0
        self._fine = False
        self._rest, self._next = REST, now + REST
        self._failed_at = now
        self._bounded = False  # the last failure went to what passed

    @property
    def learned(self) -> bool:
        """True if anything is known that a new object would not know."""
        return self.rate != self.table

    def state(self, rate: float) -> None:
        """Believe the user's `rate` from now on."""
        self.rate, self.factor, self.reason = rate, rate / (self.table or 1.0), "as it was stated"
        self.due = inf

    @property
    def found(self) -> bool:
        """True if it was learned here or by another member, and not stated."""
        return self.learned and self.due < inf

    def adopt(self, rate: float, now: float) -> None:
        """Take over what another member of a shared quota has found, and let it make the next step."""
        if self.due < inf and rate != self.rate:
            self._mark(now)
            self._stepped.clear()
            self._next = max(self._next, now + PACE)
            self._change(rate, "another member of the shared quota found it")

    def held(self, seconds: float) -> None:
        """Count time in which a call waited for tokens."""
        self._held += seconds

    def look(self, now: float, limit: Limit, admitted: float) -> None:
        """Make a step, if it is time and nothing speaks against it; `admitted` counts all calls."""
        self.due = now + LOOK
        seconds = now - self._marks[-1].at
        doubts = self._doubts
        doubts.count(admitted, seconds, anyway=self._resting(now))
        held = self._held >= HELD * seconds
        self._mark(now, busy=held or self._row)
        believed = limit.estimate >= BELIEVED * self._told * MINUTE
        full = believed and held and self._taken() >= TAKEN * self._told * limit.share
        self._held, self._row = 0.0, False
        if not full or doubts.doubt >= SLIGHT:
            return
        self._full += seconds
        while self._stepped and self._full - self._stepped[0].full > HOLDS:
            self._stepped.popleft()
            self._fine, self._rest = False, REST
        paced = not self._stepped or self._full - self._stepped[-1].full >= PACE
        if paced and now >= self._next and admitted >= self._due_calls and self.rate > LEAST:
            self._stepped.append(Step(self._full, self.rate))
            self._due_calls = admitted + CALLS
            step = FINE if self._fine else STEP
            self._change(self.rate * (1.0 - step), f"tried: {self.rate:.3g} left a limit unused, and no throttle spoke")

    def throttled(self, now: float, age: float, in_a_row: int, limit: Limit) -> float:
        """Weigh a throttle of a call admitted `age` seconds ago, the `in_a_row`-th; return the tokens that the last
        minute took more than it was charged, where that is known now.
        """
        if self.due == inf or now - age < self._failed_at:
            return 0.0
        self._row = self._row or in_a_row >= ROW
        if in_a_row == 1:
            self._row_at = now
        elif in_a_row:
            lasted = now - self._row_at
            self._lost = lasted if lasted <= LONG else 0.0
        self._doubts.throttle(anyway=self._resting(now))
        if self.rate < self._sure and self._doubts.enough:
            return self._fail(now, limit.share)
        if self.rate >= self._sure and self._doubts.doubt > DOUBT:
            self._rise(now, limit)
        return 0.0

    def _resting(self, now: float) -> bool:
        return not self._stepped and now - self._failed_at > SETTLED

    def _fail(self, now: float, share: float) -> float:
        self._mark(now)
        resting = self._resting(now)
        again = self._fine and now - self._failed_at <= HOLDS
        if self._stepped:
            to = self._stepped[0].rate
        elif again and not self._bounded:
            to = self._bound(share)
        else:
            to = self.rate / (1.0 - STEP)
        self._bounded = again and not self._stepped
        self._failed_at = now
        self._doubts.end(anyway=resting)
        self._stepped.clear()
        self._fine = True
        self._next = now + self._rest
        self._rest = min(LONGEST, self._rest * LONGER)
        to = min(self._sure, max(self.rate, to))
        owed = min(self._owed(now, to), MINUTE * STEP * self._told * share)
        self._change(to, f"{self.rate:.3g} was tried, and throttles came")
        return owed

    def _rise(self, now: float, limit: Limit) -> None:
        """Raise the rate if the last minute was short of the limit although calls waited."""
        told, last = self._told * limit.share, self._marks[-1]
        minute = [mark for mark in self._marks if mark.at > now - MINUTE - LOOK] or [last]
        seconds, output = last.at - minute[0].at, last.output - minute[0].output
        waited = sum(mark.busy for mark in minute) >= BUSY * len(minute) and now - self._failed_at > HOLDS
        part = SHORT if self._sure == self.table else SHORT_AGAIN
        lost = self._lost + sum(mark.lost for mark in minute)
        short = limit.share == 1.0 and not limit.fixed and limit.used < part * told * (MINUTE - lost)
        if not (waited and short and output) or seconds < MINUTE - LOOK or self._full >= FILLED:
            return
        to = min(MOST * self.table, OVER * (told * seconds - last.input + minute[0].input) / output)
        if to > self.rate:
            self._sure, self._full = to, 0.0
            self._doubts.start()
            self._failed_at, self._next = now, now + REST
            self._change(to, f"{self.rate:.3g} was too little: throttled minutes were far from full")
            limit.estimator.adopt(self._told * MINUTE)

    def _change(self, rate: float, reason: str) -> None:
        self.rate = max(LEAST, rate)
        self.factor = self.rate / self.table
        self.reason, self.news = reason, True
        self._marks[-1] = self._marks[-1]._replace(rate=self.rate)

    def _mark(self, now: float, *, busy: bool = True) -> None:
        last = self._marks[-1]
        output = self.output - last.output
        taken = self.charged - self._counted - output * self.rate
        self._counted = self.charged
        self._marks.append(Mark(now, last.input + taken, self.output, self.rate, busy, self._lost))
        self._lost = 0.0

    def _taken(self) -> float:
        """Return what calls that ended in the last half minute were charged, in tokens a second."""
        marks, last = self._marks, self._marks[-1]
        first = marks[-min(len(marks), 1 + int(PACE / LOOK))]
        charge = last.input - first.input + (last.output - first.output) * self.rate
        return charge / max(LOOK, last.at - first.at)

    def _owed(self, now: float, rate: float) -> float:
        """Return what the last minute would have been charged more at `rate`."""
        marks = [mark for mark in self._marks if mark.at >= now - MINUTE]
        return sum(
            (after.output - mark.output) * max(0.0, rate - mark.rate) for mark, after in itertools.pairwise(marks)
        )

    def _bound(self, share: float) -> float:
        """Return the highest burndown at which what passed could pass."""
        last, told = self._marks[-1], self._told * share
        return min(
            (
                (told * (last.at - mark.at + MINUTE) - (last.input - mark.input)) / (last.output - mark.output)
                for mark in self._marks
                if last.output > mark.output
            ),
            default=inf,
        )
