"""Estimate the limit of one dimension: one throttle is one observation, not a verdict.

A throttle may come from the rate, from a burst, from a bad moment of the service, or for no reason at all. What tells
these apart is when it comes, and what becomes of it at a lower rate:

    state      entered                           what it does                               left
    ---------  --------------------------------  -----------------------------------------  ----------------------------
    growing    at the start and after each       told: the rate returns to what it was;     by doubt
               verdict; not told: on trial, too  not told: it grows by as much for all who
                                                 share it; unknown: it doubles each second
    doubting   a throttle that the noise does    the rate stays                             calls without throttles; or
               not explain                                                                  enough of them: a trial
    on trial   enough such throttles             lower than these throttles explain (if     by a verdict:
                                                 reservations exceed the minute, these are
                                                 reduced instead); not told: and lower      or by a full minute
     - gone    hardly any throttles now          the rate was the cause: the limit is what  growing
                                                 went through
     - same    as many throttles as before; not  they are noise, and tolerated from now     growing
               told: and not of large calls      on: the rate is what it was
    in a row   OUTAGE throttles, and hardly a    a bad moment, nothing changes; several     a call that gets through
               call got through between them     within half a minute: lower, to what went
                                                 through; longer than LONG: a full minute,
                                                 the limit is what the last one took

A throttle when the last second went faster than the rate is the burst's (`bursts`). Noise is an average over what
proved harmless (`evidence`): after long noise, a cluster is no reason to go lower. Not told, large calls say more.
Throttles of calls that were admitted before the last change say nothing about it. A told limit is a strong prior and a
ceiling: `TOLD` and `UNTOLD` say how much evidence it takes for what. Several who share a limit without knowing of each
other come to about equal parts: each grows by the same number of calls a second and yields by a part of what it has.
Members of a store share what they find (`adopt`): verdicts and noise, and none loses its evidence to another's growth.

The constants were found in simulation (bench/quota_matrix.py); docs/policies/quota.md says what the parts buy.
"""

from __future__ import annotations

from math import exp, inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.bursts import Burst
from aws_bedrock_inference.rules.quota.evidence import LARGER, TOLD, UNTOLD, Evidence, Trial

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.observed import Counts, Throttle


UNKNOWN_INCREASE = 0.7  # a second: an estimate that rests on nothing about doubles

# Throttles alone never lower the estimate below so many calls a minute: a service that refuses everything says nothing
# about the quota.
LEAST_CALLS = 6.0

# A told rate returns nearly to what went through at once. Growth doubles a level in so many seconds; no level is nearer
# to the rate than this part.
KEPT = 0.99
SPAN = 60.0
NEAR = 0.002

# What is not told grows by this part a second at this many calls a second, and by as many calls whatever the rate is,
# up to a factor: that brings several who share a limit to equal parts. So many calls without a decrease double that.
EVENLY = 0.003
EVEN_CALLS = 6.0
EVEN_MOST = 2.0
FASTER_AFTER = 300.0

# The rate does not grow above this doubt.
DOUBTING = 1.0

# So many throttles in a row are a row; a row that goes on so much longer was no matter of the rate; only a full minute
# explains a longer one, in seconds. Rows are forgotten in so many seconds.
OUTAGE = 3
PROVEN = 5
LONG = 6.0
LONG_KEPT = 0.5
FORGOTTEN = 30.0

# If answers take long and max_tokens is far above their usage, reservations fill the minute with tokens that will never
# be used. A bucket does not mind: so they may exceed the minute by this share more each second, up to SLACK_MOST.
SLACK_INCREASE = 0.01
SLACK_MOST = 4.0
SLACK_LEAST = 0.02
SLACK_KEPT = 0.5

# A lower estimate of others by no more than this part is no new verdict. After a trial here has ended in noise, others
# still repeat it for so many seconds.
SLIGHTLY = 0.02
RESTORING = 15.0


