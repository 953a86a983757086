"""The refusals of the quota policy. Nothing was sent in any of these cases."""

from __future__ import annotations

from aws_bedrock_inference.fault import Category, Decision, Fault, Kind


def too_large(tokens: float, tpm: float) -> Fault:
    """Return the refusal of a call that is larger than a minute's quota."""
    return _refusal(
        "QuotaExhausted",
        f"the call would reserve {tokens:,.0f} tokens (input + max_tokens), but the quota is {tpm:,.0f} per minute",
        Category.PERMANENT,
        "request-larger-than-quota",
        "Lower max_tokens (if unset, the model's maximum is reserved) or raise the quota. Nothing was sent.",
    )


def held(route: str) -> Fault:
    """Return the refusal of a call whose quota AWS has set to 0."""
    from aws_bedrock_inference.service_quotas.table import explain_hold  # noqa: PLC0415 - who never meets a hold needs no data

    return _refusal(
        "QuotaExhausted",
        f"AWS has set the quota of {route} to 0, so no call can succeed and waiting does not help",
        Category.PERMANENT,
        "quota-zero",
        explain_hold(),
    )


def day_spent(seconds: float) -> Fault:
    """Return the refusal of a call for which the daily token quota has no room."""
    return _refusal(
        "QuotaExhausted",
        f"the daily token quota is exhausted; try again in about {seconds:,.0f} s",
        Category.TRANSIENT,
        "daily-quota-spent",
        "Wait for the next day, use another model, Region or account, or ask AWS Support for more. Nothing was sent.",
    )


def queue_full(ahead: int) -> Fault:
    """Return the refusal of a call that finds the queue full."""
    return _refusal(
        "QueueFull",
        f"the queue is full: {ahead:,} calls already wait for quota",
        Category.TRANSIENT,
        "queue-full",
        "Send fewer calls at once, send urgent calls with priority='interactive', or raise Quota(waiting=...).",
    )


def _refusal(code: str, message: str, category: Category, cause: str, advice: str) -> Fault:
    return Fault(
        code=code,
        message=message,
        kind=Kind.REFUSED,
        reached=False,
        decision=Decision.FAIL,
        category=category,
        cause=cause,
        advice=advice,
    )
