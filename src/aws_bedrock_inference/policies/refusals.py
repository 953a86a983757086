"""The faults with which policies and clients refuse a call. Nothing was sent in any of these cases."""

from __future__ import annotations

from dataclasses import replace

from aws_bedrock_inference.fault import Category, Decision, Fault, Hint, Kind


def too_large(tokens: float, tpm: float) -> Fault:
    """Return the refusal of a call that no minute could carry."""
    return refusal(
        "QuotaExhausted",
        f"the call would reserve {tokens:,.0f} tokens (input + max_tokens); the quota is {tpm:,.0f} a minute",
        Category.PERMANENT,
        "request-larger-than-quota",
        "Lower max_tokens (unset counts as the model's maximum) or raise the quota; nothing was sent.",
    )


def held(route: str) -> Fault:
    """Return the refusal of every call where AWS holds the quota at 0."""
    from aws_bedrock_inference.service_quotas.table import explain_hold  # noqa: PLC0415 - who never meets a hold needs no data

    return refusal(
        "QuotaExhausted",
        f"AWS holds the quota of {route} at 0: nothing can be called, and waiting does not help",
        Category.PERMANENT,
        "quota-zero",
        explain_hold(),
    )


def day_spent(seconds: float) -> Fault:
    """Return the refusal of a call that the day's tokens no longer carry."""
    return refusal(
        "QuotaExhausted",
        f"the quota of tokens per day is spent; the next try makes sense in about {seconds:,.0f} s",
        Category.TRANSIENT,
        "daily-quota-spent",
        "Wait for the next day, use another model, Region or account, or ask AWS Support for more; nothing was sent.",
    )


def queue_full(ahead: int) -> Fault:
    """Return the refusal of a call that too many stand before."""
    return refusal(
        "QueueFull",
        f"{ahead:,} calls wait for quota already",
        Category.TRANSIENT,
        "queue-full",
        "Make fewer calls at once, give urgent ones priority='interactive', or raise Quota(waiting=...).",
    )


def too_close(message: str) -> Fault:
    """Return the refusal of a call that cannot end in time."""
    return refusal(
        "DeadlineTooClose",
        message,
        Category.TRANSIENT,
        "deadline-too-close",
        "Give the call more time, or make it cheaper (lower max_tokens); nothing was sent.",
    )


def circuit_open(route: str, wait: float) -> Fault:
    """Return the refusal of a call to a model whose circuit is open for another `wait` seconds."""
    fault = refusal(
        "CircuitOpen",
        f"{route} failed repeatedly; no call is made for another {wait:.1f} s",
        Category.TRANSIENT,
        "circuit-open",
        "Wait for the service to recover, or use another model or Region; nothing was sent.",
    )
    # Waiting for the circuit loads nobody, so it costs no budget, and only the policy's own limit bounds the attempts:
    # fifteen times `recovery` is about a minute.
    return replace(fault, decision=Decision.RETRY, hint=Hint(base=0.1, attempts=15, cost=0), retry_after=wait)


def invalid_request(message: str) -> Fault:
    """Return the refusal of a call that the service could only reject."""
    return refusal("InvalidRequest", message, Category.PERMANENT, "request-invalid", "Nothing was sent.")


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
    )
