"""Estimate the limit of one dimension (requests or tokens). One throttle alone does not prove that the limit was
exceeded.

A throttle can have one of these causes:

* the rate: the estimated limit is too high.
* the burst: too many calls were sent without a pause between them.
* the slack: the reserved tokens exceeded the limit per minute by too much.
* a short problem of the service.
* noise: the service throttles some calls at random, although the quota is not full.

A trial lowers the slack, the burst or the rate, to see whether the throttles stop. The value that the trial lowers is
the suspect. The result of the trial is the verdict. A "told" limit is configured, listed by Service Quotas, or found by
another process with the same store:

    state      begins                            effect                                      ends
    ---------  --------------------------------  ------------------------------------------  ---------------------------
    growing    at the start, or after a verdict  The estimate grows while calls wait for     when doubting begins
                                                 quota. A told limit first grows back to
                                                 its earlier value. Without any evidence,
                                                 the estimate nearly doubles each second.
    doubting   with a throttle that noise does   The estimate does not grow.                 after calls without
               not explain                                                                   throttles, or with enough
                                                                                             throttles for a trial
    on trial   with enough such throttles        One suspect is lowered: the slack, the      with a verdict, or with a
                                                 burst (of a told limit), or the rate (by    decrease of the rate after
                                                 about the throttled fraction of the         a row longer than LONG
                                                 calls).
     - gone    verdict: almost no throttles now  The suspect was the cause, and stays low.   growing
                                                 Only the rate of a told limit rises by a
                                                 few percent, because the trial lowered it
                                                 more than necessary.
     - same    verdict: as many throttles as     The suspect is restored, and the next one   growing
               before                            is lowered. If the rate was not the cause
                                                 either, the throttles are noise.
    in a row   with OUTAGE throttles, and        Nothing changes, because the service        with a call that succeeds
               almost no success between them    probably has a short problem. There are
                                                 two exceptions. If half a minute contains
                                                 more rows than noise explains, the burst or
                                                 the rate is lowered. If one row is longer
                                                 than LONG seconds, the burst, the slack or
                                                 the rate is lowered.

If the limit is configured, a row in which PROBES probes (the first calls after pauses) were refused does not count as
one of several rows, unless there are OUTAGES of them within a minute. A long row does not lower the burst. While
reservations exceed the minute, rows that continue at a lower rate set the slack to 0.

Two kinds of throttles start no trial of the rate. If the calls of the last second were faster than the rate, the burst
was too large (`bursts`). If the minute contains more tokens than the service has ever accepted in a minute, the slack
was too large (`slack`).

Throttles of calls that were admitted before the last change are ignored, because they do not test the new values. If
the limit is not configured, throttles of large calls count more, because a full quota refuses large calls first. While
mostly large calls are throttled, a trial of the rate of such a limit does not end with the verdict "same".

After many calls with noise only, more throttles are needed to start a trial (`evidence`). The estimate never exceeds a
configured limit, and only strong evidence lowers a told limit. Any other limit rises by the same number of calls per
second in each process. It is lowered by a fraction, so a process with a large estimate loses more than others.
Therefore processes that share such a limit get about equal parts. Members of a store share their estimates and their
noise.

The constants come from bench/quota_matrix.py.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.bursts import SMALL, Burst
from aws_bedrock_inference.rules.quota.evidence import LARGER, TOLD, UNTOLD, Evidence, Trial
from aws_bedrock_inference.rules.quota.growth import UNKNOWN_INCREASE, Growth
from aws_bedrock_inference.rules.quota.rows import LONG, OUTAGE, PROBES, PROVEN, Rows, most_by_noise
from aws_bedrock_inference.rules.quota.slack import Slack

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.observed import Counts, Throttle

# Throttles alone never lower the estimate below this many calls per minute, because a service that refuses every call
# gives no evidence about the quota.
LEAST_CALLS = 6.0

LISTED = "as listed by Service Quotas"
ABOVE = 1.01  # an estimate above this factor of the listed limit is no longer described as listed

KEPT = 0.99  # after a trial, the rate of a told limit immediately returns to this fraction of its level
DOUBTING = 1.0  # with more evidence than this of too many throttles, the rate does not grow
LONG_KEPT = 0.5  # after a full minute, the estimate drops at most to this fraction

# An estimate of another member that is lower by at most SLIGHTLY is not a new verdict. For RESTORING seconds after a
# trial that showed only noise, the rate of this trial is ignored in the reports of other members.
SLIGHTLY = 0.02
RESTORING = 15.0


class EvidenceEstimator:
    """An estimator of a limit (requests or tokens per minute), with throttles as evidence. The table at the top of the
    module lists its states. The estimate is never above `ceiling`, the configured limit. `known` is True if `estimate`
    is a configured or listed limit, or is based on evidence. `reason` is a text that explains the estimate.
    """

    def __init__(self, estimate: float, *, burst: float, ceiling: float = inf, known: bool = True) -> None:
        self.estimate = estimate
        self.burst = burst
        self.slack = 0.0
        self.ceiling = ceiling
        self.known = known
        self._firm = ceiling < inf
        self._slack = Slack(configured=self._firm)
        self.reason = "as configured" if self._firm else LISTED if known else "nothing is known yet"
        self.evidence = Evidence()
        self._told = known
        self._prior = TOLD if known else UNTOLD
        self._bursts = Burst(burst, self._prior.regrows)
        self._now = self._changed_at = 0.0
        self._admitted = 0.0
        self._trial: Trial | None = None
        self._growth = Growth(estimate)
        self._rows = Rows(estimate)
        self._restored_at = -inf

    def elapsed(self, seconds: float, counts: Counts) -> None:
        """Advance the time by `seconds`. End the trial if its result is known, and let the estimated limit grow."""
        self._now += seconds
        if self.evidence.doubt > 0.0 or self.evidence.noise or self._trial is not None:
            self._count(counts)
            if self._trial is not None:
                self._judge(self._trial)
        if self.burst < self._bursts.most:
            self.burst = self._bursts.grow(seconds)
        self.slack = self._slack.elapsed(self._now, seconds, counts)
        if counts.held_back and self.evidence.doubt < DOUBTING and not (self._told and self._trial is not None):
            self._grow(seconds, counts)

    def throttled(self, throttle: Throttle, counts: Counts) -> bool:
        """Use a throttle as evidence about the limit. Return True if the token bucket must be emptied, otherwise return
        False.
        """
        self._count(counts)
        in_a_row = throttle.in_a_row
        rows = self._rows
        if in_a_row == 1:
            if self._firm and rows.length >= OUTAGE and not rows.weighed:
                self._weigh_rows(throttle, counts)
            rows.begin(self._now, self.evidence.mark(), self._base(throttle))
        rows.length = in_a_row or rows.length
        if self.known and in_a_row < OUTAGE and self._bursts.explains(throttle, self.estimate):
            if self._bursts.blame(throttle, self._now):
                self._change()
            return True
        if self._slack.explains(throttle, self._now, counts):
            self.slack = self._slack.share
            return False
        if not in_a_row or throttle.age > self._now - self._changed_at:
            return False
        if in_a_row >= OUTAGE:
            return self._weigh_row(throttle, counts) or not self._told
        if in_a_row == 1:
            self._weigh(throttle, counts)
            return not self._told and self.evidence.doubt > DOUBTING
        return not self._told

    def adopt_noise(self, noise: float) -> None:
        """Use the noise (the fraction of random throttles) that another process found, if this process has found none.
        If a trial is running, it ends without a verdict, because the noise may be the cause of the throttles.
        """
        if self.evidence.noise:
            return
        self.evidence.find_noise(min(0.5, noise))
        if self._trial is not None:
            self._restore(self._trial)
            self._trial = None
            self._change()

    def adopt(self, estimate: float) -> None:
        """Use the `estimate` of the limit that another member (process) sent.

        A higher estimate is ignored while this process runs a trial, because the trial tests a lower value. A lower
        estimate is ignored for 15 seconds after this process has restored a value that its trial had lowered. In this
        time, the other member may still send the lowered value.
        """
        estimate = min(self.ceiling, estimate)
        lower = estimate < self.estimate
        if (self._now - self._restored_at < RESTORING) if lower else self._trial is not None:
            return
        found = estimate != self.estimate
        if self.known and lower and estimate < (1.0 - SLIGHTLY) * self.estimate:
            self._lower(estimate, self.estimate)
            self._growth.rest(5.0)
            self._change()
        self.estimate = estimate
        if found:
            self.reason = "another member of the shared quota found it"
        self.known = True
        if not self._told and estimate < inf:
            self._told, self._prior = True, TOLD
            self._growth.lowered(estimate, estimate)

    @property
    def noise(self) -> float:
        """The fraction of the calls that the service throttles at random, even if few calls are sent."""
        return self.evidence.noise

    def overfull(self, used: float, minute: float) -> bool:
        """Return True if the slack can be the cause of a throttle, otherwise False. The slack is the fraction by which
        the reserved tokens can exceed the limit per minute. `used` is the number of units (requests or tokens) that the
        last minute and the throttled call need. `minute` is the limit of the minute.

        The slack can be the cause only if `used` exceeds `minute`. After the slack has been set to 0, it can still be
        the cause for 60 seconds. It is not the cause if the service has already accepted more than the limit for over a
        minute.
        """
        return used > minute and (self._unproven > 0.0 or self._slack.remains(self._now))

    @property
    def _unproven(self) -> float:
        return 0.0 if self._slack.proven(self._now) else self.slack

    def _count(self, counts: Counts) -> None:
        self.evidence.admit(max(0.0, counts.admitted - self._admitted), on_trial=self._trial is not None)
        self._admitted = counts.admitted

    def _grow(self, seconds: float, counts: Counts) -> None:
        if not self.known:
            self.estimate *= 1.0 + UNKNOWN_INCREASE * seconds
        elif not self._told:
            self.estimate = self._growth.found(self.estimate, seconds, counts.calls)
        elif self.estimate < self.ceiling:
            self.estimate = min(self.ceiling, self._growth.told(self.estimate, seconds))
            if self.reason == LISTED and self.estimate > ABOVE * self._growth.level:
                self.reason = "above the limit that Service Quotas lists, because the service accepts more"

    def _weigh(self, throttle: Throttle, counts: Counts) -> None:
        evidence = self.evidence
        evidence.throttle(1.0 if self._firm else throttle.size)  # sizes are no evidence about a configured limit
        doubtful = evidence.doubtful(self._prior.doubt)
        if self._trial is not None:
            self._judge(self._trial)
            if doubtful and not self._firm and self._tries_rate:
                self._reduce(self.estimate, 0.0, throttle.refused)
                self._growth.rest()
                self._changed_at, evidence.doubt = self._now, 0.0
        elif doubtful:
            self._try(self._suspected(counts), min(self.estimate, self._base(throttle)), throttle.refused)

    @property
    def _tries_rate(self) -> bool:
        return self._trial is not None and self._trial.of_rate

    def _base(self, throttle: Throttle) -> float:
        """Return the estimated limit. If there is no estimate yet, return the use in the last few seconds."""
        return self.estimate if self.known else throttle.at_least(LEAST_CALLS)

    def _suspected(self, counts: Counts) -> Trial:
        """Return a trial of the first suspect in this list.

        * the slack, if the used and reserved tokens of the last minute exceed the limit. However, the slack is no
          suspect if the service has already accepted more than the limit for over a minute.
        * the burst, if it is not small, and the limit is configured, listed or found by another process.
        * the rate.
        """
        slack = self._unproven if counts.used > counts.minute else 0.0
        burst = self.burst if self._told and self.burst >= SMALL else 0.0
        return Trial(self.estimate, slack, burst, self.known, 0.0)

    def _reduce(self, base: float, excess: float, refused: float) -> None:
        least = min(base, LEAST_CALLS * refused)
        self.estimate = max(least, base * (1.0 - excess) * (1.0 - self._prior.below))

    def _try(self, before: Trial, base: float, refused: float = 0.0) -> None:
        """Start a trial: reduce the slack, the burst or the rate. `before` contains the values to restore later.

        A trial of the rate lowers it from `base` by about the fraction of the calls that was throttled, and then by a
        few percent more.
        """
        evidence = self.evidence
        throttled = evidence.rate * (1.0 - evidence.throttles**-0.5)
        self._trial = before._replace(throttled=throttled if self._trial is None else evidence.rate)
        if before.slack:
            self._slack.fail(self._now)
        elif before.burst:
            self._bursts.reduce()
        else:
            excess = max(0.0, throttled - evidence.noise)
            self.known = True
            self._reduce(base, excess, refused)
        self.reason = f"{evidence.rate:.1%} of {evidence.calls:.0f} calls were throttled: a trial with fewer calls"
        self._growth.rest()
        self._change()

    def _judge(self, trial: Trial) -> None:
        evidence, prior = self.evidence, self._prior
        gone = evidence.verdict(trial.throttled, prior.gone, blamed=not self._firm)
        shallow = 1.0 - self.estimate / trial.estimate < max(prior.cut, evidence.rate - evidence.noise)
        if gone is None or (not gone and trial.of_rate and not self._firm and (shallow or evidence.size > LARGER)):
            return
        if not gone and (shallow or not trial.of_rate):
            if not trial.of_rate:
                self._restore(trial)
            self._try(trial._replace(slack=0.0) if trial.slack else trial._replace(burst=0.0), self.estimate)
            return
        if not gone:
            evidence.find_noise(min(evidence.rate, trial.throttled))
            self._restore(trial)
            self.reason = f"throttles continued with fewer calls: {evidence.noise:.1%} of calls, whatever the rate is"
        else:
            evidence.learn()
            evidence.blame()
            self.reason = "throttles stopped with fewer calls"
            if self._told and trial.of_rate:
                level = min(trial.estimate, self.estimate / (1.0 - prior.below))
                self._lower(max(self.estimate, level * KEPT), level)
        self._trial = None
        self._change()

    def _restore(self, before: Trial) -> None:
        """Restore the values that the trial lowered. `before` contains the values from before the trial."""
        self.estimate, self.known = before.estimate, before.known
        self._restored_at = self._now
        if before.slack:
            self._slack.restore(before.slack, self._now)
        elif before.burst:
            self._bursts.seconds = before.burst

    def _weigh_row(self, throttle: Throttle, counts: Counts) -> bool:
        """Use a row of throttles as evidence. Repeated rows lower the burst or the rate. One long row lowers the burst
        (of a limit that is not configured), the slack or the rate.

        If the limit is configured, a short row is weighed when it has ended, because a short problem of the service
        begins in the same way. Such a problem also refuses the probes (the first calls after pauses), so it is no
        evidence. But many such problems within a minute lower the burst, because some services refuse all calls for a
        moment after a large burst. If probes are accepted, but the calls after them are refused, each such refusal
        counts as a row. However, all refusals of one row together lower the rate at most once.

        Return True if the token bucket must be emptied: after repeated rows, after a long row that lowered the burst,
        or if the calls after an accepted probe were refused. Otherwise return False.
        """
        rows = self._rows
        if throttle.in_a_row >= PROVEN:
            self.evidence.withdraw(rows.before)
        if not self._firm and not rows.weighed:
            return self._weigh_rows(throttle, counts)
        if self._firm and throttle.probe_accepted:
            self._weigh_rows(throttle, counts)
            return True
        if self._firm and throttle.refused_probes >= PROBES and not rows.weighed and rows.outage(self._now):
            self._reduce_burst(throttle)
        return rows.lasted(self._now) > LONG and self._weigh_long_row(throttle)

    def _weigh_long_row(self, throttle: Throttle) -> bool:
        """Use a row longer than `LONG` as evidence: the minute was full. Lower the burst (of a limit that is not
        configured), the slack or the rate. Return True if the burst was lowered; otherwise return False.
        """
        if not self._firm and self._reduce_burst(throttle):
            return True
        if self._unproven:
            self._slack.fail(self._now)
            self._change()
        elif throttle.lately < self.estimate:
            self._trial = None
            to = max(LONG_KEPT * self._rows.estimate, throttle.lately)
            self._lower(to, to)
            self.reason = "no call succeeded for several seconds: the last minute was full"
            self._change()
        return False

    def _weigh_rows(self, throttle: Throttle, counts: Counts) -> bool:
        """Count the present row of throttles. If there were too many rows, lower the burst, the slack or the rate, and
        return True. Otherwise return False. One row lowers the rate of a configured limit at most once.
        """
        rows = self._rows
        if not rows.again(self._now, self._prior.rows + most_by_noise(self.evidence.noise, counts.calls)):
            return False
        if self._reduce_burst(throttle):
            return True
        if self._firm and self._slack.share and counts.used > counts.minute and rows.repeated(self._now):
            self._slack.fail(self._now)
            self.estimate = max(self.estimate, KEPT * self._growth.level)
            self.reason = "repeated rows of throttles also at a lower rate: reservations filled the minute"
        elif self._firm and rows.lowered:
            return True
        else:
            base = self._base(throttle)
            to = max(self._prior.kept * base, (1.0 - self._prior.below) * min(base, throttle.recently))
            level = rows.level(self._now, max(self._growth.level, base), throttle.lately)
            self._lower(to, max(to, level) if self._told else to)
            self.reason = "repeated rows of throttles"
        self._change()
        return True

    def _reduce_burst(self, throttle: Throttle) -> bool:
        """Reduce the burst (the quota that calls can use without a pause), unless it is small already. Return True if
        the burst was reduced.

        If only this process has found the limit, there is one more condition: just before the throttle, calls used
        quota much faster than the limit.
        """
        if self.burst < SMALL or not (self._told or self._bursts.explains(throttle, self.estimate)):
            return False
        self._bursts.reduce()
        self._change()
        return True

    def _lower(self, to: float, level: float) -> None:
        """Lower the estimated limit to `to`. From then on, the estimate grows back to `level`, and then beyond."""
        self.evidence.blame()
        self.estimate, self.known = to, True
        self._growth.lowered(to, level)
        if self._trial is not None:  # also if the trial shows noise, this decrease remains
            self._trial = self._trial._replace(estimate=min(self._trial.estimate, level), known=True)

    def _change(self) -> None:
        """Delete the evidence about the limit, because the evidence belongs to earlier values. One of three values has
        changed: the estimate, the burst or the slack (the fraction by which reserved tokens can exceed the limit per
        minute).
        """
        self.slack, self.burst = self._slack.share, self._bursts.seconds
        self.evidence.forget()
        self._changed_at = self._now
