"""What the quota answers to calls that it cannot carry. Nothing was sent in any of these cases."""

from __future__ import annotations

from aws_bedrock_inference.fault import Category, Decision, Fault, Kind


def too_large(tokens: float, tpm: float) -> Fault:
    """Return the refusal of a call that no minute could carry."""
    return _refusal(
        "QuotaExhausted",
        f"the call would reserve {tokens:,.0f} tokens (input + max_tokens); the quota is {tpm:,.0f} a minute",
        Category.PERMANENT,
        "request-larger-than-quota",
        "Lower max_tokens (unset counts as the model's maximum) or raise the quota; nothing was sent.",
    )


def held(route: str) -> Fault:
    """Return the refusal of every call where AWS holds the quota at 0."""
    from aws_bedrock_inference.service_quotas.table import explain_hold  # noqa: PLC0415 - who never meets a hold needs no data

    return _refusal(
        "QuotaExhausted",
        f"AWS holds the quota of {route} at 0: nothing can be called, and waiting does not help",
        Category.PERMANENT,
        "quota-zero",
        explain_hold(),
    )


def day_spent(seconds: float) -> Fault:
    """Return the refusal of a call that the day's tokens no longer carry."""
    return _refusal(
        "QuotaExhausted",
        f"the quota of tokens per day is spent; the next try makes sense in about {seconds:,.0f} s",
        Category.TRANSIENT,
        "daily-quota-spent",
        "Wait for the next day, use another model, Region or account, or ask AWS Support for more; nothing was sent.",
    )


def queue_full(ahead: int) -> Fault:
    """Return the refusal of a call that too many calls wait before."""
    return _refusal(
        "QueueFull",
        f"{ahead:,} calls wait for quota already",
        Category.TRANSIENT,
        "queue-full",
        "Make fewer calls at once, give urgent ones priority='interactive', or raise Quota(waiting=...).",
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
