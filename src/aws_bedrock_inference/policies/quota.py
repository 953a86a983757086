"""Keep within the account's requests and tokens per minute, and use them all."""

from __future__ import annotations

import threading
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.call import Call, Outcome
from aws_bedrock_inference.events import QuotaQueued, Throttled
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind
from aws_bedrock_inference.flow import emit, wait
from aws_bedrock_inference.policies.deadline import too_close
from aws_bedrock_inference.rules.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Generator

    from aws_bedrock_inference.call import Route
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Effect, Flow, Step
    from aws_bedrock_inference.rules.ledger import Ticket


class Quota:
    """Let calls go as the quota carries them: one ledger for each (account, Region, model, pool).

    `rpm` and `tpm` are the account's requests and tokens per minute; None means not limited here, and only the
    service's own throttles slow the calls down. Each call reserves its input and max_tokens as the service does, and
    settles with what it really used; who does not fit waits, first come first served. `burst` 5 is how many seconds'
    worth of quota may go at once: the service's own window is not documented, and 5 s is the smallest seen, so a
    larger burst may be throttled.

    The object is the quota: clients that are given the same object share it.

    Refuses with `QuotaExhausted` (a call larger than a whole minute's tokens) and `DeadlineTooClose`. Emits
    `QuotaQueued` and `Throttled`.
    """

    def __init__(self, *, rpm: float | None = None, tpm: float | None = None, burst: float = 5.0) -> None:
        for name, value in (("rpm", rpm), ("tpm", tpm), ("burst", burst)):
            if value is not None and not 0 < value < inf:
                raise ValueError(
                    f"Quota({name}={value!r}): give a number above 0, or leave it out when there is no such limit"
                )
        self.rpm = rpm
        self.tpm = tpm
        self.burst = burst
        self._ledgers: dict[str, Ledger] = {}
        self._lock = threading.Lock()

    def around(self, step: Step, clock: Clock) -> Step:
        """Return `step`, admitted by the ledger."""
        ledgers = self._ledgers

        def flow(call: Call) -> Flow:
            estimate = call.estimate
            if not estimate.metered:
                return (yield from step(call))
            ledger = ledgers.get(call.route.quota_key) or self.ledger(call.route, clock())
            tokens = estimate.input_tokens + estimate.output_tokens
            if self.tpm is not None and tokens > self.tpm:
                return Outcome(fault=_too_large(tokens, self.tpm))
            ticket = ledger.reserve(tokens, call.arrived, clock())
            outcome: Outcome | None = None
            try:
                if not ticket.admitted:
                    refusal = yield from _stand_in_line(ledger, ticket, call, clock)
                    if refusal is not None:
                        return Outcome(fault=refusal)
                outcome = yield from step(call)
            finally:
                _settle(ledger, ticket, call, outcome, clock())
            if outcome.fault is not None and outcome.fault.kind is Kind.THROTTLED:
                yield from emit(Throttled(call.route, outcome.fault.limit, tokens))
                return outcome._replace(fault=replace(outcome.fault, paced=self._paces(outcome.fault)))
            return outcome

        return flow

    def ledger(self, route: Route, now: float) -> Ledger:
        """Return the ledger that calls on `route` share, made at its first use."""
        with self._lock:
            return self._ledgers.setdefault(
                route.quota_key, Ledger(rpm=self.rpm, tpm=self.tpm, burst=self.burst, now=now)
            )

    def _paces(self, fault: Fault) -> bool:
        if fault.limit == "requests":
            return self.rpm is not None
        if fault.limit == "tokens":
            return self.tpm is not None
        return fault.limit is None and (self.rpm is not None or self.tpm is not None)

    def __repr__(self) -> str:
        return f"Quota(rpm={self.rpm}, tpm={self.tpm})"


def _stand_in_line(ledger: Ledger, ticket: Ticket, call: Call, clock: Clock) -> Generator[Effect, None, Fault | None]:
    now = clock()
    if ledger.earliest(ticket.tokens, now) >= call.deadline:
        return too_close("the quota cannot admit the call before its deadline")
    yield from emit(QuotaQueued(call.route, int(ticket.tokens), ledger.queued - 1))
    while True:
        due = ledger.claim(ticket, now)
        if ticket.admitted:
            return None
        if now >= call.deadline:
            return too_close("the call's deadline passed while it waited for quota")
        yield from wait(ticket, min(due, call.deadline))
        now = clock()


def _settle(ledger: Ledger, ticket: Ticket, call: Call, outcome: Outcome | None, now: float) -> None:
    """Charge what is known to have been used. Where the fate is unknown the service may still be at work: all is
    charged.
    """
    fault = outcome.fault if outcome is not None else None
    if outcome is not None and outcome.usage is not None:
        ledger.settle(ticket, outcome.usage.charge(call.estimate.burndown), now)
    elif not ticket.admitted or (fault is not None and not fault.reached):
        ledger.cancel(ticket, now, sent=False)
    elif fault is None or fault.status is None:
        ledger.settle(ticket, ticket.tokens, now)
    elif fault.kind is Kind.THROTTLED:
        ledger.throttled(ticket, fault.limit, now)
    else:
        ledger.cancel(ticket, now, sent=True)


def _too_large(tokens: int, tpm: float) -> Fault:
    return Fault(
        code="QuotaExhausted",
        message=f"the call would reserve {tokens:,} tokens (input + max_tokens); the quota is {tpm:,.0f} a minute",
        kind=Kind.REFUSED,
        reached=False,
        decision=Decision.FAIL,
        category=Category.PERMANENT,
        cause="request-larger-than-quota",
        advice="Lower max_tokens (unset counts as the model's maximum) or raise the quota; nothing was sent.",
    )
