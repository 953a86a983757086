"""Learn the burndown: the number of quota tokens that the service counts for each output token. It is learned only if
the limit of tokens per minute is configured. Otherwise only the limit is learned (`learning`).

When a call ends, the service counts each input token once and each output token `burndown` times. A table lists the
burndown of each model. A number in the table can be wrong, or missing for a new model.

If the number is too high, this package counts more tokens than the service, so calls never use the whole limit. Such an
error causes no throttles, so only a test with a lower number can find it. If the number is too low, this package counts
fewer tokens than the service. Throttles then arrive although, by this package's count, calls used only a part of the
limit.

    state      begins                            effect                                     ends
    ---------  --------------------------------  -----------------------------------------  ----------------------------
    resting    at the start, after a failure     the usual throttles are counted            when the rest is over
    trying     calls wait for tokens, and use    the burndown is lowered by a small step    when more throttles arrive
               nearly the whole limit            every half minute                          than usual
    failed     more throttles than usual within  the burndown from before the step          immediately: resting. Each
               a minute after a step             returns. It also replaces the lower one    failure makes the rest four
                                                 in the count of the last minute. The next  times as long, until a step
                                                 steps are half as large                    causes no throttles
    too low    throttles, although calls waited  the burndown is set 10 % above the number  immediately: resting
               and, by this package's count,     with which the last minute would have
               used much less than the limit     used the whole limit

Throttles can continue after a failed step, because an earlier step can also have been wrong. The earlier step caused no
throttles if the token bucket of the service still contained unused quota. After a further failure, the burndown is
computed from the tokens that the service accepted. For example, in 5 minutes a service accepts at most 6 times the
limit per minute, because a full bucket contains the quota of one minute. The burndown is set to the highest number with
which this is true for each period.

If there are still more throttles than usual, the burndown rises by one step after each further failure. It does not
rise above the value from before the steps. Steps never lower it below LEAST.
"""

from __future__ import annotations

import itertools
from collections import deque
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.rules.quota.doubts import DOUBT, SLIGHT, Doubts
from aws_bedrock_inference.rules.quota.rows import LONG, PROBES

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.limit import Limit

MINUTE = 60.0

# The size of a step (a decrease of the burndown) as a fraction of the burndown: normally, and after a failure. Between
# two steps, at least this many seconds and this many calls must pass.
STEP = 0.1
FINE = 0.05
PACE = 30.0
CALLS = 20.0

# The least burndown: no service is known that counts an output token as less than one.
LEAST = 1.0

# The seconds before the first step and after the first failure. Each further failure multiplies the rest.
REST = 60.0
LONGER = 4.0
LONGEST = 6 * 3600.0

# A step is final if it caused no throttles for this many seconds: the longest window of a service that is known.
HOLDS = 60.0

# The conditions for a decrease: calls waited for tokens for this part of the time, ended calls used this part of the
# limit, and the estimated limit is at least this part of the configured one.
HELD = 0.5
TAKEN = 0.8
BELIEVED = 0.999

# For this many seconds after the start, a failure or a rise, throttles are caused by the earlier rate.
SETTLED = 20.0

# The burndown is too low if throttles arrive although the minute has used less than SHORT of the limit, and calls
# waited for BUSY of the time. The seconds lost in short problems of the service are not counted. The new value is 10 %
# above the measured one (OVER), because later steps down find the exact value.
SHORT = 0.85
SHORT_AGAIN = 0.95  # after the table has proved to be wrong
BUSY = 0.75
ROW = 3
OVER = 1.1
MOST = 4.0  # the largest burndown, as a multiple of the number in the table

# If calls have filled the limit for this many seconds, the burndown is not too low; the limit has changed.
FILLED = 90.0

# Outages that end at the same second of the minute are full minutes. The end of an outage is known with this precision,
# in seconds, because calls pause in an outage.
SAME_SECOND = 1.5

# The interval of checks in seconds, and the number of marks that are stored.
LOOK = 5.0
LOOKS = 240


class Mark(NamedTuple):
    """A record of the state at the time `at`.

    * `input`, `output`: the input and output tokens of all calls that had ended before `at`.
    * `rate`: the burndown that is used from `at` on.
    * `busy`: True if one of two things happened since the previous mark: calls waited for tokens, or several throttles
      came one after another.
    * `lost`: the seconds since the previous mark in which short problems of the service stopped the calls.
    """

    at: float
    input: float
    output: float
    rate: float
    busy: bool = True
    lost: float = 0.0