class EvidenceEstimator:
    """An estimator that weighs throttles as evidence; the module draws its states.

    The estimate is never above `ceiling`. `reason` says in words why it is what it is.
    """

    def __init__(self, estimate: float, *, burst: float, ceiling: float = inf, known: bool = True) -> None:
        self.estimate = estimate
        self.burst = burst
        self._bursts = Burst(burst)
        self.slack = 0.0
        self.ceiling = ceiling
        self.known = known
        self.reason = "as it was given" if known else "nothing is known yet"
        self.evidence = Evidence()
        self._told = ceiling < inf
        self._prior = TOLD if self._told else UNTOLD
        self._now = self._changed_at = 0.0
        self._admitted = 0.0
        self._trial: Trial | None = None
        self._level, self._drop, self._grown = estimate, 0.0, 0.0  # told: seconds of growth, else calls
        self._row_at = self._rows_at = -inf
        self._row_counts = True
        self._row_before, self._row_estimate = self.evidence.mark(), estimate
        self._rows = 0.0
        self._restored_at = -inf

    def elapsed(self, seconds: float, counts: Counts) -> None:
        """Judge a trial, or grow while the limit holds calls back."""
        self._now += seconds
        if self.evidence.doubt > 0.0 or self.evidence.noise or self._trial is not None:
            self._count(counts)
            if self._trial is not None:
                self._judge(self._trial)
        if self.burst < self._bursts.most:
            self.burst = self._bursts.grow(seconds)
        if counts.held_back:
            if counts.reserved:
                self.slack = min(SLACK_MOST, self.slack + SLACK_INCREASE * seconds)
            if self.evidence.doubt < DOUBTING and not (self._told and self._trial is not None):
                self._grow(seconds, counts)

    def throttled(self, throttle: Throttle, counts: Counts) -> bool:
        """Find out what a throttle is evidence for; return whether nothing is left of the burst."""
        self._count(counts)
        in_a_row = throttle.in_a_row
        if self.known and in_a_row < OUTAGE and self._bursts.explains(throttle, self.estimate):
            if self._bursts.blame(throttle, self._now):
                self.burst = self._bursts.seconds
                self._change()
            return True
        if not in_a_row or throttle.age > self._now - self._changed_at:
            return False
        if in_a_row >= OUTAGE:
            return self._weigh_row(throttle) or not self._told
        if in_a_row == 1:
            self._weigh(throttle)
            return not self._told and self.evidence.doubt > DOUBTING
        return not self._told

    def adopt_noise(self, noise: float) -> None:
        """Take over the noise that another member of a shared quota has found, if none is known: it ends a trial."""
        if self.evidence.noise:
            return
        self.evidence.find_noise(min(0.5, noise))
        if self._trial is not None:
            self.estimate, self.known, self._trial = self._trial.estimate, self._trial.known, None
            self._restored_at = self._now
            self._change()

    def adopt(self, estimate: float) -> None:
        """Take over the estimate of another member, unless it only undoes a trial here or repeats one that is over."""
        estimate = min(self.ceiling, estimate)
        lower = estimate < self.estimate
        if (self._now - self._restored_at < RESTORING) if lower else self._trial is not None:
            return
        if self.known and lower and estimate < (1.0 - SLIGHTLY) * self.estimate:
            self._lower(estimate, self.estimate)
            self._grown = -5.0
            self._change()
        if estimate != self.estimate:
            self.estimate = estimate
            self.reason = "another member of the shared quota found it"
        self.known = True

    @property
    def noise(self) -> float:
        """The part of the calls that is throttled whatever the rate is."""
        return self.evidence.noise

    def _count(self, counts: Counts) -> None:
        self.evidence.admit(max(0.0, counts.admitted - self._admitted), on_trial=self._trial is not None)
        self._admitted = counts.admitted

    def _grow(self, seconds: float, counts: Counts) -> None:
        if not self.known:
            self.estimate *= 1.0 + UNKNOWN_INCREASE * seconds
        elif not self._told:
            self._grown += counts.calls * seconds
            evenly = EVENLY * EVEN_CALLS / max(EVEN_CALLS / EVEN_MOST, counts.calls)
            self.estimate *= 1.0 + evenly * (1.0 + (self._grown / FASTER_AFTER) ** 2) * seconds
        elif self.estimate < self.ceiling:
            self._grown += seconds
            way = self._grown / SPAN - self._drop**0.25
            self.estimate = min(self.ceiling, max(self.estimate, self._level * (1.0 + way * abs(way) ** 3)))

    def _weigh(self, throttle: Throttle) -> None:
        self._row_at, self._row_counts = self._now, True
        self._row_before = self.evidence.mark()
        self._row_estimate = self.estimate if self.known else throttle.at_least(LEAST_CALLS)
        evidence = self.evidence
        evidence.throttle(1.0 if self._told else throttle.size)  # the told prior is stronger than sizes
        doubtful = evidence.doubtful(self._prior.doubt)
        if self._trial is not None:
            self._judge(self._trial)
            if not self._told and doubtful:
                self._reduce(self.estimate, 0.0, throttle.refused)
                self._changed_at, self._grown, evidence.doubt = self._now, 0.0, 0.0
        elif doubtful:
            base = self.estimate if self.known else min(self.estimate, throttle.at_least(LEAST_CALLS))
            self._try(Trial(self.estimate, self.slack, self.known, 0.0), base, throttle.refused)

    def _reduce(self, base: float, excess: float, refused: float) -> None:
        least = min(base, LEAST_CALLS * refused)
        self.estimate = max(least, base * (1.0 - excess) * (1.0 - self._prior.below))

    def _try(self, before: Trial, base: float, refused: float = 0.0) -> None:
        """Lower `base`, or the slack, below what the throttles explain, counting fewer than there were of few."""
        evidence = self.evidence
        throttled = evidence.rate * (1.0 - evidence.throttles**-0.5)
        again = self._trial is not None
        self._trial = before._replace(throttled=evidence.rate if again else throttled)
        if self.slack > SLACK_LEAST:
            self.slack *= SLACK_KEPT
        else:
            excess = max(0.0, throttled - evidence.noise)
            self.known = True
            self._reduce(base, excess, refused)
        what = f"{evidence.rate:.1%} of {evidence.calls:.0f} calls were throttled"
        self.reason = f"{what}: less goes, to see if that ends it"
        self._grown = 0.0
        self._change()

    def _judge(self, trial: Trial) -> None:
        evidence, prior = self.evidence, self._prior
        gone = evidence.verdict(trial.throttled, prior.gone, blamed=not self._told)
        if gone is None:
            return
        cut = 1.0 - self.estimate / trial.estimate
        reserved = self.slack != trial.slack
        shallow = cut < max(prior.cut, evidence.rate - evidence.noise)
        if not gone and (reserved or (shallow and self._told)):
            self._try(trial._replace(slack=self.slack) if reserved else trial, self.estimate)
            return
        if not gone and not self._told and (shallow or evidence.size > LARGER):
            return
        if not gone:
            evidence.find_noise(min(evidence.rate, trial.throttled))
            self._restored_at = self._now
            self.estimate, self.known = trial.estimate, trial.known
            self.reason = f"throttles went on when less went: {evidence.noise:.1%} of calls, whatever the rate is"
        else:
            evidence.learn()
            evidence.blame()
            self.reason = "throttles ended when less went"
            if self._told and not reserved:
                level = min(trial.estimate, self.estimate / (1.0 - prior.below))
                self._lower(max(self.estimate, level * KEPT), level)
        self._trial = None
        self._change()

    def _weigh_row(self, throttle: Throttle) -> bool:
        """Weigh a row of throttles; return whether it lowered the rate at once."""
        if throttle.in_a_row >= PROVEN:
            self.evidence.withdraw(self._row_before)
        if self._row_counts:
            self._row_counts = False
            self._rows = self._rows * exp((self._rows_at - self._now) / FORGOTTEN) + 1.0
            self._rows_at = self._now
            if self._rows >= self._prior.rows:
                self._rows = 1.0
                base = self.estimate if self.known else throttle.at_least(LEAST_CALLS)
                to = max(self._prior.kept * base, (1.0 - self._prior.below) * min(base, throttle.recently))
                self._lower(to, max(self._level, base) if self._told else to)
                self.reason = "rows of throttles, again and again"
                self._change()
                return True
        elif self._now - self._row_at > LONG:
            if self.slack > SLACK_LEAST:
                self.slack *= SLACK_KEPT
            elif throttle.lately < self.estimate:
                self._trial = None
                to = max(LONG_KEPT * self._row_estimate, throttle.lately)
                self._lower(to, to)
                self.reason = "nothing went for long: the last minute was full"
                self._change()
        return False

    def _lower(self, to: float, level: float) -> None:
        """Set the estimate; it grows again towards `level`, and on from there."""
        self.evidence.blame()
        self.estimate, self.known = to, True
        self._level, self._drop, self._grown = level, max(NEAR, 1.0 - to / level), 0.0
        if self._trial is not None:  # what ends it in noise does not undo this
            self._trial = self._trial._replace(estimate=min(self._trial.estimate, level), known=True)

    def _change(self) -> None:
        """Let what comes now be evidence about what is now."""
        self.evidence.forget()
        self._changed_at = self._now
