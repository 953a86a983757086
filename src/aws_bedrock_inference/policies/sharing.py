"""The part of one process in a quota that a store divides among many processes.

About once a second, one call reports to the store what this process needs. The store replies with a lease: the share of
the quota that the process can use for a few seconds. When the lease has expired, the process sends no calls until the
store has renewed the lease.

While the store fails, it cannot grant the share of this process to another process. Therefore the process extends a
lease that is still valid. If a request fails after the lease has expired, calls wait for a second request, which is
sent after one second. If the second request also fails, the process uses the quota divided by the last known number of
members, but at most its last share. A process that never reached the store uses a tenth of the
quota if the cause can be temporary. If somebody must correct the cause, such as a wrong password, the call raises
`StoreUnusable`.
"""

from __future__ import annotations

import os
import socket
import uuid
import weakref
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.events import StoreChanged
from aws_bedrock_inference.flow import ask, emit
from aws_bedrock_inference.forks import AtEnd, renew_after_fork
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.rules.quota.fair_shares import FREE, OTHERS
from aws_bedrock_inference.rules.quota.leases import LeaseRequest
from aws_bedrock_inference.stores import StoreUnavailable, StoreUnusable
from aws_bedrock_inference.stores.report import MemberReport
from aws_bedrock_inference.tokens.answer_sizes import AnswerSizes

if TYPE_CHECKING:
    from collections.abc import Generator

    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Effect, StoreRequest
    from aws_bedrock_inference.rules.quota.fair_shares import Need
    from aws_bedrock_inference.rules.quota.gone import Use, Uses
    from aws_bedrock_inference.rules.quota.leases import Grant
    from aws_bedrock_inference.rules.quota.ledger import Ledger
    from aws_bedrock_inference.rules.quota.snapshot import Needs, Whose
    from aws_bedrock_inference.stores import ShareStore

# Without a share of the quota, the first call requests a share from the store, and the other calls wait. A missing
# share is represented by this number instead of 0, because the arithmetic divides by the share.
NOTHING = 1e-6

# The share of a process that has never reached its store. The other members leave this share of the quota free.
UNSEEN = FREE

# The last request to the store lists the priorities and tenants that this process needs. If a call with another
# priority or tenant waits, a new request is sent early, but at least this many seconds after the last request.
HURRY = 0.25

# The weight of a tenant is the fraction of its calls that is in this process. This number is the least weight. With a
# smaller one, calls that arrive here before the next request to the store would wait too long.
LIGHTEST = 0.05

# An increase of an estimated limit is reported to other members each time the estimate has grown by this fraction.
GROWN = 0.02

# The maximum number of priorities in a report, because programs can give each call a separate number.
SHOWN = 20

# While one call waits for the store (at most half a second), other calls send no request to the store. After a failure,
# the next requests follow after one second, after two seconds, and then every four seconds.
ASKING = 1.0

# The interval, in seconds, at which a member looks for others that use the same quota without knowing their account.
APART = 60.0

AGAIN_FIRST = 1.0
AGAIN_LONGEST = 4.0


