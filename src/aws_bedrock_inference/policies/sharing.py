"""The part of one process in a quota that a store shares between many processes.

About once a second, one call reports to the store what this process needs and receives the share of the quota that it
may use. While the store is unavailable, the last share stays in force; a process that never had a share uses the whole
quota and estimates the limits from throttles.
"""

from __future__ import annotations

import os
import socket
import uuid
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.events import StoreChanged
from aws_bedrock_inference.flow import ask, emit
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.rules.quota.leases import LeaseRequest
from aws_bedrock_inference.stores import StoreUnavailable
from aws_bedrock_inference.stores.report import MemberReport
from aws_bedrock_inference.tokens.answer_sizes import AnswerSizes

if TYPE_CHECKING:
    from collections.abc import Generator

    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.flow import Effect
    from aws_bedrock_inference.rules.quota.leases import Grant
    from aws_bedrock_inference.rules.quota.ledger import Ledger
    from aws_bedrock_inference.stores import ShareStore

# Before the first answer of the store nearly nothing is admitted: the first call asks, the others wait for the answer.
NOTHING_YET = 1e-6

# A priority that waits now but had no needs at the last request causes a new request, but not within these seconds.
HURRY = 0.25

# The maximum number of priorities that a member reports; programs with a number for each call have more.
SHOWN = 20

# While one call asks, others do not; an answer takes a quarter of a second at the most. After a failure, the store is
# left alone for a second, then for two, then for four.
ASKING = 1.0
AGAIN_FIRST = 1.0
AGAIN_LONGEST = 4.0


class Membership:
    """A member of the pool `pool` at `store`. `due` is the time of the next request to the store."""

    def __init__(self, store: ShareStore, pool: str, ledger: Ledger) -> None:
        self.due = -inf
        self.sizes = AnswerSizes()
        self.throttles = 0
        self._store = store
        self._pool = pool
        self._ledger = ledger
        self._pid = 0
        self._name = ""
        self._share = 0.0
        self._asked = -inf
        self._until = -inf
        self._failures = 0
        self._needy: frozenset[float] = frozenset()
        self._known: dict[str, tuple[float, int]] = {}
        renew_after_fork(self)
        ledger.watch()
        ledger.lease(NOTHING_YET, {}, 0.0)

    def after_fork(self) -> None:
        """Ask before the first call of a forked child: the lease is its parent's."""
        self.due = -inf

    def renew(self, now: float) -> Generator[Effect, object, None]:
        """Request a share from the store, which takes at most a quarter of a second."""
        self.due = now + ASKING
        self._asked = now
        try:
            grant = yield from ask(self._store.renew(self._pool, self._who(), self._request(now)))
        except StoreUnavailable as error:
            self._lose(now)
            if self._failures == 1:
                yield from emit(StoreChanged(self._pool, available=False, message=str(error)))
            return
        self._have(grant, now)
        if self._failures:
            self._failures = 0
            yield from emit(StoreChanged(self._pool, available=True, message="the store answers again"))

    def hurry(self, priority: float, now: float) -> None:
        """Ask the store earlier, because a call of `priority` waits that the last request did not include."""
        if not self._failures and priority not in self._needy:
            self.due = min(self.due, max(now, self._asked + HURRY))

    def throttled(self) -> None:
        """Report a throttle to the other processes soon."""
        self.throttles += 1
        if not self._failures:
            self.due = -inf

    def saw(self, call: Call, outcome: Outcome) -> None:
        """Record the length of an answer."""
        if outcome.fault is None and outcome.usage is not None:
            self.sizes.add(outcome.usage.output_tokens, call.estimate.output_tokens)

    def _who(self) -> str:
        """Return the name of this process; a forked child gets its own name."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._name = f"{socket.gethostname()}:{self._pid}:{uuid.uuid4().hex[:8]}"
            self._share = 0.0
        return self._name

    def _request(self, now: float) -> LeaseRequest:
        needs = self._ledger.needs(now)
        self._needy = needs.waiting
        limits = tuple((name, estimate, *self._stamp(name, estimate)) for name, estimate in needs.limits)
        holding = self._share if self._failures or now < self._until else 0.0
        return LeaseRequest(holding, needs.by_priority, limits, self._report(now), needs.rate)

    def _stamp(self, name: str, estimate: float) -> tuple[int, bool]:
        adopted, stamp = self._known.get(name, (inf, 0))
        return stamp, estimate < adopted

    def _report(self, now: float) -> str:
        taken = self._ledger.snapshot(now)
        report = MemberReport(
            used={name: round(used) for name, used in taken.used.items()},
            reserved=round(taken.outstanding),
            waiting=dict(islice(taken.waiting.items(), SHOWN)),
            consumers=dict(islice(taken.consumers.items(), SHOWN)),
            throttled=self.throttles,
            answers=self.sizes,
        )
        return report.to_json()

    def _have(self, grant: Grant, asked: float) -> None:
        self._share = grant.share
        self._known = {name: (estimate, stamp) for name, estimate, stamp in grant.limits}
        self.due = asked + grant.again
        self._until = asked + grant.valid
        limits = {name: estimate for name, estimate, _ in grant.limits}
        self._ledger.lease(max(NOTHING_YET, grant.share), limits, asked)

    def _lose(self, now: float) -> None:
        self._failures += 1
        self.due = now + min(AGAIN_LONGEST, AGAIN_FIRST * 2.0 ** (self._failures - 1))
        if not self._share:
            self._ledger.lease(1.0, {}, now)