class Step(NamedTuple):
    """A decrease of the burndown (quota tokens per output token). `rate` is the burndown before the decrease. `full`
    is the number of seconds, before the decrease, in which calls used nearly the whole limit. These seconds are
    counted from the start, or from the last time at which the burndown was too low.
    """

    full: float
    rate: float


class Burndown:
    """The burndown of one quota: the number of quota tokens for each output token.

    * `rate`: the present burndown.
    * `table`: the burndown in the table of models. `rate` starts with this value.
    * `factor`: `rate` divided by `table`.
    * `told`: the configured limit in tokens per minute. Without a configured limit, no burndown is learned.
    * `charged`: the sum of the quota tokens that were counted for all ended calls.
    * `output`: the sum of the output tokens of all ended calls.
    * `reason`: a text that explains the present burndown.
    * `news`: True if the burndown has changed and the change was not reported yet.
    """

    def __init__(self, table: float = 1.0, told: float = inf, *, now: float = 0.0) -> None:
        self.rate = self.table = table
        self.factor = 1.0
        self.reason = "as in the table of models"
        self.news = False
        self.charged = self.output = 0.0
        self.due = now + LOOK if told < inf else inf
        self._sure = table  # failed steps do not raise the rate above this value
        self._told = told / MINUTE
        self._counted = 0.0  # the part of `charged` that the marks contain
        self._marks = deque([Mark(now, 0.0, 0.0, table)], LOOKS)
        self._row = False  # True after a row of throttles since the last check
        self._row_at, self._lost = now, 0.0  # start of the last row; seconds of short rows since the last check
        self._held = self._full = 0.0  # seconds of waiting since the last check; seconds with full use
        self._doubts = Doubts()
        self._before = self._doubts.mark()  # from before the last row of throttles
        self._outage = self._regular = False  # the last row was an outage; the last two ended at the same second
        self._outage_ended = self._throttled_at = now
        self._stepped: deque[Step] = deque()  # steps that have not held yet
        self._due_calls = 0.0
        self._fine = False
        self._rest, self._next = REST, now + REST
        self._failed_at = now
        self._bounded = False  # the last failure used `_bound`

    @property
    def learned(self) -> bool:
        """True if the burndown (quota tokens per output token) differs from the number in the table."""
        return self.rate != self.table

    def state(self, rate: float) -> None:
        """Use the burndown `rate` (quota tokens per output token) that the user has set. From now on, learn no other
        burndown.
        """
        self.rate, self.factor, self.reason = rate, rate / (self.table or 1.0), "as set with set_burndown"
        self.due = inf

    @property
    def on_trial(self) -> bool:
        """True while trials test whether the burndown is too high. If it is too high, this package counts more quota
        tokens than the service.
        """
        return bool(self._stepped)

    @property
    def found(self) -> bool:
        """True if this process or another one learned the burndown; False if the user or the table set it."""
        return self.learned and self.due < inf

    def adopt(self, rate: float, now: float) -> None:
        """Use the burndown `rate` that another process has learned. This process does not lower it in the next half
        minute (`PACE`).
        """
        if self.due < inf and rate != self.rate:
            self._mark(now)
            self._stepped.clear()
            self._next = max(self._next, now + PACE)
            self._change(rate, "another member of the shared quota found it")

    def held(self, seconds: float) -> None:
        """Add `seconds` to the time in which calls waited for tokens."""
        self._held += seconds

    def look(self, now: float, limit: Limit, admitted: float) -> None:
        """Lower the burndown by one step if calls waited for tokens, used the limit almost fully, and were hardly
        throttled. `admitted` is the number of calls that were admitted so far.
        """
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
            self._change(self.rate * (1.0 - step), f"a trial: with {self.rate:.3g}, the limit was not used fully")

    def throttled(self, now: float, age: float, in_a_row: int, limit: Limit, refused_probes: int = 0) -> float:
        """Use a throttle as evidence about the burndown. The throttled call was admitted `age` seconds ago.

        In a row of throttles, almost no call succeeds between them. `in_a_row` is the number of throttles in the row so
        far, including this one. While a row lasts, nothing is decided for up to 6 seconds. If the service also refuses
        the calls that test it after pauses (`refused_probes`), it has a short problem. The throttles of this row are
        then no evidence.

        After too many throttles, raise the burndown. If a trial had lowered the burndown, this package has counted too
        few tokens for the calls of the last minute. Return the missing tokens, so that the caller counts them now.
        Otherwise return 0.
        """
        if self.due == inf or now - age < self._failed_at:
            return 0.0
        self._row = self._row or in_a_row >= ROW
        if in_a_row == 1:
            self._end_row()
            self._row_at, self._before = now, self._doubts.mark()
        elif in_a_row:
            lasted = now - self._row_at
            self._lost = lasted if lasted <= LONG else 0.0
        self._throttled_at = now
        self._doubts.throttle(anyway=self._resting(now))
        if in_a_row != 1 and now - self._row_at <= LONG:
            if refused_probes >= PROBES:
                self._outage = True
                if not self._regular:
                    self._doubts.withdraw(self._before)
            return 0.0
        if self.rate < self._sure and self._doubts.enough:
            return self._fail(now, limit.share)
        if self.rate >= self._sure and self._doubts.doubt > DOUBT:
            self._rise(now, limit)
        return 0.0

    def _end_row(self) -> None:
        """End the last row of throttles. If it was an outage (not even probes were accepted), find out whether it ended
        at the same second of the minute as the outage before. Such regular outages are full minutes of the service.
        """
        if self._outage:
            later = (self._throttled_at - self._outage_ended) % MINUTE
            self._regular = min(later, MINUTE - later) <= SAME_SECOND
            self._outage_ended, self._outage = self._throttled_at, False

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
        self._change(to, f"throttles arrived during a trial of {self.rate:.3g}")
        return owed

    def _rise(self, now: float, limit: Limit) -> None:
        """Raise the burndown (quota tokens per output token) if it is too low. It is too low if calls waited and were
        throttled, although this package counted far fewer tokens than the limit in the last minute.

        For example, the limit is 100,000 tokens per minute. This package has counted 60,000 tokens, but the service
        throttles, so the service has counted 100,000. The service counts more quota tokens for each output token than
        this package.
        """
        told, last = self._told * limit.share, self._marks[-1]
        minute = [mark for mark in self._marks if mark.at > now - MINUTE - LOOK] or [last]
        seconds, output = last.at - minute[0].at, last.output - minute[0].output
        busy = sum(after.at - before.at for before, after in itertools.pairwise(minute) if after.busy)
        waited = busy >= BUSY * seconds and now - self._failed_at > HOLDS
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
            self._change(to, f"{self.rate:.3g} was too low: throttled minutes were far from full")
            limit.estimator.adopt(self._told * MINUTE)
            limit.estimator.reason = "as configured; throttles had another cause: the burndown was too low"

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
        """Return the number of quota tokens per second that calls have used. Only calls that ended in the last 30
        seconds are counted.
        """
        marks, last = self._marks, self._marks[-1]
        first = marks[-min(len(marks), 1 + int(PACE / LOOK))]
        charge = last.input - first.input + (last.output - first.output) * self.rate
        return charge / max(LOOK, last.at - first.at)

    def _owed(self, now: float, rate: float) -> float:
        """Return the quota tokens that the count of the last minute lacks if the right burndown is `rate`. For example,
        1000 output tokens were counted with a burndown of 4. If `rate` is 5, the count lacks 1000 quota tokens.
        """
        marks = [mark for mark in self._marks if mark.at >= now - MINUTE]
        return sum(
            (after.output - mark.output) * max(0.0, rate - mark.rate) for mark, after in itertools.pairwise(marks)
        )

    def _bound(self, share: float) -> float:
        """Return the highest burndown that is possible: with a higher one, the service could not have accepted all the
        calls that have ended. `share` is this process's fraction of the limit.
        """
        last, told = self._marks[-1], self._told * share
        return min(
            (
                (told * (last.at - mark.at + MINUTE) - (last.input - mark.input)) / (last.output - mark.output)
                for mark in self._marks
                if last.output > mark.output
            ),
            default=inf,
        )