class Membership:
    """The membership of this process in the shared quota `pool`, which `store` divides among its members. `due` is the
    time of the next request to the store.
    """

    def __init__(self, store: ShareStore, pool: str, ledger: Ledger, clock: Clock) -> None:
        self.due = -inf
        self.sizes = AnswerSizes()
        self.throttles = 0
        self._store = store
        self._pool = pool
        self._ledger = ledger
        self._clock = clock
        self._pid = 0
        self._name = ""
        self._share = 0.0
        self._members = 0
        self._asked = -inf
        self._failures = 0
        self._needy: frozenset[Whose] = frozenset()
        self._told: tuple[Need, ...] = ()
        self._known: dict[str, tuple[float, int]] = {}
        self._apart = _without_account(pool)
        self._apart_due = -inf
        renew_after_fork(self)
        ledger.watch()
        self._use(0.0, {}, 0.0, -inf)

    def after_fork(self) -> None:
        """In a forked child, discard the parent's share of the quota. The child requests its own share before its first
        call.
        """
        self.due = self._ledger.window.leased_until = -inf

    def lapsed(self, now: float) -> bool:
        """Return True if this process's lease (its share of the quota) has expired; otherwise return False."""
        return now >= self._ledger.window.leased_until

    def renew(self, now: float) -> Generator[Effect, object, None]:
        """Request a share of the quota from the store, and wait for the share for at most half a second.

        Raises `StoreUnusable` if the store cannot be used until somebody corrects the cause, such as a wrong password.
        If this process has already received a share from the store, no exception is raised.
        """
        self.due = now + ASKING
        self._asked = now
        try:
            grant = yield from ask(self._store.renew(self._pool, self._who(), self._request(now)))
        except StoreUnavailable as error:
            if isinstance(error, StoreUnusable) and not self._members:
                self.due = -inf
                raise
            self._lose(now)
            if self._failures == 1:
                yield from emit(StoreChanged(self._pool, available=False, message=str(error)))
            return
        self._have(grant, now)
        if self._failures:
            self._failures = 0
            yield from emit(StoreChanged(self._pool, available=True, message="the store answers again"))
        if self._apart and now >= self._apart_due:
            self._apart_due = now + APART
            yield from self._look_apart()

    def _look_apart(self) -> Generator[Effect, object, None]:
        """Log a warning, once, if other processes use this store and this model but do not know their AWS account.

        The store then treats these processes as users of a different quota, although their account can be the account
        of this process. If both accounts are the same, the store grants the quota twice: once to the processes that
        know the account, and once to the other processes.
        """
        with suppress(StoreUnavailable):
            view = (yield from ask(self._store.look(self._apart))).get(self._apart)
            if view is not None and view.members:
                self._apart = ""
                LOGGER.warning(
                    "quota of %s: %d process(es) that use the same store, such as %s, do not know their AWS account. "
                    "If it is the account of this process, the quota can be exceeded. For these processes, set "
                    "AWS_ACCOUNT_ID. For access keys in a file, set aws_account_id in their profile instead",
                    self._pool,
                    len(view.members),
                    view.members[0].member,
                )

    def leave(self) -> Generator[Effect, object, None]:
        """Release the share of the quota, unless calls use the share now."""
        if not self._ledger.concurrency.in_flight and not self._ledger.ahead():
            request = self._leaving()
            if request is not None:
                with suppress(StoreUnavailable):
                    yield from ask(request)
                    self._ledger.forget()

    def leave_at_exit(self, silent: set[ShareStore]) -> None:
        """Release the share of the quota at the end of the program. If the store fails, add the store to `silent`.
        Stores in `silent` receive no further requests.
        """
        request = None if self._store in silent else self._leaving()
        if request is not None:
            try:
                request.run()
            except StoreUnavailable:
                silent.add(self._store)

    def hurry(self, priority: float, tenant: str, now: float) -> None:
        """Send the next request to the store earlier. This request reports that a call with this priority and tenant
        waits for quota. Change nothing if the last request already reported such a call, or if the store fails.
        """
        if not self._failures and not {(priority, tenant), (priority, OTHERS)} & self._needy:
            self.due = min(self.due, max(now, self._asked + HURRY))

    def saw(self, call: Call, outcome: Outcome, *, throttled: bool) -> None:
        """Record an ended call: whether it was throttled, and the length of its answer. After a throttle, the next
        request to the store is due immediately, because this request reports the throttle.
        """
        if throttled:
            self.throttles += 1
            if not self._failures:
                self.due = -inf
        if outcome.fault is None and outcome.usage is not None:
            self.sizes.add(outcome.usage.output_tokens, call.estimate.output_tokens)

    def _who(self) -> str:
        """Return the name of this process in the shared quota. A forked child gets a different name."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._name = f"{socket.gethostname()}:{self._pid}:{uuid.uuid4().hex[:8]}"
            self._share = 0.0
            _leave_at_exit(self)
        return self._name

    def _leaving(self) -> StoreRequest[None] | None:
        """Stop using the share of the quota, and return the request that frees the share. If this process has no
        share, or if the store fails, do nothing and return None.
        """
        if self._pid != os.getpid() or self._share == 0.0 or self._failures:
            return None
        self.due = self._ledger.window.leased_until = -inf
        self._share = 0.0
        now = self._clock()
        return self._store.leave(self._pool, self._name, self._report(now, self._ledger.needs(now)))

    def _request(self, now: float) -> LeaseRequest:
        needs = self._ledger.needs(now)
        self._needy, self._told = needs.waiting, needs.told
        limits = tuple(self._told_of(name, estimate) for name, estimate in needs.limits)
        holding = 0.0 if self.lapsed(now) else self._share
        report = self._report(now, needs, (0.0, *needs.free))
        told = tuple(need[:3] for need in needs.told)
        tenants = tuple(_disguised(need.tenant) for need in needs.told)
        return LeaseRequest(holding, told, limits, report, needs.rate, tenants if any(tenants) else ())

    def _told_of(self, name: str, estimate: float) -> tuple[str, float, int, bool]:
        """Return an entry of `LeaseRequest.limits`: the limit that this process estimates for `name` (requests or
        tokens).

        A small increase is not reported, because each reported increase changes the estimates of all members. Example:
        the store has sent the limit 1000, and `GROWN` is 0.02. An estimate of 1010 is then reported as 1000, and an
        estimate of 1030 as 1030.
        """
        adopted, stamp = self._known.get(name, (inf, 0))
        grows = adopted < estimate < (1.0 + GROWN) * adopted
        return name, adopted if grows else estimate, stamp, estimate < adopted

    def _report(self, now: float, needs: Needs, *at_once: Use) -> str:
        taken = self._ledger.snapshot(now)
        requests, tokens = (round(sum(use[column] for use in needs.uses)) for column in (1, 2))
        report = MemberReport(
            used={"requests": requests, "tokens": tokens},
            reserved=round(taken.outstanding),
            waiting=dict(islice(taken.waiting.items(), SHOWN)),
            consumers=dict(islice(taken.consumers.items(), SHOWN)),
            throttled=self.throttles,
            minute=(*needs.uses, *at_once),
            reasons={name: reason for name, reason in taken.reasons.items() if taken.estimates[name] < inf},
            pace=taken.pace,
            answers=self.sizes,
        )
        return report.to_json()

    def _have(self, grant: Grant, asked: float) -> None:
        self._members = grant.members
        known = {name: (estimate, stamp) for name, estimate, stamp in grant.limits}
        news = {name: found[0] for name, found in known.items() if found != self._known.get(name)}
        self._known = known
        self.due = asked + grant.again
        self._ledger.queue.weights = {
            (need.priority, need.tenant): max(LIGHTEST, part)
            for need, part in zip(self._told, grant.parts, strict=False)
            if need.tenant != OTHERS
        }
        self._use(grant.share, news, asked, asked + grant.valid, grant.gone)

    def _lose(self, now: float) -> None:
        self._failures += 1
        wait = min(AGAIN_LONGEST, AGAIN_FIRST * 2.0 ** min(self._failures - 1, 32))
        self.due = now + wait
        until = max(self._ledger.window.leased_until, self.due + ASKING)
        if self._share and not self.lapsed(now):
            self._use(self._share, {}, now, until)
        elif self._failures > 1:
            part = 1.0 / self._members if self._members else UNSEEN
            self._use(min(self._share or 1.0, part), {}, now, until)

    def _use(self, share: float, limits: dict[str, float], now: float, until: float, gone: Uses = None) -> None:
        self._share = share
        self._ledger.lease(max(NOTHING, share), limits, now, until if share else -inf, gone)


def _without_account(pool: str) -> str:
    """Return the quota's name `pool` without the account. Return an empty string if `pool` contains no account."""
    account, bar, rest = pool.partition("|")
    return bar + rest if account else ""


def _disguised(tenant: str) -> str:
    """Return a hash of a tenant's name for the store. The hash is the same in all processes and hides the name."""
    return sha256(tenant.encode()).hexdigest()[:16] if tenant not in ("", OTHERS) else tenant


_members: weakref.WeakSet[Membership] = weakref.WeakSet()


def _leave_at_exit(member: Membership) -> None:
    _members.add(member)
    _AT_END.arm()


def _leave_all() -> None:
    silent: set[ShareStore] = set()
    for member in list(_members):
        member.leave_at_exit(silent)


_AT_END = AtEnd(_leave_all)
