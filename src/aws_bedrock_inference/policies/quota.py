"""A policy that uses the whole quota of the account and does not exceed it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import Call, Outcome
from aws_bedrock_inference.events import QuotaQueued
from aws_bedrock_inference.flow import emit, wait
from aws_bedrock_inference.knowledge.models import model_facts, target
from aws_bedrock_inference.policies.keyed import Keyed, Living
from aws_bedrock_inference.policies.pool import Pool
from aws_bedrock_inference.policies.quota_options import checked, opened
from aws_bedrock_inference.policies.refusals import day_spent, queue_full, too_close
from aws_bedrock_inference.policies.throttles import explained, learned, settle_without_usage, throttled
from aws_bedrock_inference.rules.quota.burndown import Burndown
from aws_bedrock_inference.rules.quota.gates import A_DAY, Day
from aws_bedrock_inference.rules.quota.ledger import Ledger
from aws_bedrock_inference.rules.quota.queue import LOOK
from aws_bedrock_inference.rules.quota.ticket import Ticket
from aws_bedrock_inference.tokens.max_tokens_warning import warn_unbounded

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from aws_bedrock_inference.call import Route
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Effect, Flow, Step
    from aws_bedrock_inference.policies.sharing import Membership
    from aws_bedrock_inference.rules.quota.snapshot import Snapshot
    from aws_bedrock_inference.service_quotas.table import QuotaTable
    from aws_bedrock_inference.stores import ShareStore

WAITING = 10_000
"""The default maximum of calls in front of a new call: at ten calls per second, a wait of 17 minutes."""

LIVING: Living[Quota] = Living()
"""The `Quota` objects of this process that are still in use. Metrics read them."""


class Quota:
    """A policy that admits calls as the quota allows, with one ledger (a record of use) for each quota. A quota belongs
    to one account, Region, model and quota pool.

    `rpm`, `tpm` and `tpd` are the account's requests per minute, tokens per minute and tokens per day. `tpd` counts all
    models of a Region together. A configured limit is never exceeded. If the service allows less, the estimated limit
    is lowered. Limits that are not configured are estimated from throttles. Before a call is sent, its input and
    `max_tokens` are reserved. When the call ends, only the tokens that it really used remain charged. If a call does
    not fit, it waits. Calls with a higher priority are admitted first. Calls of the same priority are admitted from
    each tenant in turn, and the calls of one tenant in the order of their arrival.

    `concurrency` limits the number of calls in flight. If it is not set, only errors about a lack of capacity limit
    this number. `waiting`, default 10,000, limits the queue: a call is refused if at least this number of calls would
    be admitted before it. For example, 10,000 calls of tenant A wait. Tenants are admitted in turn, so only one of
    these calls is admitted before the first call of tenant B. Therefore the call of tenant B is not refused.

    `store` is a URL such as `redis://host` or `sqlite:///path`: all processes with the same store share one quota,
    except for `tpd`. The first call raises `StoreUnusable` if the store cannot be used until somebody corrects the
    cause, such as a wrong password.

    `shares` sets the guaranteed part of this process's quota for each priority. {"batch": 0.2} reserves a fifth of the
    quota for batch calls that wait behind higher priorities. A share is not a maximum: batch calls can also use all
    quota that other calls do not need. The default is 0.05 for each priority.

    Clients with the same `Quota` object share the quota.

    Raises `QuotaExhausted`, `QueueFull` and `DeadlineTooClose`. `QuotaExhausted` means that the call is larger than
    `tpm` or `tpd`, that the daily quota is exhausted, or that AWS has set the quota to 0.

    Emits `QuotaQueued`, `ThrottleReceived` and `BurndownChanged`. With a `store`, also emits `StoreChanged`.
    """

    def __init__(
        self,
        *,
        rpm: float | None = None,
        tpm: float | None = None,
        tpd: float | None = None,
        concurrency: int | None = None,
        waiting: int = WAITING,
        shares: Mapping[str | float, float] | None = None,
        store: str | ShareStore | None = None,
    ) -> None:
        for name, value in (("rpm", rpm), ("tpm", tpm), ("tpd", tpd), ("concurrency", concurrency)):
            if value is not None and not is_number(value, above=0):
                raise ValueError(
                    f"Quota({name}={shown(value)}): pass a number above 0, or omit it if there is no such limit"
                )
        if not is_number(waiting, least=1, infinite=True):
            raise ValueError(f"Quota(waiting={shown(waiting)}): pass the number of calls that can wait, 1 or more")
        self.rpm = rpm
        self.tpm = tpm
        self.tpd = tpd
        self.concurrency = concurrency
        self._most_waiting = waiting
        self.shares = checked(shares or {})
        self.store = None if store is None else opened(store)
        self._table: QuotaTable | None = None
        self._ledgers = Keyed(Pool.idle)
        self._burndowns: dict[str, float] = {}  # by model, if set with set_burndown
        self._days: Keyed[Day] = Keyed(self._needless)  # by account and Region
        self._clock: Clock = clocks.monotonic
        LIVING.add(self)

    @classmethod
    def discovered(
        cls,
        session: Any = None,
        *,
        region_name: str | None = None,
        cache: str | Path | None = None,
        max_age: float = A_DAY,
        **options: Any,
    ) -> Quota:
        """Return a quota whose limits start from the values that Service Quotas lists for each model.

        Service Quotas is read once, immediately, for one Region; the result is cached on disk for `max_age` seconds.
        This needs the permissions servicequotas:ListServiceQuotas and ListAWSDefaultServiceQuotas. `options` are the
        options of `Quota`; they take precedence over listed values. The limits of a model that is not listed are
        estimated from throttles. Raises `QuotasUnknown` if Service Quotas cannot be read and nothing is cached.
        """
        from aws_bedrock_inference.service_quotas.discovery import discover  # noqa: PLC0415 - heavy, and rarely used

        quota = cls(**options)
        quota._table = discover(session, region_name=region_name, cache=cache, max_age=max_age)
        return quota

    def around(self, step: Step, clock: Clock) -> Step:  # noqa: C901 - another frame would slow down every call
        """Return a step that waits until the quota admits a call, and then sends the call with `step`."""
        pools = self._ledgers
        self._clock = clock

        def flow(call: Call) -> Flow:  # noqa: C901 - as above
            estimate = call.estimate
            if call.quota is not None or not estimate.metered:
                return (yield from _aside(step, call, clock))
            pool = pools.get(call.route.quota_key) or self._pool(call.route, clock(), estimate.burndown)
            tokens = estimate.input_tokens + estimate.output_tokens
            if (tokens > pool.largest or pool.held) and (refusal := pool.refusal(tokens, call.route)) is not None:
                return Outcome(fault=refusal)
            if estimate.unbounded and pool.minute < inf:
                warn_unbounded(call.route.base, estimate.output_tokens, pool.minute)
            ledger, member, now = pool.ledger, pool.member, clock()
            if member is not None and now >= member.due:
                yield from member.renew(now)
                now = clock()
            ticket, outcome, limit = Ticket(tokens, call.priority, now, call.tenant), None, None
            try:
                ledger.enter(ticket, call.arrived, now)  # inside `try`: a signal can arrive at any moment
                while ticket.slot is None or (member is not None and member.lapsed(clock())):
                    if ticket.slot is not None:  # the process was stopped after it had read the clock
                        ledger.cancel(ticket, clock(), sent=False)
                        ticket = Ticket(tokens, call.priority, now := clock(), call.tenant)
                        ledger.enter(ticket, call.arrived, now)
                        continue
                    refusal = yield from self._wait_in_queue(pool, ticket, call, clock)
                    if refusal is not None:
                        return Outcome(fault=refusal)
                outcome = yield from step(call)
            finally:
                usage = outcome.usage if outcome is not None else None
                if usage is not None:
                    charge = usage.charge(estimate.burndown * pool.burndown.factor)
                    ledger.settle(ticket, charge, clock(), usage.output_tokens)
                else:
                    limit = settle_without_usage(ledger, ticket, outcome, clock())
                if member is not None and outcome is not None:
                    member.saw(call, outcome, throttled=limit is not None)
            if pool.burndown.news:
                yield from learned(call, pool.burndown)
            return outcome if limit is None else (yield from throttled(call, outcome, limit, ledger, clock()))

        return flow

    def ledger(self, route: Route, now: float) -> Ledger:
        """Return the ledger (the record of use) of all calls on `route`. The first use creates the ledger."""
        return self._pool(route, now).ledger

    def waiting(self, route: Route | None = None) -> int:
        """Return the number of calls that wait for the quota of `route`, or for any quota if `route` is None."""
        pools = dict(self._ledgers)
        return sum(pool.ledger.ahead() for key, pool in pools.items() if route is None or key == route.quota_key)

    def explain(self, now: float | None = None) -> str:
        """Return a text about each quota: each limit, the reason for its value, and what delays calls now."""
        now = clocks.monotonic() if now is None else now
        pools = dict(self._ledgers)
        return "\n".join(explained(key, pool.ledger.snapshot(now), pool.burndown) for key, pool in pools.items())

    def pools(self) -> list[tuple[str, Pool, Snapshot]]:
        """Return a tuple for each quota in use: the quota's key, its state, and a `Snapshot` of the requests and tokens
        that are used now. The key joins account, Region, model and quota pool with `|`.
        """
        now = self._clock()
        return [(key, pool, pool.ledger.snapshot(now)) for key, pool in dict(self._ledgers).items()]

    def set_burndown(self, model_id: str, burndown: float) -> None:
        """Set the burndown of a model in all of its quotas. The burndown is the number of tokens by which one output
        token reduces the quota.

        From then on, the quota uses exactly this number. If this method is not called, the quota starts with the number
        in the package's table of models. This number can be too high, and a part of `tpm` would then stay unused.
        Therefore, if `tpm` is configured and the number is above 1, the quota tries lower numbers in small steps, and
        logs the steps.
        """
        if not is_number(burndown, above=0):
            raise ValueError(
                f"set_burndown(burndown={shown(burndown)}): pass the tokens of quota that one output token uses, above "
                "0, such as 5"
            )
        base = target(model_id).base
        self._burndowns[base] = burndown
        for key, pool in dict(self._ledgers).items():
            if key.split("|")[2] == base:
                pool.burndown.state(burndown)

    def leave(self) -> Generator[Effect, object, None]:
        """Free this process's parts of shared quotas, except for the parts that calls use now."""
        for pool in list(self._ledgers.values()):
            if pool.member is not None:
                yield from pool.member.leave()

    def _pool(self, route: Route, now: float, burndown: float | None = None) -> Pool:
        return self._ledgers.of(route.quota_key, lambda: self._open(route, now, burndown), now)

    def _open(self, route: Route, now: float, burndown: float | None) -> Pool:
        listed, held = self._listed(route)
        tpm = self.tpm or listed.get("tokens")
        ledger = Ledger(
            rpm=self.rpm or listed.get("requests"),
            tpm=tpm,
            now=now,
            listed=listed,
            day=self._day(route, now),
            concurrency=inf if self.concurrency is None else self.concurrency,
            shares=self.shares,
        )
        base = route.base or route.model
        burndown = model_facts(base).burndown if burndown is None else burndown
        ledger.window.burndown = Burndown(burndown, self.tpm or inf, now=now)
        if base in self._burndowns:
            ledger.window.burndown.state(self._burndowns[base])
        first = ledger.snapshot(now).estimates
        return Pool(ledger, self._member(route, ledger), held=held, minute=tpm or inf, first=first)

    def _listed(self, route: Route) -> tuple[dict[str, float], str]:
        """Return the limits per minute that Service Quotas lists for the model of `route`, by dimension ("requests" or
        "tokens"). Also return the name of a listed quota that AWS has set to 0, or an empty text. Listed values are
        omitted if the user has configured the same limit, because the configured limit replaces them.
        """
        table = self._table if self._table is not None and self._table.region == route.region else None
        limits = None if table is None else table.limits(route.base or route.model, route.pool)
        if limits is None:
            return {}, ""
        configured = {"rpm": self.rpm, "tpm": self.tpm, "tpd": self.tpd}
        listed = {
            dimension: limit
            for name, dimension, limit in (("rpm", "requests", limits.rpm), ("tpm", "tokens", limits.tpm))
            if limit and configured[name] is None
        }
        zero = (found.name for name, found in limits.known.items() if found.held and configured[name] is None)
        return listed, next(zero, "")

    def _day(self, route: Route, now: float) -> Day:
        """Return the daily quota that all models of the account in the Region share."""
        ends = inf if self.tpd is None else now + A_DAY - clocks.wall() % A_DAY
        limit = inf if self.tpd is None else self.tpd
        return self._days.of(f"{route.account} {route.region}", lambda: Day(limit, ends), now)

    def _needless(self, day: Day, now: float) -> bool:
        """Return True if the daily quota `day` can be deleted; otherwise return False. It can be deleted if no ledger
        uses it, and if a new daily quota would act in the same way as `day`.
        """
        return day.idle(now) and all(pool.ledger.day is not day for pool in list(self._ledgers.values()))

    def _member(self, route: Route, ledger: Ledger) -> Membership | None:
        if self.store is None:
            return None
        from aws_bedrock_inference.policies.sharing import Membership  # noqa: PLC0415 - used only with a store

        return Membership(self.store, route.quota_key, ledger, self._clock)

    def _wait_in_queue(
        self, pool: Pool, ticket: Ticket, call: Call, clock: Clock
    ) -> Generator[Effect, None, Fault | None]:
        ledger, member = pool.ledger, pool.member
        now = clock()
        # The last of these calls is this call itself, unless another thread has just admitted it.
        ahead = max(0, ledger.ahead(call.priority, call.tenant) - 1)
        soonest = ledger.earliest(ticket.tokens, now, ahead)
        if ahead >= self._most_waiting:
            return queue_full(ahead, soonest - now)
        if soonest >= call.deadline:
            if ledger.day_exhausted(now):
                return day_spent(soonest - now, call.route.region)
            return too_close("the quota has no room for the call before its deadline", soonest - now)
        yield from emit(QuotaQueued(call.route, int(ticket.tokens), ahead, call.tenant))
        while True:
            due = ledger.claim(ticket, now)
            if ticket.admitted:
                return None
            if now >= call.deadline:
                return too_close("the call's deadline passed while the call waited for quota")
            if member is not None:
                member.hurry(call.priority, call.tenant, now)
                if now >= member.due:
                    yield from member.renew(now)
                    now = clock()
                    continue
                if due < inf:
                    due = min(due, member.due)
            yield from wait(ticket, min(due, now + LOOK, call.deadline))
            now = clock()

    def __repr__(self) -> str:
        return f"Quota(rpm={self.rpm}, tpm={self.tpm})"


def _aside(step: Step, call: Call, clock: Clock) -> Flow:
    """Run a call that does not use this quota. If a `Fallback` sends the call to a target, the call uses the target's
    quota. Otherwise the call uses no quota.
    """
    if call.quota is not None and call.estimate.metered:
        step = call.quota.around(step, clock)
        call = call._replace(quota=None)
    return (yield from step(call))
