"""The refusals of the policies and the clients. Nothing was sent in any of these cases."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from aws_bedrock_inference.fault import Category, Decision, Fault, Hint, Kind, Origin
from aws_bedrock_inference.pricing import dollars


def too_large(tokens: float, quota: float, period: str = "minute") -> Fault:
    """Return the refusal of a call that is larger than the quota of a minute or a day."""
    return refusal(
        "QuotaExhausted",
        f"the call would reserve {tokens:,.0f} tokens (input + max_tokens), but the quota is {quota:,.0f} per {period}",
        Category.PERMANENT,
        "request-larger-than-quota",
        "Lower max_tokens (if unset, the model's maximum is reserved) or raise the quota. Nothing was sent.",
    )


def held(route: str) -> Fault:
    """Return the refusal of a call whose quota AWS has set to 0."""
    from aws_bedrock_inference.service_quotas.table import explain_hold  # noqa: PLC0415 - who never meets a hold needs no data

    return refusal(
        "QuotaExhausted",
        f"AWS has set the quota of {route} to 0, so no call can succeed and waiting does not help",
        Category.PERMANENT,
        "quota-zero",
        explain_hold(),
    )


def day_spent(seconds: float, region: str) -> Fault:
    """Return the refusal of a call for which the daily token quota of `region` has no room."""
    fault = refusal(
        "QuotaExhausted",
        f"the daily token quota, which all models of {region or 'the Region'} share, is exhausted; "
        f"try again in about {seconds:,.0f} s",
        Category.TRANSIENT,
        "daily-quota-exhausted",
        "Wait for the next day, use another Region or account, or ask AWS Support for more. In a new account AWS may "
        "hold the model's quota at 0: `bedrock quota show`. Nothing was sent.",
    )
    return again_in(fault, seconds)


def queue_full(ahead: int, seconds: float = inf) -> Fault:
    """Return the refusal of a call that finds the queue full; `seconds` until the quota has room for it, if known."""
    fault = refusal(
        "QueueFull",
        f"the queue is full: {ahead:,} calls already wait for quota",
        Category.TRANSIENT,
        "queue-full",
        "Send fewer calls at a time, send urgent calls with priority='interactive', or raise Quota(waiting=...).",
    )
    return again_in(fault, seconds)


def too_close(message: str, seconds: float = inf) -> Fault:
    """Return the refusal of a call that cannot end in time; `seconds` until the quota has room for it, if known."""
    fault = refusal(
        "DeadlineTooClose",
        message,
        Category.TRANSIENT,
        "deadline-too-close",
        "Give the call a longer timeout, or lower max_tokens so that it needs less quota. Nothing was sent.",
    )
    return again_in(fault, seconds)


def budget_exhausted(spent: float, limit: float) -> Fault:
    """Return the refusal of a call for which `MaxCost` has no money left."""
    return refusal(
        "BudgetExhausted",
        f"the limit of {dollars(limit)} is reached: calls have cost {dollars(spent)}",
        Category.PERMANENT,
        "budget-exhausted",
        "Raise MaxCost(...), or make a new one for new work. Nothing was sent.",
    )


def price_unknown(route: str) -> Fault:
    """Return the refusal of a call that has no known price, so that `MaxCost` cannot keep its limit."""
    return refusal(
        "PriceUnknown",
        f"the price of {route} is not known, so no limit of its cost can be kept",
        Category.PERMANENT,
        "price-unknown",
        "Give the price in a TOML file that the environment variable BEDROCK_PRICES names, or call without MaxCost. "
        "Nothing was sent.",
    )


def circuit_open(route: str, wait: float) -> Fault:
    """Return the refusal of a call to a model whose circuit is open for another `wait` seconds."""
    fault = refusal(
        "CircuitOpen",
        f"{route} keeps failing; the circuit breaker is open for another {wait:.1f} s",
        Category.TRANSIENT,
        "circuit-open",
        "Wait for the service to recover, or use another model or Region. Nothing was sent.",
    )
    # A wait for the circuit puts no load on the service, so it costs no budget; only the number of attempts limits
    # it: fifteen times `recovery` is about a minute.
    return replace(fault, decision=Decision.RETRY, hint=Hint(base=0.1, attempts=15, cost=0), retry_after=wait)


def invalid_request(message: str) -> Fault:
    """Return the refusal of a call that the service could only reject."""
    return refusal(
        "InvalidRequest", message, Category.PERMANENT, "request-invalid", "Correct the request. Nothing was sent."
    )


def client_closed() -> Fault:
    """Return the refusal of a call whose client was closed before it could be sent."""
    return refusal(
        "ClientClosed",
        "the client is closed and sends nothing any more",
        Category.PERMANENT,
        "client-closed",
        "Make a new client, or close this one after its last call. Nothing was sent.",
    )


def again_in(fault: Fault, seconds: float) -> Fault:
    """Return the fault with the time after which the call may be made again; the same fault if nobody knows it."""
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
