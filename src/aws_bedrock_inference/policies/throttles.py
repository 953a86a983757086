"""Handle throttles and calls without reported usage for the policy `Quota`, and describe the state of a quota as
text. Each quota has a ledger: the object that admits calls and counts their tokens.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.events import BurndownChanged, ThrottleReceived
from aws_bedrock_inference.fault import Kind, Origin
from aws_bedrock_inference.flow import emit
from aws_bedrock_inference.policies.refusals import again_in

if TYPE_CHECKING:
    from collections.abc import Generator

    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.flow import Effect
    from aws_bedrock_inference.rules.quota.burndown import Burndown
    from aws_bedrock_inference.rules.quota.ledger import Ledger
    from aws_bedrock_inference.rules.quota.snapshot import Snapshot
    from aws_bedrock_inference.rules.quota.ticket import Ticket


def settle_without_usage(ledger: Ledger, ticket: Ticket, outcome: Outcome | None, now: float) -> str | None:
    """End the reservation of a call that reported no usage. If it is unknown whether the service processed the request,
    charge all reserved tokens; otherwise charge no tokens. Return the limit that the call exhausted
    (requests, tokens or tokens per day), or None if the service did not throttle the call.
    """
    fault = outcome.fault if outcome is not None else None
    if not ticket.admitted or (fault is not None and not fault.reached):
        ledger.cancel(ticket, now, sent=False)
    elif fault is None or fault.status is None:
        ledger.abandon(ticket, now)
    elif fault.origin is not Origin.SERVICE:
        ledger.cancel(ticket, now, sent=True)  # another service answered, so this answer says nothing about this quota
    elif fault.kind is Kind.THROTTLED:
        return ledger.throttled(ticket, fault.limit, now, fault.stated_wait)
    elif fault.kind is Kind.OVERLOADED:
        ledger.on_capacity_error(ticket, now, fault.stated_wait)
    else:
        ledger.cancel(ticket, now, sent=True)
    return None


# A minute counts as full if at least this share of its limit was used.
FULL = 0.8


def throttled(call: Call, outcome: Outcome, limit: str, ledger: Ledger, now: float) -> Generator[Effect, None, Outcome]:
    """Emit the event `ThrottleReceived` for a throttled call, and return its outcome. `limit` is the exhausted
    dimension: requests, tokens or tokens per day.

    If the daily quota is exhausted, the call fails. The fault states the seconds after which the caller can send the
    call again (`retry_after`). If another limit is exhausted, the fault is marked as `paced`: the quota decides when
    the call is sent again. If throttles have continued for more than 90 seconds, the fault is not marked. The policy
    `Retry` then waits as after any other fault.
    """
    assert outcome.fault is not None  # noqa: S101 - only a fault can have been a throttle
    taken = ledger.snapshot(now)
    dimension = "requests" if limit == "requests" else "tokens"
    yield from emit(
        ThrottleReceived(
            route=call.route,
            limit=outcome.fault.limit,
            reserved=call.estimate.reservation,
            cause=limit,
            outstanding=int(taken.outstanding),
            used=int(taken.used[dimension]),
            estimate=taken.estimates[dimension],
            waiting=taken.waiting,
            consumers=taken.consumers,
            advice=_advice(limit, dimension, taken),
        )
    )
    if limit == "tokens-per-day":
        ahead = ledger.ahead(call.priority, call.tenant)  # this call no longer waits, so all of these come first
        free = ledger.earliest(call.estimate.reservation, now, ahead)
        return outcome._replace(fault=again_in(outcome.fault, max(free - now, outcome.fault.stated_wait)))
    return outcome._replace(fault=replace(outcome.fault, paced=not taken.stalled))


def learned(call: Call, burndown: Burndown) -> Generator[Effect, None, None]:
    """Emit the event `BurndownChanged`: the burndown (quota tokens per output token) of the quota has changed."""
    burndown.news = False
    yield from emit(BurndownChanged(call.route, burndown.rate, burndown.table, burndown.reason))


def explained(key: str, taken: Snapshot, burndown: Burndown) -> str:
    """Return a text about the quota with this key: each limit, the reason for its value, and what delays calls now."""
    lines = [" ".join(part for part in key.split("|") if part)]
    for name, estimate in taken.estimates.items():
        if taken.share and estimate < inf:
            used, burst = max(0.0, taken.used[name]), taken.bursts[name]
            share = f"; this process can use {estimate:,.0f} of them ({taken.share:.1%})" if taken.share < 1.0 else ""
            lines.append(
                f"  {name}: {estimate / taken.share:,.0f} a minute ({taken.reasons[name]}){share}; {used:,.0f} used in "
                f"the last minute; a burst uses at most the quota of {burst:.3g} s"
            )
    if not taken.share:
        lines.append("  this process has no share of the shared quota now")
    elif len(lines) == 1:
        lines.append("  no limit is known: the rate increases until the service throttles")
    table = "" if burndown.rate == burndown.table else f", not {burndown.table:.3g}"
    lines.append(f"  an output token counts as {burndown.rate:.3g}{table} when a call ends ({burndown.reason})")
    waiting = sum(taken.waiting.values())
    lines.append(f"  {taken.in_flight:,} calls in flight, {waiting:,} waiting: {taken.pace}")
    return "\n".join(lines)


def _advice(limit: str, dimension: str, taken: Snapshot) -> str:
    if limit == "requests":
        return "Requests per minute are exhausted: send fewer, larger calls, or raise the quota (bedrock quota show)."
    if limit == "tokens-per-day":
        return (
            "The daily token quota for all models is exhausted: calls wait or are refused. Every 15 minutes, one call "
            "tests whether the service accepts calls again."
        )
    if taken.outstanding > taken.used["tokens"] / 2:
        return (
            "Most of the quota is reserved but not used: lower max_tokens to the size that answers need "
            "(bedrock quota advise)."
        )
    full = taken.used[dimension] >= FULL * taken.estimates[dimension]
    state = (
        "The current minute is full; other programs may use the same quota"
        if full
        else "The current minute is not full, so the limit changes little"
    )
    return f"{state}. Reason for the limit of {dimension}: {taken.reasons[dimension]}."
