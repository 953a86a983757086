"""Create the faults of calls that a policy or a client refused. A refused call was never sent."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from aws_bedrock_inference.fault import Category, Decision, Fault, Hint, Kind, Origin
from aws_bedrock_inference.pricing import dollars


def too_large(tokens: float, quota: float, period: str = "minute") -> Fault:
    """Return the fault of a call that is larger than the quota of a minute or a day. `period` is `minute` or `day`."""
    return refusal(
        "QuotaExhausted",
        f"the call would reserve {tokens:,.0f} tokens (input + max_tokens), but the quota is {quota:,.0f} per {period}",
        Category.PERMANENT,
        "request-larger-than-quota",
        "Lower max_tokens (if unset, the model's maximum is reserved) or raise the quota. Nothing was sent.",
    )


def held(route: str, name: str) -> Fault:
    """Return the fault of a call to `route` whose quota AWS has set to 0. `name` is the name of the quota."""
    from aws_bedrock_inference.service_quotas.table import explain_hold  # noqa: PLC0415 - only a hold needs the data

    return refusal(
        "QuotaExhausted",
        f'AWS has set the quota "{name}" to 0, so no call to {route} can succeed and waiting does not help',
        Category.PERMANENT,
        "quota-zero",
        explain_hold(),
    )


def day_spent(seconds: float, region: str) -> Fault:
    """Return the fault of a call that does not fit into the rest of the daily token quota in `region`."""
    fault = refusal(
        "QuotaExhausted",
        f"the daily token quota, which all models of {region or 'the Region'} share, is exhausted; "
        f"try again in about {seconds:,.0f} s",
        Category.TRANSIENT,
        "daily-quota-exhausted",
        "Wait for the next day, use another Region or account, or ask AWS Support to raise the quota. In a new account "
        "AWS may set the model's quota to 0: check it with `bedrock quota show`. Nothing was sent.",
    )
    return again_in(fault, seconds)


def queue_full(ahead: int, seconds: float = inf) -> Fault:
    """Return the fault of a call that was refused because the queue for quota is full. `seconds` is the time until the
    quota can admit the call, if this time is known.
    """
    fault = refusal(
        "QueueFull",
        f"the queue is full: {ahead:,} calls already wait for quota",
        Category.TRANSIENT,
        "queue-full",
        "Send fewer calls at a time, send urgent calls with priority='interactive', or raise Quota(waiting=...).",
    )
    return again_in(fault, seconds)


def too_close(message: str, seconds: float = inf) -> Fault:
    """Return the fault of a call that cannot end before its deadline. `seconds` is the time until the quota can admit
    the call, if this time is known.
    """
    fault = refusal(
        "DeadlineTooClose",
        message,
        Category.TRANSIENT,
        "deadline-too-close",
        "Set a longer timeout for the call, or lower max_tokens so that it needs less quota. Nothing was sent.",
    )
    return again_in(fault, seconds)


def budget_exhausted(spent: float, limit: float) -> Fault:
    """Return the fault of a call that was refused because the limit of `MaxCost` is reached."""
    return refusal(
        "BudgetExhausted",
        f"the cost limit of {dollars(limit)} is reached: calls have cost {dollars(spent)}",
        Category.PERMANENT,
        "budget-exhausted",
        "Raise the limit of MaxCost(...), or create a new MaxCost for new work. Nothing was sent.",
    )


def price_unknown(route: str) -> Fault:
    """Return the fault of a call whose price is unknown. `MaxCost` refuses such a call, because it cannot limit an
    unknown cost.
    """
    return refusal(
        "PriceUnknown",
        f"the price of {route} is unknown, so MaxCost cannot limit its cost",
        Category.PERMANENT,
        "price-unknown",
        "Write the price to a TOML file and set the environment variable BEDROCK_PRICES to its path, or call without "
        "MaxCost. Nothing was sent.",
    )


def circuit_open(route: str, wait: float) -> Fault:
    """Return the fault of a call to a model whose circuit breaker stays open for `wait` more seconds."""
    fault = refusal(
        "CircuitOpen",
        f"{route} keeps failing; the circuit breaker is open for another {wait:.1f} s",
        Category.TRANSIENT,
        "circuit-open",
        "Wait for the service to recover, or use another model or Region. Nothing was sent.",
    )
    # A call that waits for the circuit puts no load on the service, so its retry costs nothing of the retry budget.
    # Only the number of attempts limits this wait: fifteen times `recovery` is about a minute.
    return replace(fault, decision=Decision.RETRY, hint=Hint(base=0.1, attempts=15, cost=0), retry_after=wait)


def invalid_request(message: str) -> Fault:
    """Return the fault of a call that the service would certainly reject."""
    return refusal(
        "InvalidRequest", message, Category.PERMANENT, "request-invalid", "Correct the request. Nothing was sent."
    )


def client_closed() -> Fault:
    """Return the fault of a call whose client was closed before the call was sent."""
    return refusal(
        "ClientClosed",
        "the client is closed and cannot send calls",
        Category.PERMANENT,
        "client-closed",
        "Create a new client, or close this client only after its last call. Nothing was sent.",
    )


def again_in(fault: Fault, seconds: float) -> Fault:
    """Return the fault with the number of seconds after which the call can be sent again. If this number is unknown,
    return the fault unchanged.
    """
    return replace(fault, retry_after=seconds) if seconds < inf else fault


def refusal(code: str, message: str, category: Category, cause: str, advice: str) -> Fault:
    """Return the fault of a call that was refused before it was sent."""
    return Fault(
        code=code,
        message=message,
        kind=Kind.REFUSED,
        reached=False,
        decision=Decision.FAIL,
        category=category,
        cause=cause,
        advice=advice,
        origin=Origin.CALLER,
    )
